"""From an interval and a margin to one of six words.

The interval L to U belongs to candidate minus baseline, oriented so that positive is better.
The margin is the loss that was agreed to be acceptable before the run. The words partition
every possible interval; without a margin only four of them can be earned. "No evidence of a
difference" is never called equality: that is what non_inferior is for, and it must be shown.
"""

from enum import StrEnum
from typing import Literal

from workbench.statistics.interval import Interval
from workbench.statistics.policy import DEFAULT_POLICY, Policy

__all__ = ["GateMode", "Verdict", "check_margin", "decide", "enough_data", "passes_gate"]

GateMode = Literal["non_inferiority", "superiority"]


class Verdict(StrEnum):
    """The six words."""

    SUPERIOR = "superior"
    NON_INFERIOR = "non_inferior"
    WORSE_WITHIN_MARGIN = "worse_within_margin"
    INFERIOR = "inferior"
    INCONCLUSIVE = "inconclusive"
    INSUFFICIENT_DATA = "insufficient_data"


def check_margin(margin: float | None) -> None:
    """Refuse a margin that is not a positive finite number."""
    if margin is not None and not 0.0 < margin < float("inf"):
        raise ValueError(f"The margin must be a positive number, not {margin!r}.")


def enough_data(n_pairs: int, n_clusters: int | None, policy: Policy = DEFAULT_POLICY) -> bool:
    """Tell whether there are enough pairs, and clusters if declared, for any verdict."""
    if n_pairs < policy.min_pairs:
        return False
    return n_clusters is None or n_clusters >= policy.min_clusters


def decide(
    interval: Interval | None,
    margin: float | None,
    *,
    n_pairs: int,
    n_clusters: int | None = None,
    policy: Policy = DEFAULT_POLICY,
) -> Verdict:
    """Return the verdict of an interval for candidate minus baseline (positive is better)."""
    check_margin(margin)
    if interval is None or not enough_data(n_pairs, n_clusters, policy):
        return Verdict.INSUFFICIENT_DATA
    if interval.low > 0.0:
        return Verdict.SUPERIOR
    within_margin = margin is not None and interval.low > -margin
    if interval.high < 0.0:
        return Verdict.WORSE_WITHIN_MARGIN if within_margin else Verdict.INFERIOR
    return Verdict.NON_INFERIOR if within_margin else Verdict.INCONCLUSIVE


def passes_gate(
    verdict: Verdict, mode: GateMode, *, exact_p: float | None = None, alpha: float = 0.05
) -> bool:
    """Tell whether the primary metric alone would let a candidate pass.

    `exact_p` is the exact McNemar p of binary data (None otherwise) and `alpha` its level after
    correction for the number of candidates: a superiority claim must hold under both.
    worse_within_margin does not pass by itself; a person has to accept the loss.
    """
    if mode == "non_inferiority":
        return verdict in (Verdict.SUPERIOR, Verdict.NON_INFERIOR)
    return verdict is Verdict.SUPERIOR and (exact_p is None or exact_p <= alpha)
