"""Bootstrap intervals: BCa and percentile, seeded, in bounded memory.

Units are drawn with replacement; what belongs to one unit stays together, so that columns drawn
alike give the paired bootstrap and cluster sums as units the clustered one. BCa corrects the
percentile interval for bias and skewness (Efron 1987; Efron & Tibshirani 1993, chapter 14). It
is not used for sparse differences, where it covers far too rarely.
"""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from scipy.special import ndtr, ndtri

from workbench.statistics.arrays import FloatArray, IntArray, as_finite_vector
from workbench.statistics.interval import Interval, check_level

__all__ = [
    "Statistic",
    "bca_interval",
    "bootstrap_bca",
    "draw_units",
    "percentile_interval",
    "resampled_sums",
]

Statistic = Callable[[FloatArray], FloatArray]
"""Maps samples, one a row, to one number each."""

_DRAWS_AT_ONCE: Final = 1_000_000
"""Drawn positions held at a time: 8 MB."""


def draw_units(n: int, *, resamples: int, seed: int) -> Iterator[tuple[slice, IntArray]]:
    """Yield the positions drawn for `resamples` samples of `n` units, some rows at a time.

    Each item names the rows and holds their positions, of shape (rows, n).
    """
    rng = np.random.default_rng(seed)
    chunk = max(1, _DRAWS_AT_ONCE // n)
    for start in range(0, resamples, chunk):
        rows = slice(start, min(start + chunk, resamples))
        yield rows, rng.integers(0, n, size=(rows.stop - rows.start, n))


def resampled_sums(columns: FloatArray, *, resamples: int, seed: int) -> FloatArray:
    """Return the column sums of `resamples` samples of units.

    `columns` has shape (k, n): k amounts of each of n units; the result (k, resamples).
    """
    sums = np.empty((len(columns), resamples))
    for rows, drawn in draw_units(columns.shape[1], resamples=resamples, seed=seed):
        for column, total in zip(columns, sums, strict=True):
            total[rows] = column[drawn].sum(axis=1)
    return sums


def percentile_interval(replicates: FloatArray, level: float) -> Interval:
    """Return the central `level` of the replicates."""
    check_level(level)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(replicates, (tail, 1.0 - tail))
    return Interval(float(low), float(high), level)


def _acceleration(leave_one_out: FloatArray) -> float:
    deviations = leave_one_out.mean() - leave_one_out
    spread = float(np.sum(deviations**2))
    return 0.0 if spread == 0.0 else float(np.sum(deviations**3)) / (6.0 * spread**1.5)


def bca_interval(
    estimate: float, replicates: FloatArray, leave_one_out: FloatArray, level: float = 0.95
) -> Interval:
    """Return the bias-corrected and accelerated interval.

    `replicates` are the statistic on resamples, `leave_one_out` on the data without one unit
    at a time. When every replicate is the same number, that number is both bounds: the data
    show no variation at all, and the caller has to say so.
    """
    check_level(level)
    # A resample can be the data themselves; rounding must not decide on which side it falls.
    rounding = 1e-12 * abs(estimate)
    equal = np.abs(replicates - estimate) <= rounding
    below = float(np.mean((replicates < estimate) & ~equal) + np.mean(equal) / 2.0)
    # With every replicate on one side the correction would be infinite; half a draw is the
    # most that this many draws can tell.
    half_draw = 0.5 / replicates.size
    bias = float(ndtri(min(max(below, half_draw), 1.0 - half_draw)))
    acceleration = _acceleration(leave_one_out)
    tail = float(ndtri((1.0 + level) / 2.0))
    shares = [
        float(ndtr(bias + (bias + z) / (1.0 - acceleration * (bias + z)))) for z in (-tail, tail)
    ]
    low, high = np.quantile(replicates, shares)
    return Interval(float(low), float(high), level)


def bootstrap_bca(
    values: FloatArray,
    statistic: Statistic,
    level: float = 0.95,
    *,
    resamples: int = 9_999,
    seed: int,
) -> Interval:
    """Return the BCa interval of any statistic of one sample of at least three values."""
    values = as_finite_vector(values, "values")
    n = values.size
    if n < 3:
        raise ValueError("A bootstrap interval needs at least three values.")
    replicates = np.empty(resamples)
    for rows, drawn in draw_units(n, resamples=resamples, seed=seed):
        replicates[rows] = statistic(values[drawn])
    others = np.arange(n - 1)
    kept = others + (others >= np.arange(n)[:, np.newaxis])
    estimate = float(statistic(values[np.newaxis])[0])
    return bca_interval(estimate, replicates, statistic(values[kept]), level)
