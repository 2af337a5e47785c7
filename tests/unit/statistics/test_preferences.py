"""Preferences judged in both orders."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.statistics.effect import Method
from workbench.statistics.preferences import (
    Choice,
    analyse_preferences,
    length_bias,
    order_bias,
    swap_outcomes,
)

choices = st.lists(
    st.tuples(st.sampled_from(Choice), st.sampled_from(Choice)), min_size=1, max_size=60
)


def test_a_judge_that_always_prefers_the_first_answer_says_nothing() -> None:
    first, second = [Choice.CANDIDATE] * 40, [Choice.BASELINE] * 40
    analysis = analyse_preferences(first, second)
    assert (analysis.wins, analysis.losses, analysis.ties) == (0, 0, 40)
    assert analysis.order.consistency == 0.0
    assert analysis.order.always_first == 40
    assert analysis.order.p_position < 1e-9
    assert analysis.win_rate == 0.5
    assert analysis.test.p_value == 1.0


@given(choices)
def test_a_win_counts_only_if_it_holds_in_both_orders(pairs: list[tuple[Choice, Choice]]) -> None:
    first, second = [one for one, _ in pairs], [other for _, other in pairs]
    analysis = analyse_preferences(first, second)
    assert analysis.wins == sum(pair == (Choice.CANDIDATE, Choice.CANDIDATE) for pair in pairs)
    assert analysis.losses == sum(pair == (Choice.BASELINE, Choice.BASELINE) for pair in pairs)
    assert analysis.wins + analysis.losses + analysis.ties == len(pairs)
    assert analysis.win_rate == pytest.approx((analysis.wins + analysis.ties / 2) / len(pairs))
    interval = analysis.win_rate_interval
    assert 0.0 <= interval.low <= analysis.win_rate <= interval.high <= 1.0


@given(choices)
def test_renaming_the_variants_mirrors_the_analysis(pairs: list[tuple[Choice, Choice]]) -> None:
    swap = {
        Choice.CANDIDATE: Choice.BASELINE,
        Choice.BASELINE: Choice.CANDIDATE,
        Choice.TIE: Choice.TIE,
    }
    one = analyse_preferences([a for a, _ in pairs], [b for _, b in pairs])
    other = analyse_preferences([swap[b] for _, b in pairs], [swap[a] for a, _ in pairs])
    assert (one.wins, one.losses) == (other.losses, other.wins)
    assert one.win_rate == pytest.approx(1.0 - other.win_rate)
    assert one.order.consistency == other.order.consistency
    assert one.order.always_first == other.order.always_first


def test_clusters_of_pairs_decide_the_interval() -> None:
    first = [Choice.CANDIDATE, Choice.BASELINE] * 30
    analysis = analyse_preferences(first, first, clusters=[i // 4 for i in range(60)])
    assert analysis.effect.method is Method.CLUSTER_CR1_GUARDED
    assert analysis.effect.n_clusters == 15


def test_length_that_decides_is_found_and_controlled() -> None:
    rng = np.random.default_rng(1)
    lengths = rng.normal(40.0, 100.0, 600)
    by_length = np.where(rng.random(600) < 1 / (1 + np.exp(-lengths / 40.0)), 1.0, -1.0)
    bias = length_bias(by_length, lengths)
    assert bias.p_value < 0.001
    assert bias.slope > 1.0
    assert bias.raw_win_rate > 0.58
    assert bias.controlled_win_rate == pytest.approx(0.5, abs=0.06)


def test_length_that_does_not_matter_changes_nothing() -> None:
    rng = np.random.default_rng(2)
    outcomes = rng.choice((-1.0, 0.0, 1.0), 600, p=(0.2, 0.3, 0.5))
    bias = length_bias(outcomes, rng.normal(0.0, 50.0, 600))
    assert bias.p_value > 0.05
    assert bias.controlled_win_rate == pytest.approx(bias.raw_win_rate, abs=0.02)


def test_equal_lengths_leave_nothing_to_control() -> None:
    bias = length_bias(np.array([1.0, -1.0, 1.0]), np.full(3, 7.0))
    assert (bias.slope, bias.p_value) == (0.0, 1.0)
    assert bias.controlled_win_rate == bias.raw_win_rate


def test_length_that_separates_wins_from_losses_stays_finite() -> None:
    lengths = np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0] * 5)
    bias = length_bias(np.sign(lengths), lengths)
    assert np.isfinite(bias.slope)
    assert bias.p_value < 0.001


def test_pairs_need_both_orders() -> None:
    with pytest.raises(ValueError, match="both orders"):
        swap_outcomes([Choice.TIE], [])
    with pytest.raises(ValueError, match="no judged pair"):
        order_bias([], [])
    with pytest.raises(ValueError, match="length difference of every pair"):
        length_bias(np.ones(3), np.ones(4))
