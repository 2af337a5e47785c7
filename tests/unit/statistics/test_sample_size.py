"""Detectable differences and needed examples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.statistics.paired_binary import tango_interval
from workbench.statistics.sample_size import (
    Variance,
    examples_for_difference,
    examples_for_margin,
    fewest_examples_for_margin,
    minimum_detectable_effect,
    planned_detectable_effect,
    planned_examples,
    relative_variance,
)


def test_two_point_eight_standard_errors_are_detected() -> None:
    assert minimum_detectable_effect(1.0) == pytest.approx(2.8016, abs=1e-4)


@given(st.floats(0.01, 4.0), st.floats(0.005, 0.5))
def test_needed_examples_detect_what_they_are_needed_for(
    variance: float, difference: float
) -> None:
    n = examples_for_difference(variance, difference)
    detects = minimum_detectable_effect((variance / n) ** 0.5)
    assert detects <= difference * (1 + 1e-6)
    if n > 2:
        assert minimum_detectable_effect((variance / (n - 1)) ** 0.5) > difference * (1 - 1e-6)


@given(st.integers(2, 5_000), st.floats(0.005, 0.5))
def test_rounding_never_asks_for_one_example_more(n: int, difference: float) -> None:
    variance = n * (difference / minimum_detectable_effect(1.0)) ** 2
    assert examples_for_difference(variance, difference) == n


@given(st.floats(0.01, 1.0), st.floats(0.02, 0.2), st.floats(0.0, 0.1))
def test_expecting_a_gain_needs_fewer_examples_for_the_margin(
    variance: float, margin: float, gain: float
) -> None:
    plain = examples_for_margin(variance, margin)
    assert examples_for_margin(variance, margin, expected_difference=gain) <= plain
    assert examples_for_margin(variance, margin, expected_difference=-margin / 2) >= plain


@given(st.floats(0.005, 0.5))
def test_fewest_examples_are_those_at_which_unchanged_data_support_the_margin(
    margin: float,
) -> None:
    n = fewest_examples_for_margin(margin)
    assert tango_interval(0, 0, n).low > -margin - 1e-9
    if n > 2:
        assert tango_interval(0, 0, n - 1).low <= -margin + 1e-9


def test_plan_with_repetitions_follows_both_of_millers_equations() -> None:
    variance = Variance(between=1 / 9, within_baseline=1 / 6, within_candidate=1 / 6)
    once = planned_detectable_effect(198, variance)
    often = planned_detectable_effect(
        198, variance, repetitions_baseline=10, repetitions_candidate=10
    )
    assert (once, often) == pytest.approx((0.1327, 0.0757), abs=1e-4)
    assert planned_examples(once, variance) in (198, 199)


def test_repetitions_shrink_only_the_part_within_examples() -> None:
    assert relative_variance(1.0, 0.0, 100) == 1.0
    assert relative_variance(0.0, 1.0, 100) == pytest.approx(0.01)


def test_what_cannot_be_planned_is_refused() -> None:
    with pytest.raises(ValueError, match="difference of zero"):
        examples_for_difference(1.0, 0.0)
    with pytest.raises(ValueError, match="variance cannot be negative"):
        examples_for_difference(-1.0, 0.1)
    with pytest.raises(ValueError, match="never be shown"):
        examples_for_margin(1.0, 0.03, expected_difference=-0.03)
    with pytest.raises(ValueError, match="cannot be negative"):
        minimum_detectable_effect(-1.0)
    with pytest.raises(ValueError, match="Alpha and power"):
        minimum_detectable_effect(1.0, power=1.0)
    with pytest.raises(ValueError, match="at least one repetition"):
        planned_examples(0.1, Variance(1.0), repetitions_baseline=0)
    with pytest.raises(ValueError, match="at least one example"):
        planned_detectable_effect(0, Variance(1.0))
    with pytest.raises(ValueError, match="margin must be positive"):
        fewest_examples_for_margin(0.0)
    with pytest.raises(ValueError, match="repetitions at least 1"):
        relative_variance(1.0, 1.0, 0)
