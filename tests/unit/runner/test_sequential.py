"""When a sequential experiment may stop, and in which order it asks."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.runner.generation.remaining import seeded_order
from workbench.runner.generation.sequential import LookPlan, find_end, places_of_looks
from workbench.statistics.arrays import FloatArray
from workbench.statistics.interval import normal_critical
from workbench.statistics.verdict import Verdict

PLAN = LookPlan(n_max=1000, candidates=1, binary=True, score_range=1.0, margin=0.05)


def drawn(
    rng: np.random.Generator, n: int, win: float, loss: float, candidates: int = 1
) -> FloatArray:
    draws = rng.random((n, candidates))
    return (draws < win).astype(float) - ((draws >= win) & (draws < win + loss))


# --- the order ------------------------------------------------------------------------------------


@given(st.integers(0, 400), st.integers(0, 2**63 - 1))
def test_every_example_is_asked_once(count: int, seed: int) -> None:
    assert sorted(seeded_order(count, seed)) == list(range(count))


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 2**63 - 1))
def test_fewer_examples_keep_the_order_that_they_have_among_more(
    fewer: int, more: int, seed: int
) -> None:
    fewer, more = sorted((fewer, more))
    assert [p for p in seeded_order(more, seed) if p < fewer] == seeded_order(fewer, seed)


def test_the_order_is_the_same_for_ever() -> None:
    assert seeded_order(10, 0) == [1, 2, 9, 4, 5, 6, 3, 7, 0, 8]
    assert seeded_order(10, 1) != seeded_order(10, 0)


def test_places_are_taken_evenly() -> None:
    """The mean position of the first half is that of a random half, over many seeds."""
    means = [np.mean(seeded_order(100, seed)[:50]) for seed in range(200)]
    assert abs(np.mean(means) - 49.5) < 4 * 2.9 / 200**0.5


# --- the looks ------------------------------------------------------------------------------------


@given(st.integers(1, 200_000))
def test_looks_rise_to_the_end_and_are_about_a_hundred_at_most(n_max: int) -> None:
    places = places_of_looks(n_max)
    assert places == sorted(set(places))
    assert places[-1] == n_max
    assert len(places) <= 200
    assert all(second - first >= 10 for first, second in pairwise(places[:-1]))


@given(st.integers(0, 10_000), st.integers(20, 300), st.data())
def test_the_end_does_not_depend_on_when_somebody_looks(
    seed: int, n_max: int, data: st.DataObject
) -> None:
    plan = LookPlan(n_max=n_max, candidates=1, binary=True, score_range=1.0, margin=0.1)
    rows = drawn(np.random.default_rng(seed), n_max, 0.3, 0.1)
    at_once = find_end(plan, rows)
    assert at_once is not None
    cuts = sorted(data.draw(st.sets(st.integers(1, n_max), max_size=6)))
    looked_at = 0
    for cut in [*cuts, n_max]:
        end = find_end(plan, rows[:cut], looked_at=looked_at)
        if end is not None:
            break
        looked_at = cut
    assert end == at_once


def test_a_clear_winner_ends_the_experiment_long_before_its_maximum() -> None:
    end = find_end(PLAN, drawn(np.random.default_rng(1), 1000, 0.3, 0.05))
    assert end is not None
    assert end.decided
    assert end.candidates[0].verdict is Verdict.SUPERIOR
    assert end.n_used < 150
    assert end.n_used == end.candidates[0].n == end.looks * 10


def test_while_nothing_is_decided_it_goes_on_and_at_the_maximum_it_ends() -> None:
    even = np.tile([[1.0], [-1.0]], (500, 1))
    assert find_end(PLAN, even[:990]) is None
    end = find_end(PLAN, even)
    assert end is not None
    assert not end.decided
    assert (end.n_used, end.candidates[0].verdict) == (1000, Verdict.INCONCLUSIVE)


def test_it_goes_on_until_every_candidate_is_decided() -> None:
    rng = np.random.default_rng(3)
    better, same = drawn(rng, 1000, 0.3, 0.05), drawn(rng, 1000, 0.1, 0.1)
    plan = LookPlan(n_max=1000, candidates=2, binary=True, score_range=1.0, margin=0.1)
    alone = find_end(plan, better)
    both = find_end(plan, np.hstack((better, same)))
    assert alone is not None
    assert both is not None
    assert both.n_used > alone.n_used
    assert both.candidates[0].verdict is Verdict.SUPERIOR


def test_several_candidates_ask_for_more_evidence_of_each() -> None:
    column = drawn(np.random.default_rng(4), 1000, 0.2, 0.08)
    ends = [
        find_end(
            LookPlan(n_max=1000, candidates=m, binary=True, score_range=1.0), np.tile(column, m)
        )
        for m in (1, 5)
    ]
    assert ends[0] is not None
    assert ends[1] is not None
    assert ends[0].n_used < ends[1].n_used


def test_who_has_to_be_better_is_not_stopped_at_no_worse() -> None:
    same = np.zeros((1000, 1))
    same[::20] = 1.0
    same[10::20] = -1.0
    goals = [
        find_end(
            LookPlan(n_max=1000, candidates=1, binary=True, score_range=1.0, margin=0.2, goal=goal),
            same,
        )
        for goal in ("non_inferiority", "superiority")
    ]
    assert goals[0] is not None
    assert goals[1] is not None
    assert goals[0].candidates[0].verdict is Verdict.NON_INFERIOR
    assert (goals[0].decided, goals[1].decided) == (True, False)


def test_an_example_without_a_score_is_no_pair() -> None:
    rows = np.where(np.arange(100)[:, None] % 2 == 0, np.nan, 1.0)
    plan = LookPlan(n_max=100, candidates=1, binary=True, score_range=1.0)
    end = find_end(plan, rows)
    assert end is not None
    assert (end.n_used, end.candidates[0].n) == (40, 20)


def test_without_any_score_the_experiment_goes_on_to_its_end() -> None:
    plan = LookPlan(n_max=50, candidates=1, binary=True, score_range=1.0)
    assert find_end(plan, np.full((40, 1), np.nan)) is None
    end = find_end(plan, np.full((50, 1), np.nan))
    assert end is not None
    assert end.candidates[0].verdict is Verdict.INSUFFICIENT_DATA


# --- what peeking costs ---------------------------------------------------------------------------


def false_stops(
    sims: int, seed: int, *, win: float, loss: float, plan: LookPlan, wrong: set[Verdict]
) -> float:
    """Return the share of experiments that stop at a verdict which the truth does not bear."""
    rng = np.random.default_rng(seed)
    count = 0
    for _ in range(sims):
        end = find_end(plan, drawn(rng, plan.n_max, win, loss))
        assert end is not None
        count += end.decided and end.candidates[0].verdict in wrong
    return count / sims


def naive_stops(sims: int, seed: int, *, win: float, loss: float, n_max: int) -> float:
    """Return the share that a fixed interval, looked at again and again, would stop falsely."""
    rng, stops, z = np.random.default_rng(seed), 0, normal_critical(0.95)
    places = np.array([p for p in places_of_looks(n_max) if p >= 20])
    for _ in range(sims):
        values = drawn(rng, n_max, win, loss)[:, 0]
        means = np.cumsum(values)[places - 1] / places
        squares = np.cumsum(values**2)[places - 1] / places
        stops += bool((np.abs(means) > z * np.sqrt((squares - means**2) / places)).any())
    return stops / sims


NO_DIFFERENCE = {Verdict.SUPERIOR, Verdict.INFERIOR, Verdict.WORSE_WITHIN_MARGIN}
AT_THE_MARGIN = {Verdict.NON_INFERIOR, Verdict.SUPERIOR, Verdict.WORSE_WITHIN_MARGIN}


def most(sims: int) -> float:
    """Return 5 % and what chance adds to it in so many simulations (three standard errors)."""
    return 0.05 + 3 * math.sqrt(0.05 * 0.95 / sims)


def test_peeking_stops_falsely_in_one_of_twenty_experiments_at_most() -> None:
    plan = LookPlan(n_max=1000, candidates=1, binary=True, score_range=1.0)
    share = false_stops(150, 1, win=0.1, loss=0.1, plan=plan, wrong=NO_DIFFERENCE)
    assert share <= most(150)


def test_looking_naively_stops_falsely_far_more_often() -> None:
    assert naive_stops(300, 1, win=0.1, loss=0.1, n_max=1000) > 0.25


@pytest.mark.nightly
@pytest.mark.parametrize("share", [0.05, 0.1, 0.25])
def test_peeking_holds_its_level_in_two_thousand_experiments(share: float) -> None:
    plan = LookPlan(n_max=1000, candidates=1, binary=True, score_range=1.0)
    stops = false_stops(2000, 7, win=share, loss=share, plan=plan, wrong=NO_DIFFERENCE)
    assert stops <= 0.05
    assert naive_stops(2000, 7, win=share, loss=share, n_max=1000) > 0.25


@pytest.mark.nightly
@pytest.mark.parametrize("changed", [0.1, 0.3])
def test_a_loss_as_large_as_the_margin_is_not_found_acceptable(changed: float) -> None:
    margin = 0.05
    win, loss = (changed - margin) / 2, (changed + margin) / 2
    plan = LookPlan(n_max=1000, candidates=1, binary=True, score_range=1.0, margin=margin)
    assert false_stops(2000, 8, win=win, loss=loss, plan=plan, wrong=AT_THE_MARGIN) <= 0.05


@pytest.mark.nightly
def test_graded_scores_hold_their_level_too() -> None:
    plan = LookPlan(n_max=1000, candidates=1, binary=False, score_range=1.0)
    stops = false_stops(2000, 9, win=0.15, loss=0.15, plan=plan, wrong=NO_DIFFERENCE)
    assert stops <= 0.05
