"""Means and intervals when examples come in clusters (documents, users, templates).

Examples of one cluster resemble each other, so the cluster is what is sampled. The mean still
weights examples equally; only its standard error follows the clusters:

    SE^2 = (1 / n^2) * sum over clusters of (sum of residuals in the cluster)^2

as in Miller 2024 (arXiv 2411.00640). `CR1` multiplies SE^2 by C / (C - 1) for C clusters, and
the interval uses t with C - 1 degrees of freedom (Cameron & Miller 2015).
"""

import math
from dataclasses import dataclass

import numpy as np

from workbench.statistics.arrays import FloatArray, IntArray, as_finite_vector, skewness
from workbench.statistics.interval import Interval, symmetric_interval, t_critical
from workbench.statistics.permutation import SignFlipTest, sign_flip_test

__all__ = [
    "ClusteredMean",
    "cluster_sign_flip",
    "cluster_sums",
    "clustered_mean",
    "varies_between_clusters",
]


@dataclass(frozen=True, slots=True)
class ClusteredMean:
    """A mean with the three standard errors and the CR1 interval."""

    mean: float
    se_independent: float
    se_uncorrected: float
    se_cr1: float
    n: int
    n_clusters: int
    df: int
    interval: Interval
    guarded: bool


def cluster_sums(values: FloatArray, codes: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return sum and size of each cluster; `codes` number the clusters 0 to C - 1."""
    if values.shape != codes.shape:
        raise ValueError("Every value needs a cluster.")
    sums = np.bincount(codes, weights=values).astype(np.float64)
    sizes = np.bincount(codes).astype(np.float64)
    return sums, sizes


def clustered_mean(
    values: FloatArray,
    codes: IntArray,
    level: float = 0.95,
    *,
    pseudo: tuple[float, float] | None = None,
) -> ClusteredMean:
    """Return the mean of `values` with the cluster-robust (CR1) t interval.

    `pseudo` is the guard for data in which hardly anything varies: two clusters of average
    size, all their values at either end of what is possible, join the data for the interval
    only. Without it at least two clusters are needed.
    """
    values = as_finite_vector(values, "values")
    sums, sizes = cluster_sums(values, codes)
    mean = float(values.mean())
    independent = float(values.std(ddof=1)) / math.sqrt(values.size) if values.size > 1 else 0.0
    if pseudo is not None:
        size = float(sizes.mean())
        sums = np.concatenate((sums, (size * pseudo[0], size * pseudo[1])))
        sizes = np.concatenate((sizes, (size, size)))
    n_clusters = sums.size
    if n_clusters < 2:
        raise ValueError("A clustered interval needs at least two clusters.")
    centre = float(sums.sum() / sizes.sum())
    residuals = sums - sizes * centre
    uncorrected = math.sqrt(float(residuals @ residuals)) / float(sizes.sum())
    cr1 = uncorrected * math.sqrt(n_clusters / (n_clusters - 1))
    df = n_clusters - 1
    return ClusteredMean(
        mean=mean,
        se_independent=independent,
        se_uncorrected=uncorrected,
        se_cr1=cr1,
        n=values.size,
        n_clusters=int(codes.max()) + 1,
        df=df,
        interval=symmetric_interval(centre, cr1, t_critical(level, df), level),
        guarded=pseudo is not None,
    )


def varies_between_clusters(values: FloatArray, codes: IntArray) -> bool:
    """Tell whether there are two clusters at least and their sums carry any variation.

    Without it the cluster-robust standard error is zero, which says nothing.
    """
    sums, sizes = cluster_sums(values, codes)
    return not math.isinf(skewness(sums - sizes * values.mean()))


def cluster_sign_flip(differences: FloatArray, codes: IntArray, *, seed: int) -> SignFlipTest:
    """Sign-flip test in which all examples of a cluster flip together."""
    sums, _ = cluster_sums(as_finite_vector(differences, "differences"), codes)
    return sign_flip_test(sums, seed=seed)
