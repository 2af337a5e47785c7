"""Strengths from pairwise wins."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.statistics.bradley_terry import fit_bradley_terry, rank_variants

NAMES = ["plain", "short", "stepwise"]


def league(seed: int, n: int, strengths: tuple[float, ...]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    k = len(strengths)
    wins = np.zeros((n, k, k))
    for i in range(k):
        for j in range(i):
            chance = 1 / (1 + math.exp(strengths[j] - strengths[i]))
            won = rng.random(n) < chance
            wins[:, i, j], wins[:, j, i] = won, ~won
    return wins


def test_two_variants_have_the_log_odds_of_their_wins() -> None:
    fit = fit_bradley_terry(np.array([[0.0, 10.0], [30.0, 0.0]]))
    assert fit.log_strength.tolist() == pytest.approx([0.0, math.log(3.0)])
    assert fit.win_rate.tolist() == pytest.approx([0.5, 0.75])
    assert fit.standard_error[1] == pytest.approx((1 / 10 + 1 / 30) ** 0.5)


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 50), min_size=12, max_size=12),
    st.integers(0, 3),
)
def test_reference_shifts_the_strengths_and_nothing_else(counts: list[int], reference: int) -> None:
    wins = np.zeros((4, 4))
    wins[~np.eye(4, dtype=bool)] = counts
    one, other = fit_bradley_terry(wins), fit_bradley_terry(wins, reference=reference)
    assert other.log_strength[reference] == 0.0
    shifted = one.log_strength - one.log_strength[reference]
    assert other.log_strength.tolist() == pytest.approx(shifted.tolist(), abs=1e-7)


@settings(deadline=None)
@given(st.lists(st.integers(1, 50), min_size=12, max_size=12))
def test_expected_wins_equal_observed_wins(counts: list[int]) -> None:
    wins = np.zeros((4, 4))
    wins[~np.eye(4, dtype=bool)] = counts
    strength = fit_bradley_terry(wins).log_strength
    chance = 1 / (1 + np.exp(strength - strength[:, np.newaxis]))
    expected = ((wins + wins.T) * chance).sum(axis=1) - (wins + wins.T).diagonal() / 2
    assert expected.tolist() == pytest.approx(wins.sum(axis=1).tolist(), rel=1e-6)


@pytest.mark.parametrize(
    ("wins", "fault"),
    [
        ([[0, 5, 0], [4, 0, 0], [3, 2, 0]], "stepwise never lost"),
        ([[0, 5, 3], [4, 0, 2], [0, 0, 0]], "stepwise never won"),
        ([[0, 5, 1, 1], [4, 0, 1, 1], [0, 0, 0, 3], [0, 0, 2, 0]], "plain is not connected"),
    ],
)
def test_variant_without_a_finite_strength_is_named(wins: list[list[int]], fault: str) -> None:
    table = np.array(wins, dtype=np.float64)
    with pytest.raises(ValueError, match=fault):
        fit_bradley_terry(table, names=[*NAMES, "long"][: len(table)])


def test_ranking_puts_the_best_first_with_intervals_over_examples() -> None:
    ranked = rank_variants(league(1, 150, (0.0, 0.1, 1.2)), NAMES, resamples=300)
    assert ranked[0].name == "stepwise"
    reference = next(variant for variant in ranked if variant.name == "plain")
    assert (reference.win_rate, reference.p_value, reference.p_holm) == (0.5, None, None)
    best = ranked[0]
    assert best.win_rate_interval.low < best.win_rate < best.win_rate_interval.high
    assert best.p_value is not None
    assert best.p_holm is not None
    assert best.p_value <= best.p_holm < 0.01
    assert ranked == rank_variants(league(1, 150, (0.0, 0.1, 1.2)), NAMES, resamples=300)


def test_copies_of_an_example_are_not_more_examples() -> None:
    wins = league(2, 60, (0.0, 0.3, 0.6))
    once = rank_variants(wins, NAMES, resamples=400)
    summed = rank_variants(wins * 3.0, NAMES, resamples=400)
    for one, other in zip(once, summed, strict=True):
        assert other.win_rate_interval.half_width == pytest.approx(
            one.win_rate_interval.half_width, rel=0.02, abs=1e-6
        )


def test_interval_covers_the_true_win_rate() -> None:
    truth, covered = 1 / (1 + math.exp(-0.5)), 0
    for seed in range(60):
        ranked = rank_variants(league(seed, 80, (0.0, 0.5)), NAMES[:2], resamples=200)
        interval = next(v.win_rate_interval for v in ranked if v.name == "short")
        covered += interval.low <= truth <= interval.high
    assert covered >= 50


def test_shapes_that_are_no_league_are_refused() -> None:
    with pytest.raises(ValueError, match="square table"):
        fit_bradley_terry(np.ones((2, 3)))
    with pytest.raises(ValueError, match="not negative"):
        fit_bradley_terry(np.array([[0.0, -1.0], [1.0, 0.0]]))
    with pytest.raises(ValueError, match="at least two examples"):
        rank_variants(np.ones((1, 3, 3)), NAMES)
