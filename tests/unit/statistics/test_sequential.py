"""Looking while the run goes on."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.statistics.effect import Differences
from workbench.statistics.sequential import (
    SequentialLook,
    confidence_sequence,
    confidence_sequence_half_width,
    e_value,
    mixture_variance,
    running_e_values,
    sequential_look,
)
from workbench.statistics.verdict import Verdict


def look(
    values: np.ndarray, *, binary: bool = True, n_max: int = 1_000, margin: float | None = None
) -> SequentialLook:
    return sequential_look(Differences(values, binary, 1.0), n_max=n_max, margin=margin)


@given(st.integers(0, 25))
def test_evidence_against_nothing_is_one_on_average(m: int) -> None:
    mean = math.fsum(math.comb(m, w) / 2**m * e_value(w, m - w) for w in range(m + 1))
    assert mean == pytest.approx(1.0)


@given(st.integers(0, 2_000), st.integers(0, 2_000))
def test_evidence_is_the_same_for_both_directions_and_finite(wins: int, losses: int) -> None:
    value = e_value(wins, losses)
    assert value == pytest.approx(e_value(losses, wins))
    assert 0.0 < value < math.inf


@given(st.lists(st.sampled_from((-1.0, 0.0, 1.0)), min_size=1, max_size=60))
def test_running_evidence_is_the_evidence_at_each_look(values: list[float]) -> None:
    running = running_e_values(np.array(values))
    for i in range(len(values)):
        seen = values[: i + 1]
        assert running[i] == pytest.approx(e_value(seen.count(1.0), seen.count(-1.0)))


def test_sequence_is_wider_than_the_fixed_interval_and_shrinks() -> None:
    widths = [
        confidence_sequence_half_width(n, 0.5, alpha=0.05, n_optimal=400)
        for n in (50, 100, 400, 1_600)
    ]
    assert widths == sorted(widths, reverse=True)
    assert widths[2] > 1.96 * 0.5 / 400**0.5


def test_sequence_is_about_narrowest_where_it_was_asked_to_be() -> None:
    at = {
        n_optimal: confidence_sequence_half_width(300, 1.0, alpha=0.05, n_optimal=n_optimal)
        for n_optimal in (30, 300, 3_000)
    }
    assert at[300] == min(at.values())


def test_sequence_covers_at_all_looks_together() -> None:
    rng = np.random.default_rng(1)
    missed = 0
    for _ in range(200):
        values = rng.normal(0.1, 0.4, 600)
        missed += any(
            not s.low <= 0.1 <= s.high
            for s in (confidence_sequence(values[:n], n_optimal=600) for n in range(50, 601, 25))
        )
    assert missed / 200 <= 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5


def test_look_stops_as_soon_as_better_or_worse_is_shown() -> None:
    wins = np.array([1.0] * 12 + [-1.0] + [0.0] * 10)
    assert look(wins) == look(wins)
    assert look(wins).verdict is Verdict.SUPERIOR
    assert look(wins).stop
    assert look(-wins).verdict is Verdict.INFERIOR
    assert look(np.array([1.0, -1.0] * 15)).stop is False


def test_look_keeps_silent_below_the_minimum_of_pairs() -> None:
    early = look(np.ones(19))
    assert early.verdict is Verdict.INSUFFICIENT_DATA
    assert not early.stop
    assert early.interval is None


def test_margin_is_decided_by_the_sequence_from_fifty_examples_on() -> None:
    close = np.array([0.0] * 18 + [1.0, -1.0])
    assert look(np.tile(close, 2), margin=0.9).verdict is Verdict.INCONCLUSIVE
    assert look(np.tile(close, 3), margin=0.9).verdict is Verdict.NON_INFERIOR
    slightly_worse = np.tile([0.0] * 9 + [-1.0], 60)
    assert look(slightly_worse, margin=0.3).verdict is Verdict.WORSE_WITHIN_MARGIN
    assert look(slightly_worse, margin=0.05).verdict is Verdict.INFERIOR


def test_nothing_changed_yet_is_not_taken_for_certainty() -> None:
    silent = look(np.zeros(60), margin=0.03)
    assert silent.verdict is Verdict.INCONCLUSIVE
    assert silent.interval is not None
    assert silent.interval.low < -0.03


def test_graded_scores_are_decided_by_the_sequence() -> None:
    rng = np.random.default_rng(2)
    better = rng.normal(0.3, 0.3, 80)
    assert look(better[:49], binary=False).verdict is Verdict.INCONCLUSIVE
    assert look(better, binary=False).verdict is Verdict.SUPERIOR
    assert look(better, binary=False).e_value is None


def test_run_ends_at_its_maximum_whatever_it_found() -> None:
    undecided = look(np.array([1.0, -1.0] * 50), n_max=100)
    assert undecided.verdict is Verdict.INCONCLUSIVE
    assert undecided.stop


def test_what_cannot_be_looked_at_is_refused() -> None:
    clustered = Differences(np.ones(30), True, 1.0, np.zeros(30, dtype=np.intp))
    with pytest.raises(ValueError, match="one difference a cluster"):
        sequential_look(clustered, n_max=50)
    with pytest.raises(ValueError, match="Alpha"):
        mixture_variance(0.0, 10)
    with pytest.raises(ValueError, match="at least 1"):
        mixture_variance(0.05, 0)
    with pytest.raises(ValueError, match="cannot be negative"):
        e_value(-1, 3)
    with pytest.raises(ValueError, match="At least one example"):
        confidence_sequence_half_width(0, 1.0, alpha=0.05, n_optimal=10)
    with pytest.raises(ValueError, match="at least two"):
        confidence_sequence(np.ones(1), n_optimal=10)
