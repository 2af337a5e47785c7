"""The checks of a gate, each alone: what is asked, what was found, what follows. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from app.schemas.experiments import GuardMetric, Plan, SafetyMetric
from workbench.gates.decision import Check, Decision
from workbench.gates.evidence import (
    Amount,
    Effect,
    Evidence,
    JudgeStanding,
    OpenWarning,
    RunState,
    SafetyCount,
)
from workbench.gates.texts import (
    difference,
    margin_text,
    milliseconds,
    percent,
    times,
    with_interval,
)
from workbench.statistics.number_format import format_p
from workbench.statistics.policy import Policy
from workbench.statistics.proportions import clopper_pearson_interval, clopper_pearson_upper
from workbench.statistics.verdict import Verdict, decide, passes_gate

__all__ = ["all_checks", "effects"]

_SAFETY_LEVEL: Final = 0.95
_EXCEPTION_CODES: Final = frozenset({"simulated", "imported"})
_SIZE_CODES: Final = frozenset({"peeking"})
_FEW_CODES: Final = frozenset({"few_units"})
_RUN_CODES: Final = frozenset({"unfinished"})
_JUDGE_CODES: Final = frozenset({"judge_unvalidated", "judge_weak"})


def all_checks(plan: Plan, evidence: Evidence, policy: Policy) -> list[Check]:
    """Return every check of a plan on one candidate, in the order in which it is told."""
    return [
        *(
            _run_check(side, run, policy)
            for side, run in zip(("baseline", "candidate"), evidence.runs, strict=True)
        ),
        _comparability_check(evidence.incomparable),
        _size_check(plan, evidence),
        *_order_checks(evidence),
        _primary_check(plan, evidence, policy),
        *(_guard_check(g, evidence.guards.get(g.metric), policy) for g in plan.guards),
        *(_safety_check(s, evidence.safety.get(s.scorer)) for s in plan.safety),
        *_judge_checks(evidence),
        *_warning_checks(plan, evidence, policy),
    ]


def _run_check(side: str, run: RunState, policy: Policy) -> Check:
    """A run is whole: every cell has an outcome, and next to none failed on the way."""
    share = run.failed / run.wanted if run.wanted else 0.0
    asked = f"finished, at most {percent(policy.max_error_share)} failed"
    found = f"{run.done:,} of {run.wanted:,} cells, {run.failed:,} failed"
    decision, sentence = Decision.PASSED, f"{run.name} is whole."
    if run.open or not run.wanted:
        decision = Decision.INFRASTRUCTURE
        sentence = f"{run.name} is not finished: {run.open:,} of {run.wanted:,} cells are open."
    elif share > policy.max_error_share:
        decision = Decision.INFRASTRUCTURE
        sentence = (
            f"{run.failed:,} of {run.wanted:,} cells of {run.name} failed ({percent(share)}): "
            "the run says too little about the model. Try them again with --retry-failed."
        )
    elif run.failed:
        sentence = f"{run.name} is whole; {run.failed:,} failed cells count as missing."
    return Check("run", side, decision, asked, found, sentence)


def _comparability_check(problems: Sequence[str]) -> Check:
    asked = "the same question on both sides"
    if not problems:
        return Check("conditions", "", Decision.PASSED, asked, "alike", "Like with like.")
    sentence = f"The two runs cannot be compared: {' '.join(problems)}"
    found = f"{len(problems)} difference{'s' if len(problems) > 1 else ''}"
    return Check("conditions", "", Decision.INCOMPARABLE, asked, found, sentence)


def _size_check(plan: Plan, evidence: Evidence) -> Check:
    """The number that was planned is reached, and was not chosen after looking."""
    planned, used = evidence.planned, evidence.used
    asked, found = f"{planned:,} examples", f"{used:,} examples"
    decision, sentence = Decision.PASSED, "The planned number of examples is reached."
    if plan.mode == "sequential":
        asked = f"a bound that decides, or {planned:,} examples"
    if plan.mode == "sequential" and evidence.decided_early:
        sentence = f"The sequential bound decided after {used:,} of at most {planned:,} examples."
    elif used < planned:
        decision = Decision.NOT_PROVEN
        sentence = f"Only {used:,} of {planned:,} planned examples have an outcome on both sides."
    elif evidence.extended and plan.mode == "fixed":
        decision = Decision.BLOCKED
        sentence = (
            "The experiment carries an earlier one on over more examples, after that one was "
            "looked at: a plan with a fixed number does not allow it. Ask the newer version in a "
            "new experiment, without --extend and --cache."
        )
    return Check("size", "", decision, asked, found, sentence)


def _order_checks(evidence: Evidence) -> list[Check]:
    """The plan was declared before the answers were there to be looked at."""
    if not evidence.known or evidence.extended:  # of an extension the size tells it
        return []
    asked, found = "answers given after the plan", f"{evidence.known:,} examples known before"
    sentence = (
        f"The answers to {evidence.known:,} examples were known on both sides when this plan was "
        "declared: they were given to an experiment with another plan, dataset version or set "
        "of candidates, and used again. Run it without --cache."
    )
    return [Check("order", "", Decision.BLOCKED, asked, found, sentence)]


def _primary_check(plan: Plan, evidence: Evidence, policy: Policy) -> Check:
    effect = evidence.primary
    if effect is None:
        sentence = "There is no comparison under the primary scorer."
        return Check(
            "primary", plan.scorer or "none", Decision.NOT_PROVEN, _goal(plan), "", sentence
        )
    verdict = _verdict(effect, plan.margin, policy)
    decision, sentence = _PRIMARY[verdict], effect.sentence
    if verdict is Verdict.WORSE_WITHIN_MARGIN and plan.goal == "non_inferiority":
        if evidence.sign_off is None:
            sentence += " Accept it with --accept-loss REASON."
        else:
            decision = Decision.PASSED
            told = evidence.sign_off
            sentence += f" Accepted by {told.by}: {told.reason}"
    elif verdict is Verdict.WORSE_WITHIN_MARGIN:
        decision = Decision.WORSE
    elif decision is Decision.PASSED and not _shown(plan, effect, verdict):
        decision = Decision.NOT_PROVEN
        sentence += _not_superior(verdict, effect)
    return Check(
        "primary",
        effect.scorer,
        decision,
        _goal(plan, effect),
        difference(effect),
        f"{effect.scorer}: {sentence}",
    )


_PRIMARY: Final[Mapping[Verdict, Decision]] = {
    Verdict.SUPERIOR: Decision.PASSED,
    Verdict.NON_INFERIOR: Decision.PASSED,
    Verdict.WORSE_WITHIN_MARGIN: Decision.BLOCKED,  # until a person accepts the loss
    Verdict.INFERIOR: Decision.WORSE,
    Verdict.INCONCLUSIVE: Decision.NOT_PROVEN,
    Verdict.INSUFFICIENT_DATA: Decision.NOT_PROVEN,
}


def _verdict(effect: Effect, margin: float | None, policy: Policy) -> Verdict:
    if effect.looked is not None:
        return effect.looked
    return decide(
        effect.interval,
        margin,
        n_pairs=effect.n_pairs,
        n_clusters=effect.n_clusters,
        policy=policy,
    )


def _shown(plan: Plan, effect: Effect, verdict: Verdict) -> bool:
    alpha = 0.05 if effect.interval is None else 1.0 - effect.interval.level
    return passes_gate(verdict, plan.goal, exact_p=effect.exact_p, alpha=alpha)


def _not_superior(verdict: Verdict, effect: Effect) -> str:
    if verdict is Verdict.SUPERIOR and effect.exact_p is not None:
        return f" The exact test does not agree ({format_p(effect.exact_p)})."
    return " The plan asks for a better candidate."


def _goal(plan: Plan, effect: Effect | None = None) -> str:
    if plan.goal == "superiority":
        return "better than the baseline"
    if plan.margin is None:
        return "a loss below a margin, and none is declared"
    points = effect is None or effect.points
    return f"a loss below {margin_text(plan.margin, points=points)}"


def _guard_check(guard: GuardMetric, found: Effect | Amount | None, policy: Policy) -> Check:
    if isinstance(found, Effect):
        return _scorer_guard(guard, found, policy)
    if found is None:
        sentence = f"{guard.metric}: nothing is known of this guard metric."
        return Check("guard", guard.metric, Decision.NOT_PROVEN, "no worse", "unknown", sentence)
    return _amount_guard(guard, found, policy)


def _scorer_guard(guard: GuardMetric, effect: Effect, policy: Policy) -> Check:
    """Non-inferior with its own margin; a loss that is shown to lie within it is borne."""
    verdict = _verdict(effect, guard.margin, policy)
    decision = _PRIMARY[verdict]
    if verdict is Verdict.WORSE_WITHIN_MARGIN:
        decision = Decision.PASSED
    asked = f"a loss below {margin_text(guard.margin, points=effect.points)}"
    sentence = f"{effect.scorer}: {effect.sentence}"
    return Check("guard", guard.metric, decision, asked, difference(effect), sentence)


def _amount_guard(guard: GuardMetric, amount: Amount, policy: Policy) -> Check:
    is_ratio = guard.metric != "latency_p95"
    limit, alike = (1.0 + guard.margin, 1.0) if is_ratio else (guard.margin, 0.0)
    text = times if is_ratio else milliseconds
    asked = f"at most {text(limit)}" if is_ratio else f"at most {text(limit)} more"
    unknown = amount.n_examples - amount.n_known
    if amount.interval is None or amount.estimate is None or amount.n_known < policy.min_pairs:
        why = amount.note or f"only {amount.n_known:,} examples have it on both sides."
        sentence = f"{guard.metric}: cannot be compared: {why}"
        return Check("guard", guard.metric, Decision.NOT_PROVEN, asked, "unknown", sentence)
    low, high = amount.interval.low, amount.interval.high
    found = with_interval(amount.estimate, amount.interval, text)
    if unknown > policy.max_error_share * amount.n_examples:
        decision = Decision.NOT_PROVEN
        sentence = (
            f"{guard.metric}: unknown for {unknown:,} of {amount.n_examples:,} examples, more "
            f"than {percent(policy.max_error_share)}."
        )
    elif high <= limit:
        decision, sentence = Decision.PASSED, f"{guard.metric}: {found}, within the limit."
    elif low > alike:
        decision, sentence = Decision.WORSE, f"{guard.metric}: {found}, {asked} was agreed."
    else:
        decision = Decision.NOT_PROVEN
        sentence = f"{guard.metric}: {found} does not show {asked}."
    return Check("guard", guard.metric, decision, asked, found, sentence)


def _safety_check(safety: SafetyMetric, count: SafetyCount | None) -> Check:
    """The one-sided exact upper bound on the share of failures is within the limit."""
    asked = f"at most {percent(safety.limit)} failures ({percent(_SAFETY_LEVEL)} upper bound)"
    if count is None or count.n < 1:
        sentence = f"{safety.scorer}: no output was checked."
        return Check("safety", safety.scorer, Decision.NOT_PROVEN, asked, "unknown", sentence)
    bound = clopper_pearson_upper(count.failed, count.n, _SAFETY_LEVEL)
    seen = f"{count.failed:,} of {count.n:,} failed"
    if count.missing:
        seen += f" ({count.missing:,} of them have no score, which counts as failed)"
    found = f"{seen}, upper bound {percent(bound)}"
    if bound <= safety.limit:
        decision, sentence = Decision.PASSED, f"{safety.scorer}: {found}."
    elif _shown_unsafe(count, safety.limit):
        decision = Decision.WORSE
        sentence = f"{safety.scorer}: {found}; the limit is {percent(safety.limit)}."
    else:
        decision = Decision.NOT_PROVEN
        least = math.ceil(math.log(1.0 - _SAFETY_LEVEL) / math.log1p(-safety.limit))
        sentence = (
            f"{safety.scorer}: {found}; the limit is {percent(safety.limit)}. Without any "
            f"failure, {least:,} examples show it."
        )
    return Check("safety", safety.scorer, decision, asked, found, sentence)


def _shown_unsafe(count: SafetyCount, limit: float) -> bool:
    two_sided = 1.0 - 2.0 * (1.0 - _SAFETY_LEVEL)
    return clopper_pearson_interval(count.failed, count.n, two_sided).low > limit


def _judge_checks(evidence: Evidence) -> list[Check]:
    """A judge decides a gate only if it was found to agree with people."""
    sources: dict[str, Effect | SafetyCount] = {}
    for source in (evidence.primary, *evidence.guards.values(), *evidence.safety.values()):
        if isinstance(source, (Effect, SafetyCount)) and source.judged:
            sources.setdefault(source.scorer, source)
    return [_judge_check(name, source.judge) for name, source in sources.items()]


def _judge_check(name: str, standing: JudgeStanding | None) -> Check:
    asked = "a judge that agrees with people"
    if standing is None:
        sentence = (
            f"The judge {name} was never checked against people. Check it: workbench judges "
            "qualify."
        )
        return Check("judge", name, Decision.BLOCKED, asked, "not checked", sentence)
    decision = Decision.PASSED if standing.qualified else Decision.BLOCKED
    found = "qualified" if standing.qualified else "not qualified"
    return Check("judge", name, decision, asked, found, f"{name}: {standing.reason}")


def _warning_checks(plan: Plan, evidence: Evidence, policy: Policy) -> list[Check]:
    """One check for each blocking warning that no other check tells already."""
    told = {code for code in _EXCEPTION_CODES if code in evidence.exceptions}
    if any(run.open for run in evidence.runs):
        told |= _RUN_CODES
    if not _size_check(plan, evidence).passed:
        told |= _SIZE_CODES
    sources: list[Effect | SafetyCount] = [*effects(evidence), *evidence.safety.values()]
    found = [
        warning
        for source in sources
        for warning in source.warnings
        if warning.blocking and warning.code not in told | _told_of(source, policy)
    ]
    return [_warning_check(warning) for warning in dict.fromkeys(found)]


def _told_of(source: Effect | SafetyCount, policy: Policy) -> frozenset[str]:
    """Return the warnings that the other checks of the same scorer stand for."""
    told: frozenset[str] = frozenset()
    if isinstance(source, Effect) and not _enough_for_verdict(source, policy):
        told |= _FEW_CODES
    if source.judged and (source.judge is None or not source.judge.qualified):
        told |= _JUDGE_CODES
    return told


def _warning_check(warning: OpenWarning) -> Check:
    decision = Decision.INFRASTRUCTURE if warning.code in _RUN_CODES else Decision.BLOCKED
    sentence = f"{warning.code}: {warning.text}"
    return Check("warning", warning.code, decision, "no blocking warning", "open", sentence)


def _enough_for_verdict(effect: Effect, policy: Policy) -> bool:
    """Whether a comparison has the pairs that any verdict needs."""
    return _verdict(effect, None, policy) is not Verdict.INSUFFICIENT_DATA


def effects(evidence: Evidence) -> list[Effect]:
    """Return the comparisons by a scorer that bear on the decision."""
    return [
        source
        for source in (evidence.primary, *evidence.guards.values())
        if isinstance(source, Effect)
    ]
