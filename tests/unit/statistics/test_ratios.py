"""Ratios of means and differences of quantiles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.statistics.builders import floats
from workbench.statistics.ratios import (
    MANY_PAIRS,
    MAX_UNITS,
    quantile_difference,
    ratio_of_means,
)


def amounts(seed: int, n: int, factor: float = 1.2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    size = rng.lognormal(0.0, 0.7, n)
    return size * rng.gamma(5.0, 0.2, n), factor * size * rng.gamma(5.0, 0.2, n)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(5, 80))
def test_equal_amounts_have_ratio_one_and_the_unit_does_not_matter(seed: int, n: int) -> None:
    baseline, candidate = amounts(seed, n)
    same = ratio_of_means(baseline, baseline, resamples=200)
    assert (same.ratio, same.interval.low, same.interval.high) == pytest.approx((1.0, 1.0, 1.0))
    one = ratio_of_means(baseline, candidate, resamples=200)
    other = ratio_of_means(baseline * 1e-6, candidate * 1e-6, resamples=200)
    assert other.ratio == pytest.approx(one.ratio, rel=1e-9)
    assert other.interval.low == pytest.approx(one.interval.low, rel=1e-9)


def test_pairing_makes_the_interval_short() -> None:
    baseline, candidate = amounts(1, 300)
    shuffled = np.random.default_rng(2).permutation(candidate)
    paired = ratio_of_means(baseline, candidate).interval.half_width
    assert paired < 0.75 * ratio_of_means(baseline, shuffled).interval.half_width


def test_interval_covers_the_true_ratio() -> None:
    covered = 0
    for seed in range(200):
        interval = ratio_of_means(*amounts(seed, 60, factor=1.3), resamples=600).interval
        covered += interval.low <= 1.3 <= interval.high
    assert covered >= 178


def test_blocks_of_many_pairs_give_the_same_answer_as_all_of_them() -> None:
    baseline, candidate = amounts(3, 6 * MAX_UNITS)
    blocked = ratio_of_means(baseline, candidate)
    ratios = candidate.mean() / baseline.mean()
    influence = (candidate - ratios * baseline) / baseline.mean()
    error = influence.std() / influence.size**0.5
    assert blocked.ratio == pytest.approx(ratios)
    assert blocked.interval.half_width == pytest.approx(1.96 * error, rel=0.12)
    assert blocked == ratio_of_means(baseline, candidate)


def test_clusters_are_drawn_as_a_whole() -> None:
    baseline, candidate = amounts(4, 40)
    codes = np.arange(40)
    once = ratio_of_means(baseline, candidate, clusters=codes)
    copied = ratio_of_means(
        np.repeat(baseline, 5), np.repeat(candidate, 5), clusters=np.repeat(codes, 5)
    )
    assert copied.interval.low == pytest.approx(once.interval.low, rel=1e-9)


def test_baseline_that_is_nearly_always_zero_has_no_ratio() -> None:
    baseline = np.zeros(40)
    baseline[:3] = 1.0
    with pytest.raises(ValueError, match="no upper bound"):
        ratio_of_means(baseline, np.ones(40))
    baseline[:9] = 1.0
    assert np.isfinite(ratio_of_means(baseline, np.ones(40)).interval.high)


def test_ratio_to_nothing_and_negative_amounts_are_refused() -> None:
    with pytest.raises(ValueError, match="all zero"):
        ratio_of_means(np.zeros(3), np.ones(3))
    with pytest.raises(ValueError, match="not negative"):
        ratio_of_means(floats(1, -1, 2), np.ones(3))
    with pytest.raises(ValueError, match="same examples"):
        ratio_of_means(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="at least two pairs"):
        ratio_of_means(np.ones(1), np.ones(1))
    with pytest.raises(ValueError, match="two independent examples"):
        ratio_of_means(np.ones(3), np.ones(3), clusters=np.zeros(3, dtype=np.intp))


def test_quantile_is_an_observed_amount() -> None:
    values = np.arange(1.0, 21.0)
    result = quantile_difference(values, values + 3.0, 0.95, resamples=200)
    assert (result.baseline, result.candidate) == (19.0, 22.0)
    assert (result.interval.low, result.interval.high) == (3.0, 3.0)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.sampled_from((0.1, 0.5, 0.9, 0.95)))
def test_quantile_difference_matches_drawing_pairs_with_replacement(
    seed: int, quantile: float
) -> None:
    baseline, candidate = amounts(seed, 400, factor=1.1)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, 400, size=(2_000, 400))
    sides = [
        np.quantile(side[drawn], quantile, axis=1, method="inverted_cdf")
        for side in (baseline, candidate)
    ]
    low, high = np.quantile(sides[1] - sides[0], (0.025, 0.975))
    result = quantile_difference(baseline, candidate, quantile)
    assert result.interval.half_width == pytest.approx((high - low) / 2.0, rel=0.25)
    assert result.interval.low == pytest.approx(low, abs=0.35 * (high - low))


def test_pairs_far_from_the_quantile_count_only_by_their_side() -> None:
    baseline, candidate = amounts(5, 20_000)
    whole = quantile_difference(baseline, candidate, 0.5)
    # Moving the far ends further out cannot move a median or its interval.
    stretched = [
        np.where(side > np.quantile(side, 0.9), side * 50.0, side) for side in (baseline, candidate)
    ]
    assert quantile_difference(stretched[0], stretched[1], 0.5) == whole


def test_quantile_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile_difference(np.ones(5), np.ones(5), 95)


@pytest.mark.parametrize("quantile", [0.5, 0.95])
def test_beyond_many_pairs_the_interval_of_a_quantile_stays_what_it_was(quantile: float) -> None:
    rng = np.random.default_rng(5)
    baseline = rng.lognormal(6.0, 0.5, MANY_PAIRS + 1)
    candidate = baseline * rng.lognormal(0.02, 0.2, MANY_PAIRS + 1)
    many, few = (
        quantile_difference(baseline[:n], candidate[:n], quantile, resamples=4_000).interval
        for n in (MANY_PAIRS + 1, MANY_PAIRS)
    )
    width = few.high - few.low
    assert many.high - many.low == pytest.approx(width, rel=0.1)
    assert (many.low, many.high) == pytest.approx((few.low, few.high), abs=0.1 * width)


def test_amounts_that_are_all_alike_have_no_difference_in_any_draw() -> None:
    same = np.full(MANY_PAIRS + 1, 250.0)
    found = quantile_difference(same, same, 0.95)
    assert (found.difference, found.interval.low, found.interval.high) == (0.0, 0.0, 0.0)
