"""What was declared before a run, in words: names with sentences out; pure.

Nothing is escaped here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.schemas.experiments import Plan
from workbench.number_text import RATES, Scale, count_text, level_text, percent
from workbench.scorers import parse_scorer

__all__ = ["plan_facts"]

Facts = list[tuple[str, str]]


def plan_facts(plan: Plan, spec: Mapping[str, Any]) -> Facts:
    """Say what was declared before the run; empty if nothing was."""
    if plan == Plan():
        return []
    scorers: Sequence[Mapping[str, Any]] = spec.get("scorers") or ()
    primary = plan.scorer or (str(scorers[0]["name"]) if scorers else "the first scorer")
    scales = {str(scorer["name"]): _declared_scale(scorer) for scorer in scorers}
    goal = _goal(plan, primary, scales.get(primary, RATES))
    facts = [("To show", goal), ("Looks", _looks(plan))]
    facts += [
        ("Guard", _guard(guard.metric, guard.margin, scales.get(guard.metric, RATES)))
        for guard in plan.guards
    ]
    facts += [
        (
            "Safety",
            f"every output passes {safety.scorer}; the share of failures is below "
            f"{percent(safety.limit)} with {level_text(0.95)} confidence",
        )
        for safety in plan.safety
    ]
    if plan.allow:
        facts.append(("Allowed", ", ".join(plan.allow)))
    return facts


def _declared_scale(scorer: Mapping[str, Any]) -> Scale:
    return Scale.of(parse_scorer({"name": scorer["name"], **scorer.get("config", {})}).range)


def _goal(plan: Plan, primary: str, scale: Scale) -> str:
    if plan.goal == "superiority":
        return f"better in {primary}"
    if plan.margin is None:
        return f"not worse in {primary}; no margin was declared"
    return f"not worse in {primary} by more than {scale.distance(plan.margin)}"


def _looks(plan: Plan) -> str:
    if plan.mode == "fixed":
        return f"one, at the end of {_planned(plan)}"
    return f"sequential, in random order of seed {plan.seed}, at most {_planned(plan)}"


def _planned(plan: Plan) -> str:
    return "all examples in use" if plan.n is None else count_text(plan.n, "example")


def _guard(metric: str, margin: float, scale: Scale) -> str:
    if metric in ("cost", "latency"):
        return f"{metric} rises by at most {percent(margin)}"
    if metric == "latency_p95":
        return f"the 95th percentile of latency rises by at most {margin:g} ms"
    return f"{metric} loses at most {scale.distance(margin)}"
