"""Judge scores corrected by human labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.statistics.ppi import classical_mean, ppi_difference, ppi_mean, tuned_weight

seeds = st.integers(0, 10_000)


def labelled(seed: int, n: int = 60, rest: int = 300) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    truth = rng.random(n + rest) < 0.7
    judged = np.where(rng.random(n + rest) < 0.85, truth, ~truth).astype(float)
    return truth[:n].astype(float), judged[:n], judged[n:]


@settings(deadline=None)
@given(seeds)
def test_weight_zero_is_the_human_mean_alone(seed: int) -> None:
    human, judged, rest = labelled(seed)
    alone, ignored = classical_mean(human), ppi_mean(human, judged, rest, weight=0.0)
    assert ignored.estimate == pytest.approx(alone.estimate)
    assert ignored.interval.low == pytest.approx(alone.interval.low)


@settings(deadline=None)
@given(seeds)
def test_tuned_weight_is_no_wider_than_either_extreme(seed: int) -> None:
    human, judged, rest = labelled(seed, n=200, rest=1_000)
    tuned = ppi_mean(human, judged, rest).standard_error
    assert tuned <= 1.02 * classical_mean(human).standard_error
    assert tuned <= 1.02 * ppi_mean(human, judged, rest, weight=1.0).standard_error


@settings(deadline=None)
@given(seeds, st.floats(-0.5, 0.5))
def test_a_judge_that_is_off_by_a_constant_changes_nothing(seed: int, shift: float) -> None:
    human, judged, rest = labelled(seed)
    plain = ppi_mean(human, judged, rest)
    biased = ppi_mean(human, judged + shift, rest + shift)
    assert biased.estimate == pytest.approx(plain.estimate)
    assert biased.interval.low == pytest.approx(plain.interval.low)


def test_useless_or_contrary_judge_gets_no_weight() -> None:
    human, judged, rest = labelled(1)
    assert tuned_weight(human, 1.0 - judged, 1.0 - rest) == 0.0
    assert tuned_weight(human, np.ones_like(judged), np.ones_like(rest)) == 0.0


def test_difference_is_corrected_by_differences() -> None:
    before, after = labelled(2), labelled(3)
    by_hand = ppi_mean(after[0] - before[0], after[1] - before[1], after[2] - before[2])
    assert (
        ppi_difference((before[0], after[0]), (before[1], after[1]), (before[2], after[2]))
        == by_hand
    )


def test_labels_and_scores_must_belong_together() -> None:
    human, judged, rest = labelled(4)
    with pytest.raises(ValueError, match="same examples"):
        ppi_mean(human, judged[:-1], rest)
    with pytest.raises(ValueError, match="one unlabelled"):
        ppi_mean(human, judged, np.empty(0))
    with pytest.raises(ValueError, match="two human labels"):
        classical_mean(np.ones(1))
    with pytest.raises(ValueError, match="Both sides of judged"):
        ppi_difference((human, human), (judged, judged[:-1]), (rest, rest))
