"""Cost, tokens and latency: how many times as much, and how much slower at the tail.

Amounts are compared on the pairs that have one on both sides. A mean is compared as a ratio,
because "1.3 times the cost" survives a change of prices and of scale; its interval is the
paired BCa bootstrap. A latency quantile is compared as a difference, in the unit of the
amounts, with a percentile bootstrap.

Both stay fast for any number of pairs:
- beyond `MAX_UNITS` pairs the ratio is bootstrapped over blocks of pairs put together at
  random: block sums of independent pairs are independent too, and 1,000 of them leave nothing
  to gain (the grouped jackknife, Shao & Tu 1995);
- the quantile gives every pair a Poisson(1) weight instead of drawing with replacement
  (Hanley & MacGibbon 2006; Chamandy et al. 2012). Pairs far from both quantiles matter only by
  how many fall on which side, so they are drawn as four sums;
- beyond `MANY_PAIRS` pairs all are drawn as the four sums, and a draw's quantile is the amount
  as many places further on as the draw lacks weight below (Bahadur's representation, 1966):
  the weights in between are taken for their mean of one, which narrows the interval by about a
  hundredth.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.statistics.arrays import FloatArray, IntArray, as_finite_vector
from workbench.statistics.bootstrap import bca_interval, percentile_interval, resampled_sums
from workbench.statistics.clusters import cluster_sums
from workbench.statistics.interval import Interval
from workbench.statistics.policy import DEFAULT_SEED

__all__ = [
    "MANY_PAIRS",
    "MAX_UNITS",
    "QuantileDifference",
    "RatioOfMeans",
    "quantile_difference",
    "ratio_of_means",
    "why_no_ratio",
]

MAX_UNITS: Final = 1_000
MANY_PAIRS: Final = 20_000
_MAX_EMPTY_DRAWS: Final = 5e-4
"""Share of resamples without any baseline amount that the interval bears."""
_WINDOW_SIGMAS: Final = 6.0
_DRAWS_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class RatioOfMeans:
    """Candidate mean divided by baseline mean; 1 means equal."""

    baseline_mean: float
    candidate_mean: float
    ratio: float
    interval: Interval
    n_pairs: int


@dataclass(frozen=True, slots=True)
class QuantileDifference:
    """Quantile of the candidate minus the same quantile of the baseline."""

    quantile: float
    baseline: float
    candidate: float
    difference: float
    interval: Interval
    n_pairs: int


def _paired(baseline: FloatArray, candidate: FloatArray) -> tuple[FloatArray, FloatArray]:
    before = as_finite_vector(baseline, "baseline")
    after = as_finite_vector(candidate, "candidate")
    if before.shape != after.shape:
        raise ValueError("Both sides must hold the same examples in the same order.")
    if before.size < 2:
        raise ValueError("An interval needs at least two pairs.")
    return before, after


def _ratio(totals: FloatArray) -> FloatArray:
    """Divide candidate totals (row 1) by baseline totals (row 0)."""
    # One resample in thousands may have no baseline at all.
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios: FloatArray = totals[1] / totals[0]
    return np.nan_to_num(ratios, nan=1.0, posinf=np.finfo(np.float64).max)


def why_no_ratio(baseline: FloatArray) -> str | None:
    """Return why these baseline amounts (of examples or clusters) bear no ratio, or None."""
    n = baseline.size
    if n < 2:
        return "Fewer than two independent examples have an amount on both sides."
    zeros = n - int(np.count_nonzero(baseline))
    if zeros == n:
        return "The baseline amounts are all zero, so there is no ratio to them."
    if (zeros / n) ** n > _MAX_EMPTY_DRAWS:
        return "Nearly all baseline amounts are zero, so the ratio to them has no upper bound."
    return None


def _random_blocks(n: int, seed: int) -> IntArray:
    """Put n units at random into `MAX_UNITS` blocks whose sizes differ by one at most."""
    blocks: IntArray = np.random.default_rng(seed).permutation(np.arange(n) % MAX_UNITS)
    return blocks


def ratio_of_means(
    baseline: FloatArray,
    candidate: FloatArray,
    *,
    clusters: IntArray | None = None,
    level: float = 0.95,
    resamples: int = 2_000,
    seed: int = DEFAULT_SEED,
) -> RatioOfMeans:
    """Return the ratio of mean amounts of aligned pairs with its BCa interval.

    Amounts must not be negative, and the baseline not zero or nearly so (`why_no_ratio`), else
    ValueError: nothing can be said about "times as much" as nothing. With `clusters` (codes 0
    to C - 1) whole clusters are drawn.
    """
    before, after = _paired(baseline, candidate)
    if min(before.min(), after.min()) < 0.0:
        raise ValueError("A ratio of means needs amounts that are not negative.")
    codes = clusters
    if codes is None and before.size > MAX_UNITS:
        codes = _random_blocks(before.size, seed)
    if codes is None:
        units = np.stack((before, after))
    else:
        units = np.stack([cluster_sums(side, codes)[0] for side in (before, after)])
    reason = why_no_ratio(units[0])
    if reason is not None:
        raise ValueError(reason)
    totals = units.sum(axis=1, keepdims=True)
    ratio = float(_ratio(totals)[0])
    replicates = _ratio(resampled_sums(units, resamples=resamples, seed=seed))
    interval = bca_interval(ratio, replicates, _ratio(totals - units), level)
    return RatioOfMeans(float(before.mean()), float(after.mean()), ratio, interval, before.size)


def _quantile_index(quantile: float, n: int) -> int:
    """Position of the quantile in sorted data: the smallest value with that share at or below."""
    return min(n - 1, max(0, math.ceil(quantile * n - 1e-9) - 1))


def _poisson_table() -> NDArray[np.uint8]:
    """Return the Poisson(1) count of each 16-bit number: a table is drawn from many times faster
    than the distribution, and off by less than 1 / 65,536 in any probability."""
    counts = np.arange(_LARGEST_COUNT)
    cumulative = np.cumsum(np.exp(-1.0 - np.array([math.lgamma(k + 1.0) for k in counts])))
    uniform = (np.arange(_STEPS) + 0.5) / _STEPS
    table: NDArray[np.uint8] = np.searchsorted(cumulative, uniform).astype(np.uint8)
    return table


_STEPS: Final = 2**16
_LARGEST_COUNT: Final = 20
_POISSON: Final = _poisson_table()


class _Side:
    """One side's sorted values near the quantile, ready to take weights."""

    def __init__(self, values: FloatArray, near: IntArray) -> None:
        self.order = np.argsort(values[near], kind="stable")
        self.sorted_values = values[near][self.order]

    def weighted_quantiles(
        self,
        quantile: float,
        weights: NDArray[np.uint8],
        below: FloatArray,
        total: FloatArray,
    ) -> FloatArray:
        """Return the quantile of each row of `weights`, with weight `below` under all of them."""
        reached = np.cumsum(weights[:, self.order], axis=1, dtype=np.int32)
        target = (quantile * total - 1e-9 - below)[:, np.newaxis]
        position = np.minimum(
            np.count_nonzero(reached < target, axis=1), self.sorted_values.size - 1
        )
        quantiles: FloatArray = self.sorted_values[position]
        return quantiles


def quantile_difference(
    baseline: FloatArray,
    candidate: FloatArray,
    quantile: float,
    *,
    level: float = 0.95,
    resamples: int = 2_000,
    seed: int = DEFAULT_SEED,
) -> QuantileDifference:
    """Return the difference of a quantile (0.95 for p95) with its percentile interval.

    The quantile is the smallest amount that at least that share of the examples does not
    exceed, so it is always an observed amount.
    """
    before, after = _paired(baseline, candidate)
    if not 0.0 < quantile < 1.0:
        raise ValueError(f"A quantile lies between 0 and 1, not at {quantile!r}.")
    index = _quantile_index(quantile, before.size)
    orders = [np.argsort(side, kind="stable") for side in (before, after)]
    draw = _quantile_replicates if before.size <= MANY_PAIRS else _shifted_quantiles
    replicates = draw((before, after), (orders[0], orders[1]), quantile, resamples, seed)
    at = [float(side[order[index]]) for side, order in zip((before, after), orders, strict=True)]
    return QuantileDifference(
        quantile=quantile,
        baseline=at[0],
        candidate=at[1],
        difference=at[1] - at[0],
        interval=percentile_interval(replicates, level),
        n_pairs=before.size,
    )


def _shifted_quantiles(
    values: tuple[FloatArray, FloatArray],
    orders: tuple[IntArray, IntArray],
    quantile: float,
    resamples: int,
    seed: int,
) -> FloatArray:
    """Return the quantile difference of each draw from the weight below the quantiles alone."""
    n = values[0].size
    index = _quantile_index(quantile, n)
    below = np.zeros((2, n), dtype=np.intp)
    for side, order in zip(below, orders, strict=True):
        side[order[:index]] = 1
    cells = np.bincount(below[0] + 2 * below[1], minlength=4)
    drawn = np.random.default_rng(seed).poisson(cells, size=(resamples, 4))
    lacking = quantile * drawn.sum(axis=1) - 1e-9
    replicates = np.zeros(resamples)
    # Pairs of cell 3 lie below on both sides, those of cells 1 and 2 on one alone.
    for sign, cell, amounts, order in zip((-1.0, 1.0), (1, 2), values, orders, strict=True):
        shift = np.ceil(lacking - drawn[:, cell] - drawn[:, 3]).astype(np.intp) - 1
        replicates += sign * amounts[order[np.clip(index + shift, 0, n - 1)]]
    return replicates


def _quantile_replicates(
    values: tuple[FloatArray, FloatArray],
    orders: tuple[IntArray, IntArray],
    quantile: float,
    resamples: int,
    seed: int,
) -> FloatArray:
    """Draw Poisson weights and return the quantile difference of each draw.

    `orders` sorts either side. Beyond six standard deviations of the number below the quantile,
    a pair cannot become the quantile.
    """
    n = values[0].size
    index = _quantile_index(quantile, n)
    distance = [np.argsort(order) - index for order in orders]
    window = _WINDOW_SIGMAS * math.sqrt(n * quantile * (1.0 - quantile)) + 1.0
    is_near = (np.abs(distance[0]) <= window) | (np.abs(distance[1]) <= window)
    near = np.flatnonzero(is_near)
    below = [(side < 0) & ~is_near for side in distance]
    # How many far pairs lie below on neither side, on the baseline only, and so on.
    cells = np.bincount((below[0] + 2 * below[1])[~is_near], minlength=4)
    sides = [_Side(side, near) for side in values]
    rng = np.random.default_rng(seed)
    replicates = np.empty(resamples)
    for start in range(0, resamples, _DRAWS_AT_ONCE):
        draws = min(_DRAWS_AT_ONCE, resamples - start)
        far = rng.poisson(cells, size=(draws, 4)).astype(np.float64)
        weights = _POISSON[rng.integers(_STEPS, size=(draws, near.size), dtype=np.uint16)]
        total = weights.sum(axis=1, dtype=np.float64) + far.sum(axis=1)
        under = far[:, 1] + far[:, 3], far[:, 2] + far[:, 3]
        quantiles = [
            side.weighted_quantiles(quantile, weights, under[i], total)
            for i, side in enumerate(sides)
        ]
        replicates[start : start + draws] = quantiles[1] - quantiles[0]
    return replicates
