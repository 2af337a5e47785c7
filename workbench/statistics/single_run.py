"""The interval of one run's mean score, chosen by the data as for a comparison.

- clusters: CR1 standard error, t with C - 1;
- pass or fail, one sample an example: Wilson;
- anything else: t interval of the example means, with the guard.

Two such intervals are never compared with each other: that a pair of them overlaps says little
about the paired difference, which has its own interval.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from workbench.statistics.arrays import FloatArray, IntArray, as_finite_vector
from workbench.statistics.clusters import clustered_mean, varies_between_clusters
from workbench.statistics.interval import Interval
from workbench.statistics.paired_graded import level_interval
from workbench.statistics.policy import DEFAULT_POLICY, Policy
from workbench.statistics.proportions import wilson_interval

__all__ = ["MeanMethod", "RunMean", "run_mean"]


class MeanMethod(StrEnum):
    """Stable names of the interval methods for one run."""

    WILSON = "wilson"
    T = "t"
    T_GUARDED = "t_guarded"
    CLUSTER_CR1 = "cluster_cr1"
    CLUSTER_CR1_GUARDED = "cluster_cr1_guarded"


@dataclass(frozen=True, slots=True)
class RunMean:
    """Mean over examples with its interval."""

    mean: float
    interval: Interval
    method: MeanMethod
    n_examples: int


def run_mean(
    means: FloatArray,
    *,
    binary: bool,
    bounds: tuple[float, float],
    clusters: IntArray | None = None,
    level: float = 0.95,
    policy: Policy = DEFAULT_POLICY,
) -> RunMean:
    """Return the mean of the example means of one run with its default interval.

    `binary` means single 0/1 scores; `bounds` are lowest and highest possible score and cut the
    interval; `clusters` are codes 0 to C - 1. Needs at least one example.
    """
    means = as_finite_vector(means, "means")
    n = means.size
    if clusters is not None:
        guarded = not varies_between_clusters(means, clusters)
        clustered = clustered_mean(means, clusters, level, pseudo=bounds if guarded else None)
        method = MeanMethod.CLUSTER_CR1_GUARDED if guarded else MeanMethod.CLUSTER_CR1
        return RunMean(clustered.mean, _cut(clustered.interval, bounds), method, n)
    if binary:
        passed = int(np.count_nonzero(means))
        return RunMean(passed / n, wilson_interval(passed, n, level), MeanMethod.WILSON, n)
    estimate = level_interval(means, bounds, level, policy)
    method = MeanMethod.T_GUARDED if estimate.guarded else MeanMethod.T
    return RunMean(estimate.mean, _cut(estimate.interval, bounds), method, n)


def _cut(interval: Interval, bounds: tuple[float, float]) -> Interval:
    """No mean lies outside the possible scores, so neither need its interval."""
    return Interval(max(interval.low, bounds[0]), min(interval.high, bounds[1]), interval.level)
