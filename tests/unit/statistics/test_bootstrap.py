"""Bootstrap intervals."""

import numpy as np
import pytest

from tests.unit.statistics.builders import floats
from workbench.statistics.arrays import FloatArray
from workbench.statistics.bootstrap import (
    bca_interval,
    bootstrap_bca,
    draw_units,
    percentile_interval,
    resampled_sums,
)
from workbench.statistics.paired_graded import t_interval


def mean_of(samples: FloatArray) -> FloatArray:
    return np.asarray(samples.mean(axis=-1))


def test_same_seed_same_interval() -> None:
    values = np.random.default_rng(1).gamma(2.0, 1.0, 60)
    one, other = (bootstrap_bca(values, mean_of, seed=4, resamples=500) for _ in range(2))
    assert one == other
    assert bootstrap_bca(values, mean_of, seed=5, resamples=500) != one


def test_mean_of_symmetric_data_agrees_with_the_t_interval() -> None:
    values = np.random.default_rng(2).normal(3.0, 1.0, 400)
    interval, plain = bootstrap_bca(values, mean_of, seed=1), t_interval(values).interval
    assert interval.low == pytest.approx(plain.low, abs=0.02)
    assert interval.high == pytest.approx(plain.high, abs=0.02)


def test_bca_leans_towards_the_long_tail() -> None:
    values = np.random.default_rng(3).lognormal(0.0, 1.0, 60)
    interval = bootstrap_bca(values, mean_of, seed=1)
    estimate = float(values.mean())
    assert interval.high - estimate > 1.2 * (estimate - interval.low)


def test_draws_come_in_bounded_pieces_that_do_not_change_the_result() -> None:
    pieces = list(draw_units(700_000, resamples=3, seed=1))
    assert [rows for rows, _ in pieces] == [slice(0, 1), slice(1, 2), slice(2, 3)]
    assert {drawn.shape for _, drawn in pieces} == {(1, 700_000)}


def test_columns_are_drawn_together() -> None:
    columns = np.stack((np.arange(50.0), 2.0 * np.arange(50.0)))
    sums = resampled_sums(columns, resamples=200, seed=1)
    assert np.array_equal(sums[1], 2.0 * sums[0])


def test_replicates_on_one_side_give_a_finite_interval() -> None:
    replicates = np.linspace(1.0, 2.0, 100)
    interval = bca_interval(0.0, replicates, floats(0.0, 0.0, 0.0))
    assert 1.0 <= interval.low <= interval.high <= 2.0


def test_percentile_interval_cuts_equal_tails() -> None:
    interval = percentile_interval(np.arange(1001.0), 0.9)
    assert (interval.low, interval.high) == pytest.approx((50.0, 950.0))


def test_too_few_values_are_refused() -> None:
    with pytest.raises(ValueError, match="at least three"):
        bootstrap_bca(floats(1.0, 2.0), mean_of, seed=1)
