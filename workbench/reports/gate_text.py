"""Stored gate decisions on a terminal: the decision, why, and every check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from app.schemas.gates import GateDecisionView
from workbench.gate_words import (
    DECISION_MEANINGS,
    check_label,
    decision_word,
    short_evidence,
    standing_text,
)

__all__ = ["gate_text"]

_STYLES: Mapping[str, str] = {
    "passed": "bold green",
    "worse": "bold red",
    "not_proven": "bold yellow",
    "incomparable": "bold magenta",
    "blocked": "bold yellow",
    "infrastructure": "bold magenta",
}


def gate_text(decision: GateDecisionView) -> RenderableType:
    """Return one decision for the terminal."""
    evidence = decision.evidence
    parts: list[RenderableType] = [
        Text.assemble(
            ("Gate: ", "bold"),
            (decision_word(decision.decision).upper(), _STYLES[decision.decision]),
            f", {DECISION_MEANINGS[decision.decision]}. ",
            (f"{standing_text(decision.evidence)}.".capitalize(), "dim"),
        ),
        Text.assemble(("candidate  ", "bold"), evidence["candidate"]["name"]),
        Text.assemble(("baseline   ", "bold"), evidence["baseline"]["name"]),
        *(Padding(Text(f"- {reason}"), (0, 0, 0, 2)) for reason in evidence["reasons"]),
        _checks(evidence["checks"]),
    ]
    parts += [
        Text(f"{'allowed' if note['allowed'] else 'advisory'}: {note['text']}", style="dim")
        for note in evidence["exceptions"]
    ]
    parts += [Text(f"· {note['code']}: {note['text']}", style="dim") for note in evidence["notes"]]
    parts.append(
        Text(
            f"Evidence {short_evidence(decision.evidence_hash)}, exit code {decision.exit_code}.",
            style="dim",
        )
    )
    return Group(*parts)


def _checks(checks: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for title in ("check", "", "asked", "found"):
        table.add_column(title, overflow="fold")
    for check in checks:
        passed = check["decision"] == "passed"
        table.add_row(
            Text(check_label(check)),
            Text("ok", style="green")
            if passed
            else Text(decision_word(check["decision"]), style=_STYLES[check["decision"]]),
            Text(check["asked"]),
            Text(check["found"]),
        )
    return table
