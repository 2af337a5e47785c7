"""Gate decisions at the boundary."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["DecisionWord", "GateDecisionView", "NewGateDecision"]

DecisionWord = Literal["passed", "worse", "not_proven", "incomparable", "blocked", "infrastructure"]
"""What a gate decides about one candidate."""


class NewGateDecision(BaseModel):
    """A decision on its way to the record.

    `evidence` names every input with its hash and holds nothing that changes when the same
    inputs are decided on again, so that equal evidence has an equal hash. `binding` says whether
    a promotion may rest on it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    experiment_id: UUID | None
    baseline_run_id: UUID
    candidate_run_id: UUID
    plan: dict[str, Any]
    decision: DecisionWord
    exit_code: int = Field(ge=0, le=255)
    binding: bool
    evidence: dict[str, Any]


class GateDecisionView(NewGateDecision):
    """A stored decision; `evidence_hash` is SHA-256 over the canonical JSON of `evidence`."""

    id: UUID
    evidence_hash: str
    created_at: datetime
    created_by: str
