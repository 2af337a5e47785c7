"""Cost, tokens or latency of two runs, put side by side by example key.

The amounts of an example's repetitions are averaged first, so with repetitions a quantile is
one of the examples' mean amounts. Only pairs with an amount on both sides are compared; an
unknown amount is missing, never 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.statistics.arrays import FloatArray, IntArray
from workbench.statistics.clusters import cluster_sums
from workbench.statistics.observations import Aligned, Observations, align, shared_clusters
from workbench.statistics.policy import DEFAULT_SEED
from workbench.statistics.ratios import (
    QuantileDifference,
    RatioOfMeans,
    quantile_difference,
    ratio_of_means,
    why_no_ratio,
)

__all__ = ["AmountComparison", "compare_aligned_amounts", "compare_amounts"]


@dataclass(frozen=True, slots=True)
class AmountComparison:
    """Amounts of candidate and baseline.

    `*_total` sums every known amount of a run, also of cells that have no partner. `ratio` is
    None when there is nothing to divide by; `note` says why then.
    """

    n_pairs: int
    baseline_total: float
    candidate_total: float
    baseline_mean: float | None
    candidate_mean: float | None
    ratio: RatioOfMeans | None
    quantiles: tuple[QuantileDifference, ...]
    note: str | None


def compare_amounts(
    baseline: Observations,
    candidate: Observations,
    *,
    quantiles: Sequence[float] = (),
    level: float = 0.95,
    seed: int = DEFAULT_SEED,
) -> AmountComparison:
    """Compare amounts that are not negative; `Observations.from_values` makes the inputs.

    Needs at least two pairs for the ratio and the quantile differences, else they are left out
    with a note.
    """
    return compare_aligned_amounts(
        align(baseline, candidate),
        (baseline.values, candidate.values),
        quantiles=quantiles,
        level=level,
        seed=seed,
    )


def compare_aligned_amounts(
    aligned: Aligned,
    amounts: tuple[FloatArray, FloatArray],
    *,
    quantiles: Sequence[float] = (),
    level: float = 0.95,
    seed: int = DEFAULT_SEED,
) -> AmountComparison:
    """Compare amounts of the cells of two runs that are aligned already.

    `amounts` has one entry a cell of either side, in the order of its cells, NaN where unknown.
    The interval of a quantile draws examples, also where they come in clusters; it is then too
    short to decide by.
    """
    means = [
        _example_means(cells, values, len(aligned.keys))
        for cells, values in zip(aligned.cells, amounts, strict=True)
    ]
    positions = np.flatnonzero(~(np.isnan(means[0]) | np.isnan(means[1])))
    before, after = means[0][positions], means[1][positions]
    clusters = shared_clusters(aligned, positions)
    units = before if clusters is None else cluster_sums(before, clusters)[0]
    note = why_no_ratio(units)
    ratio = None
    if note is None:
        ratio = ratio_of_means(before, after, clusters=clusters, level=level, seed=seed)
    differences: tuple[QuantileDifference, ...] = ()
    if before.size > 1:
        differences = tuple(
            quantile_difference(before, after, quantile, level=level, seed=seed)
            for quantile in quantiles
        )
    return AmountComparison(
        n_pairs=before.size,
        baseline_total=float(np.nansum(amounts[0])),
        candidate_total=float(np.nansum(amounts[1])),
        baseline_mean=float(before.mean()) if before.size else None,
        candidate_mean=float(after.mean()) if after.size else None,
        ratio=ratio,
        quantiles=differences,
        note=note,
    )


def _example_means(cells: IntArray, amounts: FloatArray, n_examples: int) -> FloatArray:
    """Average the known amounts of each example; NaN where none is known."""
    known = np.flatnonzero(~np.isnan(amounts))
    counts = np.bincount(cells[known], minlength=n_examples)
    if counts.max(initial=0) > 1:
        # Sums of floats depend on their order, and cells come in the order in which calls ended.
        known = known[np.lexsort((amounts[known], cells[known]))]
    sums = np.bincount(cells[known], weights=amounts[known], minlength=n_examples)
    means: FloatArray = np.full(n_examples, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means
