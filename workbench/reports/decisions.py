"""What a report says of gate decisions: the newest of each candidate, check by check.

A decision is shown from its stored evidence and never computed again. Nothing is escaped here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from app.schemas.gates import GateDecisionView
from workbench.reports.experiment import ExperimentReport
from workbench.reports.sections import timestamp

__all__ = ["CheckText", "GateText", "gate_texts"]

_TONES: Final[Mapping[str, tuple[str, str]]] = {
    "passed": ("✓", "v-superior"),
    "worse": ("▼", "v-inferior"),
    "not_proven": ("?", "v-inconclusive"),
    "incomparable": ("≠", "v-worse-within-margin"),
    "blocked": ("■", "v-worse-within-margin"),
    "infrastructure": ("…", "v-insufficient-data"),
}


@dataclass(frozen=True, slots=True)
class CheckText:
    """One thing that the gate asked for: `word` is what this check alone decides."""

    name: str
    word: str
    asked: str
    found: str


@dataclass(frozen=True, slots=True)
class GateText:
    """One decision about one candidate; `standing` says whether a promotion may rest on it."""

    word: str
    symbol: str
    tone: str
    candidate: str
    baseline: str
    standing: str
    checks: tuple[CheckText, ...]
    exceptions: tuple[str, ...]
    made: str
    evidence_hash: str


def gate_texts(report: ExperimentReport) -> list[GateText]:
    """Return the newest decision about each candidate, in the order of the runs."""
    names = {run.run.id: run.run.name for run in report.runs}
    newest: dict[UUID, GateDecisionView] = {}
    for decision in report.gates:
        newest.setdefault(decision.candidate_run_id, decision)
    known = [newest[run_id] for run_id in names if run_id in newest]
    return [_gate_text(decision, names) for decision in known]


def _gate_text(decision: GateDecisionView, names: Mapping[UUID, str]) -> GateText:
    symbol, tone = _TONES[decision.decision]
    checks: Sequence[Mapping[str, Any]] = decision.evidence.get("checks") or ()
    exceptions: Sequence[Mapping[str, Any]] = decision.evidence.get("exceptions") or ()
    standing = "binding: a promotion may rest on it"
    if not decision.binding:
        standing = "advisory: no promotion may rest on it"
    return GateText(
        word=decision.decision.replace("_", " "),
        symbol=symbol,
        tone=tone,
        candidate=names[decision.candidate_run_id],
        baseline=names.get(decision.baseline_run_id, "a run from elsewhere"),
        standing=standing,
        checks=tuple(_check(check) for check in checks),
        exceptions=tuple(
            f"{'allowed' if found['allowed'] else 'not allowed'}: {found['text']}"
            for found in exceptions
        ),
        made=f"{timestamp(decision.created_at)} by {decision.created_by}",
        evidence_hash=decision.evidence_hash,
    )


def _check(check: Mapping[str, Any]) -> CheckText:
    return CheckText(
        name=f"{check['kind']}: {check['name']}" if check["name"] else str(check["kind"]),
        word=str(check["decision"]).replace("_", " "),
        asked=str(check["asked"]),
        found=str(check["found"]),
    )
