"""Planning a comparison: the sizes, from a pilot and from assumptions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Invalid
from workbench.runner.generation.sequential import LookPlan, find_end
from workbench.runner.power_plan import (
    Question,
    Spread,
    assumed_spread,
    detectable,
    examples_needed,
    pilot_spread,
    plan_rows,
    sequential_examples,
)
from workbench.statistics.observations import Observations
from workbench.statistics.sample_size import Variance

SAFE = Question("non_inferiority", 0.03)


def assumed(discordant: float, difference: float = 0.0, unstable: float | None = None) -> Spread:
    return assumed_spread(expected_difference=difference, discordant=discordant, unstable=unstable)


def run(values: list[list[float]]) -> Observations:
    keys = [f"e{i}" for i, row in enumerate(values) for _ in row]
    return Observations.from_values(keys, np.array([v for row in values for v in row]))


def test_a_tenth_discordant_and_three_points_need_the_textbook_number() -> None:
    # (1.96 + 0.8416)^2 * 0.1 / 0.03^2 = 872.1
    assert examples_needed(SAFE, assumed(0.1)) == 873


def test_superiority_needs_the_expected_difference_alone() -> None:
    question = Question("superiority", None, expected_difference=0.05)
    # (2.8016)^2 * (0.15 - 0.0025) / 0.05^2 = 463.1
    assert examples_needed(question, assumed(0.15, 0.05)) == 464


def test_few_changes_still_need_as_many_examples_as_the_interval_has_room_for() -> None:
    assert examples_needed(SAFE, assumed(0.0001)) == 125
    assert detectable(SAFE, assumed(0.0001), 125) <= 0.03 < detectable(SAFE, assumed(0.0001), 124)


@pytest.mark.parametrize(
    ("discordant", "margin", "n_max"), [(0.1, 0.1, 600), (0.2, 0.1, 1000), (0.05, 0.03, 2000)]
)
def test_half_of_sequential_experiments_have_ended_about_where_it_is_said(
    discordant: float, margin: float, n_max: int
) -> None:
    question = Question("non_inferiority", margin)
    likely = sequential_examples(question, assumed(discordant), n_max)
    plan = LookPlan(n_max=n_max, candidates=1, binary=True, score_range=1.0, margin=margin)
    random = np.random.default_rng(7)
    ends = []
    for _ in range(40):
        chances = (discordant / 2, 1 - discordant, discordant / 2)
        differences = random.choice([-1.0, 0.0, 1.0], size=(n_max, 1), p=chances)
        end = find_end(plan, differences)
        assert end is not None
        ends.append(end.n_used)
    assert likely is not None
    assert likely == pytest.approx(np.median(ends), rel=0.3)


def test_a_margin_that_no_look_can_show_has_no_likely_end() -> None:
    assert sequential_examples(SAFE, assumed(0.2), 500) is None


@given(st.floats(0.01, 0.5), st.floats(0.01, 0.3), st.floats(0.0, 0.01), st.integers(1, 8))
def test_the_needed_number_shows_the_margin_and_one_less_does_not(
    discordant: float, margin: float, unstable: float, repetitions: int
) -> None:
    question = Question("non_inferiority", margin)
    spread = assumed(discordant, unstable=unstable)
    n = examples_needed(question, spread, repetitions)
    assert detectable(question, spread, n, repetitions) <= margin * (1 + 1e-6)
    if n > 2:
        assert detectable(question, spread, n - 1, repetitions) >= margin * (1 - 1e-6)


@given(st.floats(0.02, 0.5), st.floats(0.0, 0.02))
def test_more_answers_never_need_more_examples(discordant: float, unstable: float) -> None:
    spread = assumed(discordant, unstable=unstable)
    needed = [examples_needed(SAFE, spread, r) for r in (1, 2, 4, 8)]
    assert needed == sorted(needed, reverse=True)


def test_a_pilot_with_repetitions_tells_what_they_gain() -> None:
    random = np.random.default_rng(3)
    base = (random.random((400, 4)) < 0.7).astype(float)
    other = (random.random((400, 4)) < 0.7).astype(float)
    spread = pilot_spread(run(base.tolist()), run(other.tolist()))
    assert spread.repeatable
    assert spread.variance.within_baseline == pytest.approx(0.21, abs=0.02)
    assert examples_needed(SAFE, spread, 4) < examples_needed(SAFE, spread, 1) / 3


def test_a_pilot_with_one_answer_plans_without_repetitions() -> None:
    spread = pilot_spread(run([[1.0], [0.0]] * 50), run([[1.0], [1.0]] * 50))
    assert not spread.repeatable
    assert "what repetitions gain is not known" in spread.notes[0]


def test_a_pilot_without_any_change_is_not_taken_as_certainty() -> None:
    same = [[1.0]] * 100
    spread = pilot_spread(run(same), run(same))
    assert spread.variance == Variance(0.03)
    assert "at most 3.0 % are assumed" in spread.notes[-1]


def test_a_pilot_that_is_hardly_one_is_refused() -> None:
    with pytest.raises(Invalid, match="1 examples with a score on both sides"):
        pilot_spread(run([[1.0]]), run([[1.0]]))


def test_independent_answers_are_the_cautious_assumption() -> None:
    spread = assumed_spread(expected_difference=0.0, baseline_rate=0.8)
    assert spread.variance.of_difference() == pytest.approx(0.32)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Question("superiority", None), "say by how much"),
        (lambda: Question("non_inferiority", None), "which loss is acceptable"),
        (lambda: Question("non_inferiority", 0.02, -0.02), "no number of examples"),
        (lambda: Question("non_inferiority", 0.02, power=1.0), "between 0 and 1"),
        (lambda: assumed_spread(expected_difference=0.0), "name a pilot"),
        (lambda: assumed(0.05, 0.1), "needs at least that share"),
        (lambda: assumed(1.5), "a share from 0 to 1"),
        (
            lambda: assumed_spread(expected_difference=0.3, baseline_rate=0.8),
            "cannot change by",
        ),
    ],
)
def test_what_cannot_be_planned_is_said(make: object, told: str) -> None:
    with pytest.raises(Invalid, match=told):
        make()  # type: ignore[operator] # each is a function without arguments


def test_a_table_has_the_needed_numbers_the_dataset_and_what_they_cost() -> None:
    rows = plan_rows(
        SAFE, assumed(0.1, unstable=0.05), (1, 2), available=300, cost_of_example=(0.001, 0.01)
    )
    by_size = {row.n: row for row in rows}
    assert {300, 655, 873} <= set(by_size)
    assert by_size[873].enough == (True, True)
    assert by_size[655].enough == (False, True)
    assert by_size[300].costs == (
        pytest.approx((0.3, 3.0)),
        pytest.approx((0.6, 6.0)),
    )
    assert plan_rows(SAFE, assumed(0.1), (1,), available=None, cost_of_example=None)[0].costs == (
        None,
    )
