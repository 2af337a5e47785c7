"""What a gate looks at: two runs, what was measured on them, and under which conditions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.schemas.experiments import GateException
from workbench.statistics.interval import Interval
from workbench.statistics.policy import DEFAULT_POLICY, Policy
from workbench.statistics.verdict import Verdict

__all__ = [
    "MAX_BASELINE_AGE_DAYS",
    "Amount",
    "Effect",
    "Evidence",
    "JudgeStanding",
    "OpenWarning",
    "RunState",
    "SafetyCount",
    "SignOff",
    "effect_of",
]

MAX_BASELINE_AGE_DAYS: Final = 30
"""A stored baseline older than this is used with a warning: providers change models."""


@dataclass(frozen=True, slots=True)
class OpenWarning:
    """A warning that came with a comparison."""

    code: str
    blocking: bool
    text: str


@dataclass(frozen=True, slots=True)
class JudgeStanding:
    """Whether a judge was found to agree with people well enough, and the sentence for it."""

    qualified: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One scorer's comparison as a gate reads it: candidate minus baseline, positive is better.

    `exact_p` is the exact McNemar p of pass-or-fail scores, None otherwise; it is held against
    1 minus the interval's level. `looked` is the verdict of a sequential plan, which its interval
    alone does not give: wins and losses are tested beside it. `points` says that differences are
    told in points of a rate. `judged` says that a model did the scoring; it must then have a
    standing.
    """

    scorer: str
    sentence: str
    n_pairs: int
    estimate: float | None
    interval: Interval | None
    n_clusters: int | None = None
    exact_p: float | None = None
    looked: Verdict | None = None
    warnings: tuple[OpenWarning, ...] = ()
    judged: bool = False
    judge: JudgeStanding | None = None
    points: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Cost or latency on both sides. `cost` and `latency` are ratios of means (1 is alike),
    `latency_p95` a difference in milliseconds; `n_known` of `n_examples` have both amounts."""

    metric: str
    n_examples: int
    n_known: int
    estimate: float | None
    interval: Interval | None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyCount:
    """The candidate under a safety scorer, counted in independent units: clusters where they
    are declared, else examples. A unit with any failing or missing output is counted as
    failed; `missing` of the failed ones did so for want of a score alone. `warnings` are those
    about the judge, where a model did the scoring."""

    scorer: str
    n: int
    failed: int
    missing: int
    judged: bool = False
    judge: JudgeStanding | None = None
    warnings: tuple[OpenWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class RunState:
    """How far a run is. `failed` of the `done` cells have no answer, for a reason that is not the
    model's."""

    name: str
    wanted: int
    done: int
    failed: int

    @property
    def open(self) -> int:
        """Cells without an outcome."""
        return self.wanted - self.done


@dataclass(frozen=True, slots=True)
class SignOff:
    """A person's word that a loss within the margin is accepted."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that a gate looks at for one candidate.

    `planned` counts the examples the plan asks for, `used` those with an outcome on both sides;
    `decided_early` says that a sequential plan's bound decided. `known` counts the examples whose
    answers on both sides were given before this plan was declared, to an experiment that asked
    something else. `exceptions` tells for each exception that holds what brought it about.
    """

    runs: tuple[RunState, RunState]
    primary: Effect | None
    guards: Mapping[str, Effect | Amount]
    safety: Mapping[str, SafetyCount]
    planned: int
    used: int
    decided_early: bool = False
    extended: bool = False
    known: int = 0
    incomparable: tuple[str, ...] = ()
    exceptions: Mapping[GateException, str]
    notes: tuple[OpenWarning, ...] = ()
    sign_off: SignOff | None = None


def effect_of(
    result: Mapping[str, Any],
    *,
    judged: bool = False,
    points: bool = True,
    policy: Policy = DEFAULT_POLICY,
) -> Effect:
    """Return what a gate reads in a stored comparison's result.

    With enough labels of people for a judge's scores, the interval that was corrected by them
    (prediction-powered inference, PPI++) takes the place of the judge's own; not under a
    sequential plan, because it may be looked at once only.
    """
    scorer, difference = result["scorer"], result["difference"]
    sentence, corrected = str(result["sentence"]), False
    ppi, sequential = result.get("ppi"), result.get("sequential")
    if judged and not sequential and ppi and ppi["n_labels"] >= policy.min_judge_labels:
        difference, corrected = ppi, True
        sentence = _corrected_sentence(ppi, points=points)
    judge = result.get("judge")
    return Effect(
        scorer=str(scorer["name"]),
        sentence=sentence,
        n_pairs=int(result["n_pairs"]),
        n_clusters=result["n_clusters"],
        estimate=None if difference is None else float(difference["estimate"]),
        interval=_interval(difference),
        exact_p=result["p_value"]
        if result["p_method"] == "mcnemar_exact" and not corrected
        else None,
        looked=Verdict(result["verdict"]) if sequential else None,
        warnings=tuple(
            OpenWarning(w["code"], bool(w["blocking"]), w["text"]) for w in result["warnings"]
        ),
        judged=judged,
        judge=JudgeStanding(bool(judge["qualified"]), judge["sentence"]) if judge else None,
        points=points,
    )


def _corrected_sentence(ppi: Mapping[str, Any], *, points: bool) -> str:
    """Say the difference that labels of people make of a judge's scores."""
    factor, unit = (100.0, " points") if points else (1.0, "")
    estimate, low, high = (float(ppi[name]) * factor for name in ("estimate", "low", "high"))
    return (
        f"Corrected by {ppi['n_labels']:,} labels of people the difference is {estimate:.1f}{unit} "
        f"({float(ppi['level']):.0%} CI {low:.1f} to {high:.1f})."
    ).replace("-", "−")


def _interval(figures: Mapping[str, Any] | None) -> Interval | None:
    if figures is None:
        return None
    return Interval(float(figures["low"]), float(figures["high"]), float(figures["level"]))
