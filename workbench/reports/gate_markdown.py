"""Stored gate decisions as Markdown, for the comment of a pull request or merge request.

Every text is escaped: names and reasons come from people and files, and must neither become
markup nor mention somebody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.schemas.gates import GateDecisionView
from workbench.gate_words import (
    DECISION_MEANINGS,
    check_label,
    decision_word,
    short_evidence,
    standing_text,
)
from workbench.reports.markdown_text import escaped, table_row

__all__ = ["gate_markdown"]

_MARKS = {"passed": "✅", "worse": "❌", "infrastructure": "⚠️", "incomparable": "⚠️"}
_OTHER_MARK = "➖"


def gate_markdown(decisions: Sequence[GateDecisionView]) -> str:
    """Return all decisions of an experiment; with several, a table of them stands first."""
    parts = []
    if len(decisions) > 1:
        parts.append(_summary(decisions))
    parts += [_decision(decision) for decision in decisions]
    return "\n\n".join(parts) + "\n"


def _summary(decisions: Sequence[GateDecisionView]) -> str:
    experiment = decisions[0].evidence["experiment"]
    lines = [
        f"## Experiment {experiment}: {len(decisions)} candidates",
        "",
        "| candidate | decision | standing |",
        "|---|---|---|",
    ]
    for decision in decisions:
        name = escaped(decision.evidence["candidate"]["name"])
        word = f"{_mark(decision.decision)} {decision_word(decision.decision)}"
        lines.append(table_row((name, word, escaped(standing_text(decision.evidence)))))
    return "\n".join(lines)


def _decision(decision: GateDecisionView) -> str:
    evidence = decision.evidence
    word = decision_word(decision.decision)
    lines = [
        f"### {_mark(decision.decision)} Gate {word}: {DECISION_MEANINGS[decision.decision]}",
        "",
        f"**Candidate** {escaped(evidence['candidate']['name'])}  ",
        f"**Baseline** {escaped(evidence['baseline']['name'])}  ",
        f"**Data** {escaped(evidence['dataset']['reference'])}  ",
        f"**Standing** {escaped(standing_text(decision.evidence))}",
    ]
    if evidence["reasons"]:
        lines += ["", *(f"- {escaped(reason)}" for reason in evidence["reasons"])]
    lines += ["", "| check | | asked | found |", "|---|---|---|---|"]
    lines += [_row(check) for check in evidence["checks"]]
    remarks = [
        *(f"`{note['name']}`: {escaped(note['text'])}" for note in evidence["exceptions"]),
        *(f"`{note['code']}`: {escaped(note['text'])}" for note in evidence["notes"]),
    ]
    if remarks:
        lines += ["", *(f"- {remark}" for remark in remarks)]
    short = short_evidence(decision.evidence_hash)
    lines += [
        "",
        f"Evidence `{short}`, experiment {evidence['experiment']}. "
        f"Look again: `workbench gate --show {short}`",
    ]
    return "\n".join(lines)


def _row(check: dict[str, Any]) -> str:
    result = "ok" if check["decision"] == "passed" else f"**{decision_word(check['decision'])}**"
    cells = (
        f"{_mark(check['decision'])} {escaped(check_label(check))}",
        result,
        escaped(check["asked"]),
        escaped(check["found"]),
    )
    return table_row(cells)


def _mark(decision: str) -> str:
    return _MARKS.get(decision, _OTHER_MARK)
