"""Looking at results while a run goes on, without more false alarms than promised.

A fixed-n interval that is looked at again and again finds a difference between equals in a
third of the experiments. The tools here stay valid at every look at once:

- the beta-binomial e-process for pass or fail: among the discordant examples the candidate wins
  with probability 1/2 if nothing differs. E is the likelihood under a Beta prior on that
  probability over the likelihood at 1/2; it reaches 1/alpha with probability at most alpha ever
  (Ville 1939; Ramdas et al. 2023);
- the asymptotic confidence sequence for means (Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas
  2024, Annals of Statistics 52), narrowest at `n_optimal` examples.

Examples must arrive in random order and be independent; of clustered data hand in one
difference a cluster.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import betaln

from workbench.statistics.arrays import FloatArray, as_finite_vector
from workbench.statistics.effect import Differences
from workbench.statistics.interval import Interval
from workbench.statistics.paired_graded import needs_guard
from workbench.statistics.policy import DEFAULT_POLICY, Policy
from workbench.statistics.verdict import Verdict, check_margin, decide

__all__ = [
    "MIN_SEQUENCE_EXAMPLES",
    "SequentialLook",
    "confidence_sequence",
    "confidence_sequence_half_width",
    "e_value",
    "mixture_variance",
    "running_e_values",
    "sequential_look",
]

MIN_SEQUENCE_EXAMPLES: Final = 50
"""The confidence sequence is asymptotic: before this many examples it decides nothing."""

_LOG_2: Final = math.log(2.0)


def _check_alpha(alpha: float) -> None:
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"Alpha must lie between 0 and 1, not {alpha!r}.")


def _log_e(wins: FloatArray, losses: FloatArray, prior: tuple[float, float]) -> FloatArray:
    log_e: FloatArray = (
        (wins + losses) * _LOG_2 + betaln(prior[0] + wins, prior[1] + losses) - betaln(*prior)
    )
    return log_e


def e_value(wins: int, losses: int, *, prior: tuple[float, float] = (1.0, 1.0)) -> float:
    """Return the e-value of "candidate and baseline win equally often".

    Reject at level alpha when it is 1 / alpha or more. `prior` is the Beta prior on the
    candidate's share of wins.
    """
    if min(wins, losses) < 0 or min(prior) <= 0.0:
        raise ValueError("Wins and losses cannot be negative and the prior must be positive.")
    log_e = float(_log_e(np.array(float(wins)), np.array(float(losses)), prior))
    return math.exp(min(log_e, 700.0))


def running_e_values(
    differences: FloatArray, *, prior: tuple[float, float] = (1.0, 1.0)
) -> FloatArray:
    """Return the e-value after each example; positive differences are wins, zeros are ties."""
    values = as_finite_vector(differences, "differences")
    wins = np.cumsum(values > 0.0).astype(np.float64)
    losses = np.cumsum(values < 0.0).astype(np.float64)
    running: FloatArray = np.exp(np.minimum(_log_e(wins, losses, prior), 700.0))
    return running


def mixture_variance(alpha: float, n_optimal: int) -> float:
    """Return rho^2, which makes the sequence narrowest at about `n_optimal` examples."""
    _check_alpha(alpha)
    if n_optimal < 1:
        raise ValueError("The number of examples to optimise for must be at least 1.")
    reach = -2.0 * math.log(alpha)
    return (reach + math.log(reach + 1.0)) / n_optimal


def confidence_sequence_half_width(
    n: int, deviation: float, *, alpha: float, n_optimal: int
) -> float:
    """Return half the width of the confidence sequence after `n` examples."""
    if n < 1 or deviation < 0.0:
        raise ValueError("At least one example and a standard deviation of 0 or more are needed.")
    spread = n * mixture_variance(alpha, n_optimal)
    # Written with n instead of rho^2: (n rho^2 + 1) / (n^2 rho^2) = (spread + 1) / (n spread).
    return deviation * math.sqrt(
        2.0 * (spread + 1.0) / (n * spread) * math.log(math.sqrt(spread + 1.0) / alpha)
    )


def confidence_sequence(
    differences: FloatArray, *, alpha: float = 0.05, n_optimal: int
) -> Interval:
    """Return the anytime-valid interval for the mean of the differences seen so far."""
    values = as_finite_vector(differences, "differences")
    if values.size < 2:
        raise ValueError("A confidence sequence needs at least two examples.")
    half_width = confidence_sequence_half_width(
        values.size, float(values.std(ddof=1)), alpha=alpha, n_optimal=n_optimal
    )
    mean = float(values.mean())
    return Interval(mean - half_width, mean + half_width, 1.0 - alpha)


@dataclass(frozen=True, slots=True)
class SequentialLook:
    """One look at a running experiment; `stop` means that the verdict stands.

    `interval` is the confidence sequence (None below the minimum of pairs), `e_value` the
    e-process of pass or fail data.
    """

    verdict: Verdict
    stop: bool
    n: int
    interval: Interval | None
    e_value: float | None


def sequential_look(
    differences: Differences,
    *,
    n_max: int,
    margin: float | None = None,
    alpha: float = 0.05,
    policy: Policy = DEFAULT_POLICY,
) -> SequentialLook:
    """Decide on the differences seen so far, in their order of arrival.

    Pass or fail: better and worse by the e-process; the margin, and graded scores altogether,
    by the confidence sequence from 50 examples on. Sparse or skewed differences get the same two
    pseudo-examples as the fixed interval. The run stops at a verdict other than inconclusive,
    or at `n_max`.
    """
    check_margin(margin)
    _check_alpha(alpha)
    if differences.clusters is not None:
        raise ValueError("A sequential plan needs independent units: one difference a cluster.")
    values = as_finite_vector(differences.values, "differences")
    n = values.size
    if n < policy.min_pairs:
        return SequentialLook(Verdict.INSUFFICIENT_DATA, n >= n_max, n, None, None)
    interval = _guarded_sequence(differences, alpha, n_max, policy)
    evidence = float(running_e_values(values)[-1]) if differences.binary else None
    trusted = interval if n >= MIN_SEQUENCE_EXAMPLES else None
    if evidence is None:
        verdict = Verdict.INCONCLUSIVE
        if trusted is not None:
            verdict = decide(trusted, margin, n_pairs=n, policy=policy)
    else:
        within = margin is not None and trusted is not None and trusted.low > -margin
        verdict = _binary_verdict(float(values.sum()), evidence >= 1.0 / alpha, within)
    stop = verdict is not Verdict.INCONCLUSIVE or n >= n_max
    return SequentialLook(verdict, stop, n, interval, evidence)


def _guarded_sequence(
    differences: Differences, alpha: float, n_max: int, policy: Policy
) -> Interval:
    values = differences.values
    if needs_guard(values, differences.better + differences.worse, policy):
        reach = differences.score_range
        values = np.concatenate((values, (-reach, reach)))
    return confidence_sequence(values, alpha=alpha, n_optimal=n_max)


def _binary_verdict(net_wins: float, differs: bool, within_margin: bool) -> Verdict:
    """Let the e-process say better or worse, and the sequence what concerns the margin."""
    if differs and net_wins > 0.0:
        return Verdict.SUPERIOR
    if differs:
        return Verdict.WORSE_WITHIN_MARGIN if within_margin else Verdict.INFERIOR
    return Verdict.NON_INFERIOR if within_margin else Verdict.INCONCLUSIVE
