"""A comparison under a sequential plan: the same facts, with bounds that hold at every look.

Whoever may stop early has looked more than once, so the fixed interval and its test are replaced
altogether: by the confidence sequence, and by the e-process for pass or fail. What the data
describe (means, flips, coverage, warnings) stays. Of clustered data one mean difference a
cluster is handed in, because the bounds need independent units.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from workbench.statistics.analysis import Analysis, Difference, Examined
from workbench.statistics.clusters import cluster_sums
from workbench.statistics.effect import Differences, Method, PMethod
from workbench.statistics.interval import Interval
from workbench.statistics.policy import Policy
from workbench.statistics.sequential import SequentialLook, sequential_look
from workbench.statistics.verdict import Verdict
from workbench.statistics.wording import Facts, verdict_sentence

__all__ = ["SequentialAnalysis", "analyse_sequentially"]


@dataclass(frozen=True, slots=True)
class SequentialAnalysis:
    """An analysis that is valid at any look.

    `decided` means that a bound has decided before the end, so that the verdict stands whatever
    would have come. `n_used` and `n_max` count units: examples, or clusters where they are
    declared.
    """

    analysis: Analysis
    look: SequentialLook
    decided: bool
    n_used: int
    n_max: int


def analyse_sequentially(
    examined: Examined, *, n_max: int, margin: float | None, binary: bool
) -> SequentialAnalysis:
    """Put anytime-valid bounds in place of the fixed ones; `n_max` is the most examples planned.

    `binary` says that each difference is one of two scores that are 0 or 1: declared before the
    run and not decided by the values seen. The level is that of the fixed analysis: 1 - 0.05 / m
    for m candidates.
    """
    fixed = examined.analysis
    units = _independent(replace(examined.differences, binary=binary))
    planned = _units_planned(examined.differences, units, n_max)
    alpha = _alpha(fixed)
    look = sequential_look(units, n_max=planned, margin=margin, alpha=alpha, policy=fixed.policy)
    decided = look.verdict not in (Verdict.INCONCLUSIVE, Verdict.INSUFFICIENT_DATA)
    interval = _cut(look.interval, units.score_range)
    estimate = float(units.values.mean()) if units.values.size else None
    difference = None
    if interval is not None and estimate is not None:
        difference = Difference(estimate, interval.low, interval.high, 1.0 - alpha)
    analysis = replace(
        fixed,
        verdict=look.verdict,
        sentence=_sentence(examined, look, units, estimate, planned, decided),
        method=None if interval is None else Method.CONFIDENCE_SEQUENCE,
        reason=_reason(units, clustered=examined.differences.clusters is not None),
        difference=difference,
        standard_error=None,
        p_value=None if look.e_value is None else min(1.0, 1.0 / look.e_value),
        p_method=None if look.e_value is None else PMethod.E_PROCESS,
        p_mid=None,
        borderline=False,
        smallest_margin=None if interval is None else max(0.0, -interval.low),
        mde=None,
        n_for_margin=None,
    )
    return SequentialAnalysis(analysis, look, decided, units.values.size, planned)


def _cut(interval: Interval | None, reach: float) -> Interval | None:
    """No difference is larger than the range of the scores, so neither need its interval be."""
    if interval is None:
        return None
    return Interval(max(interval.low, -reach), min(interval.high, reach), interval.level)


def _alpha(fixed: Analysis) -> float:
    return 0.05 / fixed.comparisons if fixed.difference is None else 1.0 - fixed.difference.level


def _independent(differences: Differences) -> Differences:
    """Return one difference a unit: the mean over a cluster where clusters are declared."""
    if differences.clusters is None:
        return differences
    sums, sizes = cluster_sums(differences.values, differences.clusters)
    return Differences(sums / sizes, binary=False, score_range=differences.score_range)


def _units_planned(differences: Differences, units: Differences, n_max: int) -> int:
    """Return how many units the planned examples will come to, at the size seen so far."""
    if differences.clusters is None or not units.values.size:
        return n_max
    return max(1, math.ceil(n_max * units.values.size / differences.values.size))


def _reason(units: Differences, *, clustered: bool) -> str:
    """Say which bounds were used, and why."""
    what = "Sequential plan: bounds that hold at every look."
    if clustered:
        return f"{what} Confidence sequence of one mean difference a cluster."
    if units.binary:
        return (
            f"{what} Each example passed or failed: e-process for better and worse, confidence "
            "sequence for the margin."
        )
    return f"{what} Graded or repeated scores: confidence sequence of the example differences."


def _sentence(
    examined: Examined,
    look: SequentialLook,
    units: Differences,
    estimate: float | None,
    planned: int,
    decided: bool,
) -> str:
    policy = examined.analysis.policy
    n = units.values.size
    noun = "examples" if examined.differences.clusters is None else "clusters"
    interval = _cut(look.interval, units.score_range)
    if interval is None or estimate is None:
        return f"Only {n:,} {noun} so far; a sequential plan says nothing below {policy.min_pairs}."
    facts = Facts(
        verdict=look.verdict,
        estimate=estimate,
        interval=interval,
        standard_error=_standard_error(units, policy),
        n_pairs=examined.analysis.n_pairs,
        better=examined.differences.better,
        worse=examined.differences.worse,
        n_clusters=examined.analysis.n_clusters,
        margin=examined.analysis.margin,
        unit=examined.unit,
    )
    if decided:
        told = f" Decided after {n:,} of at most {planned:,} {noun}, at any look valid."
    elif n >= planned:
        told = f" All {planned:,} planned {noun} are in: the plan ends without a decision."
    else:
        told = f" Undecided after {n:,} of at most {planned:,} {noun}; the plan goes on."
    return f"{verdict_sentence(facts, policy)}{_evidence(look, decided)}{told}"


def _evidence(look: SequentialLook, decided: bool) -> str:
    """Name the e-process where it decided and the interval alone would not have."""
    interval = look.interval
    if not decided or look.e_value is None or interval is None:
        return ""
    if interval.low <= 0.0 <= interval.high and look.verdict is not Verdict.NON_INFERIOR:
        return f" The e-process of wins and losses decided (e = {look.e_value:,.3g})."
    return ""


def _standard_error(units: Differences, policy: Policy) -> float:
    """What the digits of the sentence go by."""
    n = units.values.size
    spread = float(np.std(units.values, ddof=1)) if n > 1 else 0.0
    return max(spread, units.score_range / max(n, policy.min_pairs)) / math.sqrt(n)
