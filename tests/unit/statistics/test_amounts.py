"""Cost and latency of two runs by example key."""

import numpy as np
import pytest

from tests.unit.statistics.builders import floats
from workbench.statistics.amounts import compare_amounts
from workbench.statistics.observations import Observations

NAN = float("nan")


def amounts(
    values: np.ndarray, keys: list[str] | None = None, clusters: list[str | None] | None = None
) -> Observations:
    names = [str(i) for i in range(len(values))] if keys is None else keys
    return Observations.from_values(names, values, clusters)


def test_unknown_amounts_are_left_out_and_not_free() -> None:
    before = np.array([1.0, 2.0, 3.0, NAN] * 10)
    comparison = compare_amounts(amounts(before), amounts(2.0 * before), quantiles=(0.5,))
    assert comparison.n_pairs == 30
    assert comparison.ratio is not None
    assert comparison.ratio.ratio == pytest.approx(2.0)
    assert comparison.ratio.interval.low == pytest.approx(2.0)
    assert comparison.baseline_total == 60.0
    assert comparison.quantiles[0].difference == 2.0
    assert comparison.note is None


def test_pairs_meet_by_key_and_repetitions_are_averaged() -> None:
    baseline = amounts(floats(1, 3, 4), ["a", "a", "b"])
    candidate = amounts(floats(8, 1, 3), ["b", "a", "a"])
    comparison = compare_amounts(baseline, candidate)
    assert (comparison.baseline_mean, comparison.candidate_mean) == (3.0, 5.0)


def test_free_models_have_no_ratio_and_the_note_says_why() -> None:
    free = amounts(np.zeros(30))
    comparison = compare_amounts(free, amounts(np.ones(30)), quantiles=(0.95,))
    assert comparison.ratio is None
    assert comparison.note is not None
    assert "all zero" in comparison.note
    assert comparison.quantiles[0].difference == 1.0


def test_too_few_pairs_have_neither_ratio_nor_quantiles() -> None:
    comparison = compare_amounts(amounts(floats(1)), amounts(floats(2)), quantiles=(0.5,))
    assert comparison.ratio is None
    assert comparison.quantiles == ()
    assert compare_amounts(amounts(floats()), amounts(floats())).baseline_mean is None


def test_clusters_are_drawn_as_a_whole() -> None:
    rng = np.random.default_rng(1)
    size = np.repeat(rng.lognormal(0, 1, 15), 6)
    after = size * np.repeat(rng.lognormal(0.2, 0.5, 15), 6)
    names: list[str | None] = [str(i // 6) for i in range(90)]
    plain = compare_amounts(amounts(size), amounts(after)).ratio
    clustered = compare_amounts(amounts(size, clusters=names), amounts(after, clusters=names)).ratio
    assert plain is not None
    assert clustered is not None
    assert clustered.interval.half_width > 1.5 * plain.interval.half_width
