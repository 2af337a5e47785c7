"""A declared plan applied to the evidence about one candidate. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from app.schemas.experiments import Plan
from workbench.gates.checks import all_checks, effects
from workbench.gates.decision import (
    EXIT_CODES,
    GRAVEST_FIRST,
    STOPPED,
    Decision,
    ExceptionNote,
    GateResult,
)
from workbench.gates.evidence import Evidence, OpenWarning, RunState
from workbench.statistics.policy import DEFAULT_POLICY, Policy

__all__ = ["decide_gate"]


def decide_gate(plan: Plan, evidence: Evidence, policy: Policy = DEFAULT_POLICY) -> GateResult:
    """Return the decision of a plan on one candidate's evidence."""
    checks = all_checks(plan, evidence, policy)
    said = {check.decision for check in checks}
    decision = next(word for word in GRAVEST_FIRST if word in said)
    return GateResult(
        decision=decision,
        exit_code=_exit_code(decision, evidence.runs),
        checks=tuple(checks),
        exceptions=tuple(
            ExceptionNote(name, name in plan.allow, text)
            for name, text in evidence.exceptions.items()
        ),
        notes=_notes(evidence),
    )


def _exit_code(decision: Decision, runs: Iterable[RunState]) -> int:
    if decision is Decision.INFRASTRUCTURE and any(run.open for run in runs):
        return STOPPED
    return EXIT_CODES[decision]


def _notes(evidence: Evidence) -> tuple[OpenWarning, ...]:
    """Every warning that does not block, once."""
    everything = [*evidence.notes, *(w for e in effects(evidence) for w in e.warnings)]
    return tuple(dict.fromkeys(warning for warning in everything if not warning.blocking))
