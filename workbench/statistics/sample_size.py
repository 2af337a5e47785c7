"""How small a difference a run can detect, and how many examples a difference needs.

All formulas are the normal ones for a mean of differences; two-sided level `alpha` and the
given power enter as z(1 - alpha/2) + z(power), 2.80 for 5 % and 80 %. Miller 2024 (arXiv
2411.00640, equations 9 and 10) splits the variance of a difference into a part between
examples (omega^2), which only more examples reduce, and parts within examples (sigma^2), which
more repetitions reduce as well.
"""

import math
from dataclasses import dataclass

from scipy.special import ndtri

from workbench.statistics.interval import normal_critical

__all__ = [
    "Variance",
    "examples_for_difference",
    "examples_for_margin",
    "fewest_examples_for_margin",
    "minimum_detectable_effect",
    "planned_detectable_effect",
    "planned_examples",
    "relative_variance",
]


@dataclass(frozen=True, slots=True)
class Variance:
    """Variance of one example's difference: `between` examples and `within` each side."""

    between: float
    within_baseline: float = 0.0
    within_candidate: float = 0.0

    def of_difference(self, repetitions_baseline: int = 1, repetitions_candidate: int = 1) -> float:
        """Variance of an example's mean difference at these numbers of repetitions."""
        if min(repetitions_baseline, repetitions_candidate) < 1:
            raise ValueError("Every example needs at least one repetition.")
        return (
            self.between
            + self.within_baseline / repetitions_baseline
            + self.within_candidate / repetitions_candidate
        )


def _z_sum(alpha: float, power: float) -> float:
    if not 0.0 < alpha < 1.0 or not 0.0 < power < 1.0:
        raise ValueError("Alpha and power must lie between 0 and 1.")
    return float(ndtri(1.0 - alpha / 2.0) + ndtri(power))


def minimum_detectable_effect(
    standard_error: float, *, alpha: float = 0.05, power: float = 0.80
) -> float:
    """Return the smallest true difference that this standard error detects with this power."""
    if standard_error < 0.0:
        raise ValueError("A standard error cannot be negative.")
    return _z_sum(alpha, power) * standard_error


def examples_for_difference(
    variance: float, difference: float, *, alpha: float = 0.05, power: float = 0.80
) -> int:
    """Return how many examples show a true `difference`, given the variance of a difference."""
    if difference == 0.0:
        raise ValueError("No number of examples detects a difference of zero.")
    if variance < 0.0:
        raise ValueError("A variance cannot be negative.")
    n = _z_sum(alpha, power) ** 2 * variance / difference**2
    # 968.9999999 comes from rounding of the inputs as often as 969.0000001 does.
    return max(2, math.ceil(n - 1e-6))


def examples_for_margin(
    variance: float,
    margin: float,
    *,
    expected_difference: float = 0.0,
    alpha: float = 0.05,
    power: float = 0.80,
) -> int:
    """Return how many examples show "not worse by `margin`" if `expected_difference` is true.

    `alpha` is the two-sided level whose lower bound is compared with the margin.
    """
    if margin + expected_difference <= 0.0:
        raise ValueError(
            "An expected loss as large as the margin can never be shown to lie within it."
        )
    return examples_for_difference(variance, margin + expected_difference, alpha=alpha, power=power)


def fewest_examples_for_margin(margin: float, level: float = 0.95) -> int:
    """Return the number below which no pass or fail data support a margin of `margin`.

    Even if no example changed, Tango's interval reaches from -z^2 / (n + z^2).
    """
    if margin <= 0.0:
        raise ValueError("The margin must be positive.")
    z = normal_critical(level)
    return max(2, math.floor(z * z * (1.0 - margin) / margin) + 1)


def planned_examples(
    difference: float,
    variance: Variance,
    *,
    repetitions_baseline: int = 1,
    repetitions_candidate: int = 1,
    alpha: float = 0.05,
    power: float = 0.80,
) -> int:
    """Return how many examples a plan with repetitions needs (Miller 2024, equation 9)."""
    spread = variance.of_difference(repetitions_baseline, repetitions_candidate)
    return examples_for_difference(spread, difference, alpha=alpha, power=power)


def planned_detectable_effect(
    n: int,
    variance: Variance,
    *,
    repetitions_baseline: int = 1,
    repetitions_candidate: int = 1,
    alpha: float = 0.05,
    power: float = 0.80,
) -> float:
    """Return the difference that `n` examples detect (Miller 2024, equation 10)."""
    if n < 1:
        raise ValueError("A plan needs at least one example.")
    spread = variance.of_difference(repetitions_baseline, repetitions_candidate)
    return minimum_detectable_effect(math.sqrt(spread / n), alpha=alpha, power=power)


def relative_variance(between: float, within: float, repetitions: int) -> float:
    """Return the variance of one run's mean with repetitions, relative to one repetition.

    `between` is the variance of an example's expected score, `within` the mean variance of its
    repetitions. A pass or fail score of uniform difficulty has 1/12 and 1/6, hence
    (1 + 2/K) / 3 (Miller 2024, section 3.1).
    """
    if repetitions < 1 or between < 0.0 or within < 0.0 or between + within == 0.0:
        raise ValueError("Variances must be positive and repetitions at least 1.")
    return (between + within / repetitions) / (between + within)
