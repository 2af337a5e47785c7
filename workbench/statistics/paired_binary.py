"""Two variants, the same examples, one pass or fail each: the difference of paired proportions.

The data are four counts. Only the discordant ones speak about the difference: examples that
pass with the candidate only, and with the baseline only. The difference is candidate minus
baseline, between -1 and 1.

The interval is Tango's score interval (Tango 1998, Statistics in Medicine 17:891-908): it keeps
its level from about 20 pairs on, has never zero width, and at a difference of zero agrees with
McNemar's test without continuity correction. The p-values are McNemar's, exact and mid-p
(Fagerland, Lydersen & Laake 2013, BMC Medical Research Methodology 13:91).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, gammaln, ndtr

from workbench.statistics.arrays import FloatArray
from workbench.statistics.interval import Interval, normal_critical
from workbench.statistics.proportions import wilson_interval

__all__ = [
    "PairedTable",
    "mcnemar_asymptotic",
    "mcnemar_exact",
    "mcnemar_mid_p",
    "newcombe_interval",
    "tango_interval",
    "tango_noninferiority_p",
    "tango_statistic",
]

_BISECTIONS = 60
"""Halvings of an interval of length at most 2: below the spacing of floats near any bound."""


@dataclass(frozen=True, slots=True)
class PairedTable:
    """Counts of examples by outcome under both variants."""

    both: int
    candidate_only: int
    baseline_only: int
    neither: int

    def __post_init__(self) -> None:
        if min(self.both, self.candidate_only, self.baseline_only, self.neither) < 0:
            raise ValueError("Counts of a paired table cannot be negative.")

    @classmethod
    def from_scores(cls, baseline: FloatArray, candidate: FloatArray) -> "PairedTable":
        """Count two aligned arrays of 0 and 1."""
        if baseline.shape != candidate.shape:
            raise ValueError("Both sides must hold the same examples in the same order.")
        passed_baseline = baseline == 1.0
        passed_candidate = candidate == 1.0
        return cls(
            both=int(np.count_nonzero(passed_baseline & passed_candidate)),
            candidate_only=int(np.count_nonzero(passed_candidate & ~passed_baseline)),
            baseline_only=int(np.count_nonzero(passed_baseline & ~passed_candidate)),
            neither=int(np.count_nonzero(~passed_baseline & ~passed_candidate)),
        )

    @property
    def n(self) -> int:
        """Number of pairs."""
        return self.both + self.candidate_only + self.baseline_only + self.neither

    @property
    def difference(self) -> float:
        """Share passed by the candidate minus share passed by the baseline."""
        return (self.candidate_only - self.baseline_only) / self.n


def _check_counts(candidate_only: int, baseline_only: int, n: int) -> None:
    if n < 1:
        raise ValueError("A paired difference needs at least one pair.")
    if min(candidate_only, baseline_only) < 0 or candidate_only + baseline_only > n:
        raise ValueError(
            f"The discordant counts {candidate_only} and {baseline_only} do not fit n={n}."
        )


def _restricted_variance(b: int, c: int, n: int, delta: float) -> float:
    """Variance of b - c under the constraint that the true difference is `delta`.

    q is the maximum likelihood estimate of the baseline-only share under that constraint, the
    larger root of a quadratic (Tango 1998).
    """
    quadratic = 2.0 * n
    linear = -b - c + (2.0 * n - b + c) * delta
    constant = -c * delta * (1.0 - delta)
    root = math.sqrt(max(0.0, linear * linear - 4.0 * quadratic * constant))
    q = (root - linear) / (2.0 * quadratic)
    return max(0.0, n * (2.0 * q + delta * (1.0 - delta)))


def tango_statistic(candidate_only: int, baseline_only: int, n: int, delta: float) -> float:
    """Return the score statistic for a true difference of `delta` (between -1 and 1).

    Standard normal when `delta` is the truth; falls as `delta` grows.
    """
    _check_counts(candidate_only, baseline_only, n)
    if not -1.0 <= delta <= 1.0:
        raise ValueError(f"A difference of proportions lies between -1 and 1, not at {delta}.")
    distance = candidate_only - baseline_only - n * delta
    variance = _restricted_variance(candidate_only, baseline_only, n, delta)
    if variance == 0.0:
        return 0.0 if distance == 0.0 else math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)


def _score_bound(b: int, c: int, n: int, critical: float) -> float:
    """Find the difference at which the score statistic equals `critical` > 0: the lower bound.

    The equation is kept multiplied by the standard error, so that it stays finite at -1 and 1.
    """
    outside, inside = -1.0, (b - c) / n
    for _ in range(_BISECTIONS):
        middle = (outside + inside) / 2.0
        reach = critical * math.sqrt(_restricted_variance(b, c, n, middle))
        if b - c - n * middle > reach:
            outside = middle
        else:
            inside = middle
    return (outside + inside) / 2.0


def tango_interval(
    candidate_only: int, baseline_only: int, n: int, level: float = 0.95
) -> Interval:
    """Return Tango's interval for the paired difference of proportions.

    With no discordant pair it is plus and minus z^2 / (n + z^2).
    """
    _check_counts(candidate_only, baseline_only, n)
    critical = normal_critical(level)
    low = _score_bound(candidate_only, baseline_only, n, critical)
    # Swapping the variants mirrors the problem, so the upper bound is a lower bound as well.
    high = -_score_bound(baseline_only, candidate_only, n, critical)
    return Interval(low, high, level)


def tango_noninferiority_p(candidate_only: int, baseline_only: int, n: int, margin: float) -> float:
    """Return the one-sided p of "the candidate is worse by `margin` or more"."""
    return float(ndtr(-tango_statistic(candidate_only, baseline_only, n, -margin)))


def mcnemar_exact(candidate_only: int, baseline_only: int) -> float:
    """Return the exact two-sided McNemar (sign test) p of the two discordant counts."""
    m = candidate_only + baseline_only
    return min(1.0, 2.0 * float(bdtr(min(candidate_only, baseline_only), m, 0.5)))


def mcnemar_mid_p(candidate_only: int, baseline_only: int) -> float:
    """Return the mid-p version, which counts the observed table half: less conservative."""
    m = candidate_only + baseline_only
    smaller = min(candidate_only, baseline_only)
    log_point = gammaln(m + 1) - gammaln(smaller + 1) - gammaln(m - smaller + 1)
    point = math.exp(float(log_point) - m * math.log(2.0))
    return min(1.0, 2.0 * float(bdtr(smaller, m, 0.5)) - point)


def mcnemar_asymptotic(
    candidate_only: int, baseline_only: int, *, continuity_correction: bool = False
) -> float:
    """Return the normal-approximation McNemar p; a cross-check, never shown by default."""
    m = candidate_only + baseline_only
    if m == 0:
        return 1.0
    distance = abs(candidate_only - baseline_only)
    if continuity_correction:
        distance = max(0, distance - 1)
    return min(1.0, 2.0 * float(ndtr(-distance / math.sqrt(m))))


def newcombe_interval(table: PairedTable, level: float = 0.95) -> Interval:
    """Return Newcombe's square-and-add interval (1998, method 10): a closed-form cross-check.

    It joins the two Wilson intervals with the correlation of the pairs; slightly conservative.
    """
    n = table.n
    passed_candidate = table.both + table.candidate_only
    passed_baseline = table.both + table.baseline_only
    p1, p2 = passed_candidate / n, passed_baseline / n
    own, other = (
        wilson_interval(passed_candidate, n, level),
        wilson_interval(passed_baseline, n, level),
    )
    phi = _newcombe_phi(table, passed_candidate, passed_baseline)
    below1, above1 = p1 - own.low, own.high - p1
    below2, above2 = p2 - other.low, other.high - p2
    reach_low = math.sqrt(max(0.0, below1**2 - 2.0 * phi * below1 * above2 + above2**2))
    reach_high = math.sqrt(max(0.0, above1**2 - 2.0 * phi * above1 * below2 + below2**2))
    return Interval(table.difference - reach_low, table.difference + reach_high, level)


def _newcombe_phi(table: PairedTable, passed_candidate: int, passed_baseline: int) -> float:
    """Correlation of the pairs, with Newcombe's correction by n/2 when it is positive."""
    n = table.n
    margins = passed_candidate * (n - passed_candidate) * passed_baseline * (n - passed_baseline)
    if margins == 0:
        return 0.0
    product = table.both * table.neither - table.candidate_only * table.baseline_only
    corrected = max(product - n / 2.0, 0.0) if product > 0 else float(product)
    return corrected / math.sqrt(margins)
