"""The guarded t interval of a mean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.statistics.builders import floats
from workbench.statistics.arrays import skewness
from workbench.statistics.paired_graded import (
    difference_interval,
    level_interval,
    needs_guard,
    t_interval,
    t_test,
    tost,
)
from workbench.statistics.policy import Policy

graded = st.lists(st.integers(-8, 8).map(lambda i: i / 8), min_size=1, max_size=80).map(
    lambda values: floats(*values)
)


@given(graded)
def test_guard_never_moves_the_estimate(values: np.ndarray) -> None:
    assert difference_interval(values, 1.0).mean == pytest.approx(values.mean(), abs=1e-12)


@given(graded)
def test_interval_is_never_of_zero_width(values: np.ndarray) -> None:
    assert difference_interval(values, 1.0).interval.half_width > 0.0


@given(graded)
def test_swapping_the_variants_mirrors_the_interval(values: np.ndarray) -> None:
    one, other = difference_interval(values, 1.0), difference_interval(-values, 1.0)
    assert one.interval.low == pytest.approx(-other.interval.high, abs=1e-12)
    assert one.guarded == other.guarded


@given(graded, st.sampled_from((0.25, 4.0, 100.0)))
def test_interval_follows_the_unit_of_the_score(values: np.ndarray, factor: float) -> None:
    one, other = difference_interval(values, 1.0), difference_interval(values * factor, factor)
    assert other.interval.low == pytest.approx(one.interval.low * factor, rel=1e-9, abs=1e-12)
    assert other.guarded == one.guarded


def test_guard_watches_the_number_of_changed_examples() -> None:
    values = np.zeros(400)
    values[:9] = [1, -1, 1, -1, 1, -1, 1, -1, 1]
    assert difference_interval(values, 1.0).guarded
    values[9] = -1
    assert not difference_interval(values, 1.0).guarded


def test_guard_watches_the_skewness() -> None:
    values = np.zeros(400)
    values[:12] = 1.0
    assert skewness(values) > 4.0
    assert needs_guard(values, changed=12)
    assert not needs_guard(values, changed=12, policy=Policy(skew_factor=1.0))


def test_equal_differences_are_infinitely_skewed_and_guarded() -> None:
    values = np.full(50, 0.1)
    assert skewness(values) == float("inf")
    assert difference_interval(values, 1.0).guarded


def test_skewness_is_the_moment_ratio() -> None:
    values = floats(0, 0, 0, 1)
    expected = np.mean((values - 0.25) ** 3) / np.mean((values - 0.25) ** 2) ** 1.5
    assert skewness(values) == pytest.approx(expected)
    with pytest.raises(ValueError, match="at least one value"):
        skewness(np.empty(0))


def test_guard_restores_coverage_where_the_plain_t_interval_fails() -> None:
    rng = np.random.default_rng(4)
    guarded = plain = 0
    for _ in range(500):
        values = (rng.random(40) < 0.05).astype(np.float64)
        guarded += (
            difference_interval(values, 1.0).interval.low
            <= 0.05
            <= (difference_interval(values, 1.0).interval.high)
        )
        bounds = t_interval(values).interval
        plain += bounds.low <= 0.05 <= bounds.high
    assert guarded / 500 >= 0.93
    assert plain / 500 < 0.90


def test_one_run_of_equal_scores_has_an_interval_inside_its_range() -> None:
    estimate = level_interval(np.full(40, 0.5), (0.0, 1.0))
    assert estimate.guarded
    assert estimate.mean == 0.5
    assert 0.0 < estimate.interval.low < 0.5 < estimate.interval.high < 1.0


def test_t_test_without_variation_is_certain_or_says_nothing() -> None:
    assert t_test(np.zeros(5)).p_value == 1.0
    assert t_test(np.full(5, -2.0)).p_value == 0.0


def test_equivalence_needs_bounds_in_order_and_is_shown_only_inside_them() -> None:
    values = np.random.default_rng(1).normal(0.0, 0.1, 200)
    assert tost(values, -0.1, 0.1) < 0.001
    assert tost(values, 0.05, 0.1) > 0.5
    assert tost(np.full(9, 0.02), -0.1, 0.1) == 0.0
    assert tost(np.full(9, 0.2), -0.1, 0.1) == 1.0
    with pytest.raises(ValueError, match="below the upper"):
        tost(values, 0.1, -0.1)


def test_what_cannot_be_estimated_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two values"):
        t_interval(floats(1.0))
    with pytest.raises(ValueError, match="at least one pair"):
        difference_interval(np.empty(0), 1.0)
    with pytest.raises(ValueError, match="must be positive"):
        difference_interval(floats(1.0, 2.0), 0.0)
    with pytest.raises(ValueError, match="at least one score"):
        level_interval(np.empty(0), (0.0, 1.0))
    with pytest.raises(ValueError, match="one-dimensional"):
        t_interval(np.zeros((2, 2)))
