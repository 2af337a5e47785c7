"""Stored gate decisions on a terminal: the decision, why, and every check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from app.schemas.gates import GateDecisionView

__all__ = [
    "DECISION_MEANINGS",
    "check_label",
    "decision_word",
    "gate_text",
    "short_evidence",
    "standing_text",
]

DECISION_MEANINGS: Mapping[str, str] = {
    "passed": "everything that was declared is shown",
    "worse": "something worse than was agreed to is shown",
    "not_proven": "the data do not show what was declared",
    "incomparable": "the two runs do not answer the same question",
    "blocked": "a person has to look first",
    "infrastructure": "the runs are not whole",
}
"""What each decision says, in a few words."""

_STYLES: Mapping[str, str] = {
    "passed": "bold green",
    "worse": "bold red",
    "not_proven": "bold yellow",
    "incomparable": "bold magenta",
    "blocked": "bold yellow",
    "infrastructure": "bold magenta",
}


def decision_word(decision: str) -> str:
    """`not proven`."""
    return decision.replace("_", " ")


def check_label(check: Mapping[str, Any]) -> str:
    """`guard cost`; `size` where there is only one of the kind."""
    return f"{check['kind']} {check['name']}".rstrip()


def short_evidence(decision: GateDecisionView) -> str:
    """Enough of the evidence hash to find the decision again."""
    return decision.evidence_hash.removeprefix("sha256:")[:12]


def standing_text(decision: GateDecisionView) -> str:
    """Say whether a promotion may rest on the decision, and which exceptions were made for it."""
    exceptions = decision.evidence["exceptions"]
    open_ = [note["name"] for note in exceptions if not note["allowed"]]
    allowed = [note["name"] for note in exceptions if note["allowed"]]
    if open_:
        return f"advisory ({', '.join(open_)})"
    return f"binding, by exception ({', '.join(allowed)})" if allowed else "binding"


def gate_text(decision: GateDecisionView) -> RenderableType:
    """Return one decision for the terminal."""
    evidence = decision.evidence
    parts: list[RenderableType] = [
        Text.assemble(
            ("Gate: ", "bold"),
            (decision_word(decision.decision).upper(), _STYLES[decision.decision]),
            f", {DECISION_MEANINGS[decision.decision]}. ",
            (f"{standing_text(decision)}.".capitalize(), "dim"),
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
        Text(f"Evidence {short_evidence(decision)}, exit code {decision.exit_code}.", style="dim")
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
