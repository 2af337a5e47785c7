"""The words of gate decisions, the same in every form in which they are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = [
    "DECISION_MEANINGS",
    "check_label",
    "decision_word",
    "short_evidence",
    "standing_text",
]

DECISION_MEANINGS: Final[Mapping[str, str]] = {
    "passed": "everything that was declared is shown",
    "worse": "something worse than was agreed to is shown",
    "not_proven": "the data do not show what was declared",
    "incomparable": "the two runs do not answer the same question",
    "blocked": "a person has to look first",
    "infrastructure": "the runs are not whole",
}
"""What each decision says, in a few words."""


def decision_word(decision: str) -> str:
    """`not proven`."""
    return decision.replace("_", " ")


def check_label(check: Mapping[str, Any]) -> str:
    """`guard cost`; `size` where there is only one of the kind."""
    return f"{check['kind']} {check['name']}".rstrip()


def short_evidence(evidence_hash: str) -> str:
    """Enough of the evidence hash to find the decision again."""
    return evidence_hash.removeprefix("sha256:")[:12]


def standing_text(evidence: Mapping[str, Any]) -> str:
    """Say whether a promotion may rest on a decision with this evidence, and which exceptions were
    made for it."""
    exceptions = evidence["exceptions"]
    open_ = [note["name"] for note in exceptions if not note["allowed"]]
    allowed = [note["name"] for note in exceptions if note["allowed"]]
    if open_:
        return f"advisory ({', '.join(open_)})"
    return f"binding, by exception ({', '.join(allowed)})" if allowed else "binding"
