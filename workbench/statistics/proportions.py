"""Intervals for one proportion: k successes in n independent trials.

The Wilson interval is the one shown for a single run; the Clopper-Pearson bound serves safety
metrics, where the level must be kept for certain; the other two are cross-checks.
Sources: Wilson 1927; Clopper & Pearson 1934; Agresti & Coull 1998; compared by Newcombe 1998
(Statistics in Medicine 17:857-872); the credible interval as in Bowyer, Aitchison & Ivanova 2025.
"""

import math

from scipy.special import betaincinv

from workbench.statistics.interval import Interval, check_level, normal_critical

__all__ = [
    "agresti_coull_interval",
    "beta_interval",
    "clopper_pearson_interval",
    "clopper_pearson_upper",
    "wilson_interval",
]


def _check_counts(successes: int, n: int) -> None:
    if n < 1:
        raise ValueError("A proportion needs at least one trial.")
    if not 0 <= successes <= n:
        raise ValueError(f"Successes must lie between 0 and n={n}, not {successes}.")


def wilson_interval(successes: int, n: int, level: float = 0.95) -> Interval:
    """Return the Wilson score interval of `successes` of `n`.

    Near its nominal level from n = 10 on, never empty, never outside 0 to 1.
    """
    _check_counts(successes, n)
    z = normal_critical(level)
    share = successes / n
    centre = (successes + z * z / 2.0) / (n + z * z)
    reach = z * math.sqrt(n) / (n + z * z) * math.sqrt(share * (1.0 - share) + z * z / (4.0 * n))
    # At the ends the bound is exactly 0 or 1; rounding must not put it beyond.
    low = 0.0 if successes == 0 else centre - reach
    high = 1.0 if successes == n else centre + reach
    return Interval(low, high, level)


def clopper_pearson_interval(successes: int, n: int, level: float = 0.95) -> Interval:
    """Return the exact (tail-inverting, never too short) interval of `successes` of `n`."""
    _check_counts(successes, n)
    check_level(level)
    tail = (1.0 - level) / 2.0
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, 1.0 - tail))
    return Interval(low, high, level)


def clopper_pearson_upper(failures: int, n: int, level: float = 0.95) -> float:
    """Return the exact one-sided upper bound on a failure rate.

    This is the bound for a safety metric: 0 failures of n still allow a rate of about 3 / n.
    """
    _check_counts(failures, n)
    check_level(level)
    return 1.0 if failures == n else float(betaincinv(failures + 1, n - failures, level))


def agresti_coull_interval(successes: int, n: int, level: float = 0.95) -> Interval:
    """Return the Wald interval after adding z^2/2 successes and failures, cut to 0 to 1."""
    _check_counts(successes, n)
    z = normal_critical(level)
    trials = n + z * z
    share = (successes + z * z / 2.0) / trials
    reach = z * math.sqrt(share * (1.0 - share) / trials)
    return Interval(max(0.0, share - reach), min(1.0, share + reach), level)


def beta_interval(successes: int, n: int, level: float = 0.95) -> Interval:
    """Return the equal-tailed credible interval under a uniform prior, Beta(1 + k, 1 + n - k)."""
    _check_counts(successes, n)
    check_level(level)
    tail = (1.0 - level) / 2.0
    shape = (1.0 + successes, 1.0 + n - successes)
    return Interval(float(betaincinv(*shape, tail)), float(betaincinv(*shape, 1.0 - tail)), level)
