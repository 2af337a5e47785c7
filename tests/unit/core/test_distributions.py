"""Distributions of durations: how near percentiles are, and how often intervals hold."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.distributions import (
    RELATIVE_ERROR,
    Distribution,
    bucket_of,
    mean_estimate,
    wilson,
)

DURATIONS = st.lists(st.floats(0.01, 3.6e6), min_size=1, max_size=300)
SHARES = (0.5, 0.95, 0.99)


def histogram(values: list[float]) -> Distribution:
    buckets: dict[int, int] = {}
    for value in values:
        buckets[bucket_of(value)] = buckets.get(bucket_of(value), 0) + 1
    return Distribution.of_buckets(buckets)


@given(DURATIONS)
def test_a_percentile_of_a_histogram_is_within_two_per_cent_of_the_exact_one(
    values: list[float],
) -> None:
    exact = Distribution.of_values(values).percentiles(SHARES)
    for found, wanted in zip(histogram(values).percentiles(SHARES), exact, strict=True):
        assert found.value == pytest.approx(wanted.value, rel=RELATIVE_ERROR + 1e-9)


@given(DURATIONS)
def test_an_exact_percentile_is_the_value_of_the_nearest_rank(values: list[float]) -> None:
    ordered = sorted(values)
    for share, found in zip(
        SHARES, Distribution.of_values(values).percentiles(SHARES), strict=True
    ):
        assert found.value == ordered[max(1, math.ceil(share * len(values))) - 1]


@given(DURATIONS)
def test_an_interval_encloses_its_percentile(values: list[float]) -> None:
    for found in Distribution.of_values(values).percentiles(SHARES):
        assert found.low is None or found.low <= found.value
        assert found.high is None or found.value <= found.high


def test_few_values_bound_no_high_percentile() -> None:
    found = Distribution.of_values([float(value) for value in range(1, 31)]).percentiles(SHARES)
    assert found[0].low is not None and found[0].high is not None
    assert found[2].high is None


def test_one_value_has_no_interval() -> None:
    [found] = Distribution.of_values([7.0]).percentiles([0.5])
    assert found == (7.0, None, None)


def test_the_ranks_of_a_median_are_those_of_the_tables() -> None:
    """1 - 2 P(B(20, 1/2) <= 5) = 95.86 %, and one rank further in it is 88.5 %."""
    [found] = Distribution.of_values([float(value) for value in range(1, 21)]).percentiles([0.5])
    assert (found.low, found.high) == (6.0, 15.0)


@pytest.mark.parametrize("n", [60, 400])
def test_intervals_hold_about_as_often_as_they_say(n: int) -> None:
    rng, held = random.Random(3), 0
    for _ in range(400):
        values = [rng.lognormvariate(0, 1) for _ in range(n)]
        [found] = Distribution.of_values(values).percentiles([0.5])
        assert found.low is not None and found.high is not None
        held += found.low <= 1.0 <= found.high
    assert 0.93 <= held / 400 <= 0.995


def test_a_share_has_wilsons_interval() -> None:
    """Against the worked example of Newcombe (Statistics in Medicine 17, 1998), 81 of 263."""
    found = wilson(81, 263)
    assert (round(found.low or 0, 4), round(found.high or 0, 4)) == (0.2553, 0.3662)


def test_no_error_of_many_still_has_an_upper_end() -> None:
    found = wilson(0, 20)
    assert found.value == 0
    assert found.low == 0
    assert found.high == pytest.approx(0.1611, abs=1e-4)


def test_a_mean_of_few_values_has_no_interval() -> None:
    assert mean_estimate(3, 6.0, 14.0, is_share=False) == (2.0, None, None)


def test_a_mean_of_shares_never_leaves_zero_to_one() -> None:
    found = mean_estimate(12, 12.0, 12.0, is_share=True)
    assert found.high == 1.0
    assert found.low is not None and 0.7 < found.low < 1.0
