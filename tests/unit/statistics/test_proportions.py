"""Intervals for one proportion."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.statistics.interval import Interval
from workbench.statistics.proportions import (
    agresti_coull_interval,
    beta_interval,
    clopper_pearson_interval,
    clopper_pearson_upper,
    wilson_interval,
)

ALL = (wilson_interval, clopper_pearson_interval, agresti_coull_interval, beta_interval)
counts = st.integers(1, 2_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
levels = st.sampled_from((0.8, 0.9, 0.95, 0.99, 0.999))


@given(counts, levels)
def test_every_interval_lies_between_zero_and_one_and_is_never_empty(
    count: tuple[int, int], level: float
) -> None:
    for method in ALL:
        interval = method(*count, level)
        assert 0.0 <= interval.low < interval.high <= 1.0


@given(counts, levels)
def test_wilson_and_clopper_pearson_contain_the_observed_share(
    count: tuple[int, int], level: float
) -> None:
    share = count[0] / count[1]
    for method in (wilson_interval, clopper_pearson_interval):
        interval = method(*count, level)
        assert interval.low <= share + 1e-12
        assert interval.high >= share - 1e-12


@given(counts)
def test_failures_mirror_successes(count: tuple[int, int]) -> None:
    successes, n = count
    for method in ALL:
        one, other = method(successes, n), method(n - successes, n)
        assert one.low == pytest.approx(1.0 - other.high, abs=1e-9)


@given(counts)
def test_a_higher_level_gives_a_wider_interval(count: tuple[int, int]) -> None:
    def contains(outer: Interval, inner: Interval) -> bool:
        return outer.low <= inner.low and inner.high <= outer.high

    for method in ALL:
        assert contains(method(*count, 0.99), method(*count, 0.9))


def test_no_failure_in_n_still_allows_a_rate_of_about_three_in_n() -> None:
    assert clopper_pearson_upper(0, 300) == pytest.approx(3.0 / 300, rel=0.01)
    assert clopper_pearson_upper(5, 5) == 1.0


@given(counts)
def test_one_sided_bound_is_the_upper_end_of_the_wider_two_sided_interval(
    count: tuple[int, int],
) -> None:
    two_sided = clopper_pearson_interval(*count, 0.9).high
    assert clopper_pearson_upper(*count, 0.95) == pytest.approx(two_sided, abs=1e-12)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(successes: int, n: int) -> None:
    for method in ALL:
        with pytest.raises(ValueError, match=r"(at least one trial|between 0 and n)"):
            method(successes, n)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_that_is_no_share_is_refused(level: float) -> None:
    for method in ALL:
        with pytest.raises(ValueError, match="between 0 and 1"):
            method(3, 9, level)
