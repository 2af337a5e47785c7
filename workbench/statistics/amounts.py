"""Cost, tokens or latency of two runs, put side by side by example key.

The amounts of an example's repetitions are averaged first, so with repetitions a quantile is
one of the examples' mean amounts. Only pairs with an amount on both sides are compared; an
unknown amount is missing, never 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.statistics.clusters import cluster_sums
from workbench.statistics.observations import Observations, align, paired_examples
from workbench.statistics.policy import DEFAULT_SEED
from workbench.statistics.ratios import (
    QuantileDifference,
    RatioOfMeans,
    quantile_difference,
    ratio_of_means,
    why_no_ratio,
)

__all__ = ["AmountComparison", "compare_amounts"]


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
    pairs = paired_examples(align(baseline, candidate))
    before, after = pairs.baseline, pairs.candidate
    units = before if pairs.clusters is None else cluster_sums(before, pairs.clusters)[0]
    note = why_no_ratio(units)
    ratio = None
    if note is None:
        ratio = ratio_of_means(before, after, clusters=pairs.clusters, level=level, seed=seed)
    differences: tuple[QuantileDifference, ...] = ()
    if before.size > 1:
        differences = tuple(
            quantile_difference(before, after, quantile, level=level, seed=seed)
            for quantile in quantiles
        )
    return AmountComparison(
        n_pairs=before.size,
        baseline_total=float(np.nansum(baseline.values)),
        candidate_total=float(np.nansum(candidate.values)),
        baseline_mean=float(before.mean()) if before.size else None,
        candidate_mean=float(after.mean()) if after.size else None,
        ratio=ratio,
        quantiles=differences,
        note=note,
    )
