"""Variance between and within examples."""

import numpy as np
import pytest

from tests.unit.statistics.builders import paired_runs
from workbench.statistics.observations import align
from workbench.statistics.repetitions import VarianceSplit, split_variance


def split_of(rows_baseline: np.ndarray, rows_candidate: np.ndarray) -> VarianceSplit | None:
    keys = [str(i) for i, row in enumerate(rows_baseline) for _ in row]
    aligned = align(*paired_runs(rows_baseline.ravel(), rows_candidate.ravel(), keys=keys))
    return split_variance(aligned.baseline, aligned.candidate)


def test_split_finds_the_variances_that_made_the_data() -> None:
    rng = np.random.default_rng(1)
    effect = rng.normal(0.0, 0.3, (4_000, 1))
    baseline = rng.normal(0.0, 0.5, (4_000, 4))
    split = split_of(baseline, effect + rng.normal(0.0, 0.2, (4_000, 4)))
    assert split is not None
    assert split.between == pytest.approx(0.09, rel=0.1)
    assert split.within_baseline == pytest.approx(0.25, rel=0.05)
    assert split.within_candidate == pytest.approx(0.04, rel=0.05)
    assert split.for_planning.of_difference(4, 4) == pytest.approx(split.total, rel=1e-9)


def test_noise_alone_leaves_nothing_between_examples() -> None:
    rng = np.random.default_rng(6)
    split = split_of(rng.normal(size=(20, 3)), rng.normal(size=(20, 3)))
    assert split is not None
    assert split.between == max(0.0, split.between_raw)
    if split.between == 0.0:
        assert split.largest_gain == 1.0


def test_deterministic_answers_gain_nothing_from_repetitions() -> None:
    rows = np.repeat(np.random.default_rng(2).random((30, 1)), 3, axis=1)
    split = split_of(np.zeros_like(rows), rows)
    assert split is not None
    assert split.largest_gain == pytest.approx(0.0)
    same = split_of(rows, rows)
    assert same is not None
    assert same.largest_gain == 0.0


def test_without_repetitions_on_a_side_nothing_can_be_split() -> None:
    assert split_of(np.ones((9, 1)), np.ones((9, 1))) is None
    assert split_of(np.ones((1, 3)), np.ones((1, 3))) is None


def test_ragged_repetitions_count_by_their_harmonic_mean() -> None:
    keys = ["a", "a", "b", "b", "b", "b"]
    values = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]
    aligned = align(*paired_runs(values, values, keys=keys))
    split = split_variance(aligned.baseline, aligned.candidate)
    assert split is not None
    assert split.repetitions_baseline == pytest.approx(1 / ((1 / 2 + 1 / 4) / 2))
