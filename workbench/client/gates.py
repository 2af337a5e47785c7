"""Gate decisions as they were made and stored."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from workbench.client.calls import Answer, Listing

__all__ = ["Decision", "decisions"]


class Decision(Answer):
    """What a gate decided about one candidate; `evidence` names its reasons and checks, and
    `binding` says whether a promotion may rest on it."""

    SCHEMA: ClassVar[str] = "GateDecisionView"

    id: UUID
    baseline_run_id: UUID
    candidate_run_id: UUID
    decision: str
    binding: bool
    evidence: dict[str, Any]
    evidence_hash: str
    created_at: datetime
    created_by: str


def decisions(experiment: int) -> Listing[Decision]:
    """The decisions of one experiment's gate, newest first."""
    return Listing("/api/gate-decisions", Decision, {"experiment": experiment})
