"""The default analysis of paired differences: which interval, which test, and why.

There is nothing to choose for the user. The data decide:

- clusters declared: the clusters are what was sampled; CR1 standard error, t with C - 1;
- each example passed or failed as a whole: Tango's score interval, exact McNemar;
- anything else: t interval of the example differences, with the guard, and sign-flip test.

Differences come oriented: positive means that the candidate is better.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from workbench.statistics.arrays import FloatArray, IntArray
from workbench.statistics.clusters import cluster_sign_flip, clustered_mean, varies_between_clusters
from workbench.statistics.interval import Interval, normal_critical
from workbench.statistics.paired_binary import mcnemar_exact, mcnemar_mid_p, tango_interval
from workbench.statistics.paired_graded import difference_interval
from workbench.statistics.permutation import SignFlipTest, sign_flip_test
from workbench.statistics.policy import DEFAULT_POLICY, Policy

__all__ = [
    "Differences",
    "Effect",
    "EffectTest",
    "Method",
    "PMethod",
    "effect_test",
    "estimate_effect",
]


class Method(StrEnum):
    """Stable names of the interval methods."""

    TANGO = "tango"
    T = "t"
    T_GUARDED = "t_guarded"
    CLUSTER_CR1 = "cluster_cr1"
    CLUSTER_CR1_GUARDED = "cluster_cr1_guarded"
    CONFIDENCE_SEQUENCE = "confidence_sequence"


class PMethod(StrEnum):
    """Stable names of the tests."""

    MCNEMAR_EXACT = "mcnemar_exact"
    SIGN_FLIP_EXACT = "sign_flip_exact"
    SIGN_FLIP = "sign_flip"
    CLUSTER_SIGN_FLIP_EXACT = "cluster_sign_flip_exact"
    CLUSTER_SIGN_FLIP = "cluster_sign_flip"
    E_PROCESS = "e_process"


@dataclass(frozen=True, slots=True, eq=False)
class Differences:
    """Oriented differences, one an example, and what is needed to choose the analysis.

    `binary` means that each is a difference of two scores that are 0 or 1; `score_range` is the
    distance between worst and best score; `clusters` holds codes 0 to C - 1.
    """

    values: FloatArray
    binary: bool
    score_range: float
    clusters: IntArray | None = None

    @property
    def better(self) -> int:
        """Number of examples on which the candidate is better."""
        return int(np.count_nonzero(self.values > 0.0))

    @property
    def worse(self) -> int:
        """Number of examples on which the baseline is better."""
        return int(np.count_nonzero(self.values < 0.0))


@dataclass(frozen=True, slots=True)
class Effect:
    """The estimated difference; `standard_error` is the one to plan with, never zero."""

    method: Method
    reason: str
    estimate: float
    interval: Interval
    standard_error: float
    n_pairs: int
    n_clusters: int | None
    guarded: bool


@dataclass(frozen=True, slots=True)
class EffectTest:
    """A p-value shown beside the interval; `mid_p` for binary data only."""

    method: PMethod
    p_value: float
    mid_p: float | None = None


def estimate_effect(
    differences: Differences, level: float = 0.95, policy: Policy = DEFAULT_POLICY
) -> Effect:
    """Return the mean difference with the interval that fits the data. Needs one pair."""
    if differences.values.size == 0:
        raise ValueError("There is no example with a score on both sides.")
    if differences.clusters is not None:
        return _clustered(differences, differences.clusters, level, policy)
    if differences.binary:
        return _binary(differences, level, policy)
    return _graded(differences, level, policy)


def _binary(differences: Differences, level: float, policy: Policy) -> Effect:
    better, worse, n = differences.better, differences.worse, differences.values.size
    interval = tango_interval(better, worse, n, level)
    if better + worse < policy.min_changed:
        # The sample variance of so few changes is close to nothing; the score interval knows.
        standard_error = interval.half_width / normal_critical(level)
    else:
        standard_error = float(differences.values.std(ddof=1)) / n**0.5
    return Effect(
        method=Method.TANGO,
        reason=(
            "Each example passed or failed, no clusters: score interval for paired "
            "proportions (Tango 1998)."
        ),
        estimate=(better - worse) / n,
        interval=interval,
        standard_error=standard_error,
        n_pairs=n,
        n_clusters=None,
        guarded=False,
    )


def _graded(differences: Differences, level: float, policy: Policy) -> Effect:
    estimate = difference_interval(differences.values, differences.score_range, level, policy)
    reason = "Graded or repeated scores: t interval of the example differences"
    if estimate.guarded:
        reason += ", widened because few examples changed or the differences are skewed"
    return Effect(
        method=Method.T_GUARDED if estimate.guarded else Method.T,
        reason=f"{reason}.",
        estimate=estimate.mean,
        interval=estimate.interval,
        standard_error=estimate.standard_error,
        n_pairs=differences.values.size,
        n_clusters=None,
        guarded=estimate.guarded,
    )


def _clustered(differences: Differences, codes: IntArray, level: float, policy: Policy) -> Effect:
    changed = differences.better + differences.worse
    guarded = changed < policy.min_changed or not varies_between_clusters(differences.values, codes)
    pseudo = (-differences.score_range, differences.score_range) if guarded else None
    mean = clustered_mean(differences.values, codes, level, pseudo=pseudo)
    reason = (
        "Examples come in clusters: standard error over the clusters (CR1), t with one degree "
        "of freedom less than clusters"
    )
    if guarded:
        reason += ", widened because few examples changed"
    return Effect(
        method=Method.CLUSTER_CR1_GUARDED if guarded else Method.CLUSTER_CR1,
        reason=f"{reason}.",
        estimate=mean.mean,
        interval=mean.interval,
        standard_error=mean.se_cr1,
        n_pairs=mean.n,
        n_clusters=mean.n_clusters,
        guarded=guarded,
    )


def effect_test(differences: Differences, *, seed: int) -> EffectTest:
    """Return the p-value that belongs beside the interval of the same data."""
    if differences.clusters is not None:
        test = cluster_sign_flip(differences.values, differences.clusters, seed=seed)
        return _named(test, PMethod.CLUSTER_SIGN_FLIP_EXACT, PMethod.CLUSTER_SIGN_FLIP)
    if differences.binary:
        counts = differences.better, differences.worse
        return EffectTest(PMethod.MCNEMAR_EXACT, mcnemar_exact(*counts), mcnemar_mid_p(*counts))
    test = sign_flip_test(differences.values, seed=seed)
    return _named(test, PMethod.SIGN_FLIP_EXACT, PMethod.SIGN_FLIP)


def _named(test: SignFlipTest, exact: PMethod, drawn: PMethod) -> EffectTest:
    return EffectTest(exact if test.exact else drawn, test.p_value)
