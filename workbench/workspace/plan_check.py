"""A declared plan held against the scorers and the data, before the first call. Pure.

What a candidate has to show is agreed before anybody has seen an answer, so a plan that no run
could fulfil is refused when the experiment is made, and not after the money is spent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.core.errors import Invalid
from app.schemas.experiments import (
    AMOUNT_GUARDS,
    GuardMetric,
    Plan,
    SafetyMetric,
    check_margin,
)
from workbench.scorers import AnyScorer, ScorerConfig, parse_scorer
from workbench.scorers.judges import JudgePreference

__all__ = ["check_gate", "check_plan"]


def check_plan(
    plan: Plan, scorers: Sequence[AnyScorer[ScorerConfig]], *, examples: int, gate: bool
) -> None:
    """Raise `Invalid` for a plan that no run could fulfil; `gate` says that one is asked for.

    A plan with guards or safety metrics asks for a gate by itself. `examples` is the number in
    use. What a candidate has to show must be declared before the run, so a gate without margin
    is refused here and not after the money is spent.
    """
    by_name = {scorer.name: scorer for scorer in scorers}
    if plan.scorer is not None and plan.scorer not in by_name:
        raise Invalid(
            f"plan.scorer is {plan.scorer!r}, which is not among the scorers.", path="plan.scorer"
        )
    _check_unambiguous(plan, [scorer.name for scorer in scorers])
    if scorers:
        primary = by_name[plan.scorer] if plan.scorer is not None else scorers[0]
        check_margin(plan.margin, primary.range)
        _check_looks(plan, primary)
        if any(guard.metric == primary.name for guard in plan.guards):
            raise Invalid(
                f"{primary.name} decides already: a guard is a second metric.",
                path="plan.guards",
                hint="Lower plan.margin, or guard another scorer or cost, latency, latency_p95.",
            )
    for index, guard in enumerate(plan.guards):
        _check_guard(guard, by_name, f"plan.guards.{index}")
    for index, safety in enumerate(plan.safety):
        _check_safety(safety, by_name, f"plan.safety.{index}")
    _check_unique([guard.metric for guard in plan.guards], "plan.guards")
    _check_unique([safety.scorer for safety in plan.safety], "plan.safety")
    if plan.n is not None and plan.n > examples:
        raise Invalid(
            f"plan.n asks for {plan.n:,} examples and {examples:,} are in use.", path="plan.n"
        )
    if gate or plan.guards or plan.safety:
        _check_decisive(plan, scorers)


def check_gate(plan: Plan, scorers: Sequence[Mapping[str, Any]], *, examples: int) -> None:
    """Raise `Invalid` for a declared plan that no gate can decide by.

    `scorers` are their names and options as an experiment stores them.
    """
    parsed = [parse_scorer({"name": it["name"], **it["config"]}) for it in scorers]
    check_plan(plan, parsed, examples=plan.n or examples, gate=True)


def _check_decisive(plan: Plan, scorers: Sequence[AnyScorer[ScorerConfig]]) -> None:
    if not scorers:
        raise Invalid(
            "A gate decides by a scorer and none is declared.",
            path="scorers",
            hint="Write scorers: [exact_match], or say --scorer exact_match.",
        )
    if plan.margin is None and plan.goal == "non_inferiority":
        raise Invalid(
            "A gate needs the loss that is acceptable, declared before the run.",
            path="plan.margin",
            hint="Write plan: {margin: 0.03} (3 points of a rate) or say --margin 0.03; "
            "or plan: {goal: superiority} if only a better candidate may pass.",
        )


def _check_unambiguous(plan: Plan, declared: Sequence[str]) -> None:
    """A plan names scorers by their names, so a name that it uses is that of one scorer."""
    named = {
        "plan.scorer": plan.scorer,
        **{f"plan.guards.{i}.metric": guard.metric for i, guard in enumerate(plan.guards)},
        **{f"plan.safety.{i}.scorer": safety.scorer for i, safety in enumerate(plan.safety)},
    }
    for path, name in named.items():
        if name is not None and declared.count(name) > 1:
            raise Invalid(
                f"{path} is {name!r}, and {declared.count(name)} scorers have that name: nobody "
                "can tell which of them decides.",
                path=path,
                hint="Declare one, or combine them: all_of passes what all of its scorers pass.",
            )


def _check_looks(plan: Plan, primary: AnyScorer[ScorerConfig]) -> None:
    """A sequential plan looks at scores of single answers while they come in."""
    if plan.mode == "sequential" and isinstance(primary, JudgePreference):
        raise Invalid(
            f"A sequential plan cannot look at {primary.name}, which is asked about pairs when "
            "all answers are there.",
            path="plan.mode",
            hint="Name a scorer of single answers in plan.scorer, or take the fixed plan.",
        )


def _check_guard(
    guard: GuardMetric, scorers: Mapping[str, AnyScorer[ScorerConfig]], path: str
) -> None:
    if guard.metric in AMOUNT_GUARDS:
        return
    if guard.metric not in scorers:
        raise Invalid(
            f"The guard metric {guard.metric!r} is neither a declared scorer "
            f"({', '.join(scorers) or 'there is none'}) nor one of {', '.join(AMOUNT_GUARDS)}.",
            path=f"{path}.metric",
        )
    check_margin(guard.margin, scorers[guard.metric].range)


def _check_safety(
    safety: SafetyMetric, scorers: Mapping[str, AnyScorer[ScorerConfig]], path: str
) -> None:
    scorer = scorers.get(safety.scorer)
    if scorer is None:
        raise Invalid(
            f"The safety metric {safety.scorer!r} is not among the declared scorers: "
            f"{', '.join(scorers) or 'there is none'}.",
            path=f"{path}.scorer",
        )
    if not scorer.binary:
        raise Invalid(
            f"The safety metric {safety.scorer} gives grades: only a scorer that passes or fails "
            "each output can be one.",
            path=f"{path}.scorer",
        )


def _check_unique(names: Sequence[str], path: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise Invalid(f"{path} names {name!r} twice.", path=path)
