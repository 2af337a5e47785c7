"""Gate decisions: a declared plan applied to comparisons."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, UTCDateTime

__all__ = ["GateDecision"]


class GateDecision(Base):
    """One decision about one candidate. `evidence` names every input with its hash and
    `evidence_hash` covers it; `binding` says whether a promotion may rest on it."""

    __tablename__ = "gate_decision"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    experiment_id: Mapped[UUID | None] = mapped_column(ForeignKey("experiment.id"), index=True)
    baseline_run_id: Mapped[UUID] = mapped_column(ForeignKey("run.id"))
    candidate_run_id: Mapped[UUID] = mapped_column(ForeignKey("run.id"), index=True)
    plan: Mapped[dict[str, Any]] = mapped_column(JSON)
    decision: Mapped[str] = mapped_column(String(30))
    exit_code: Mapped[int]
    binding: Mapped[bool]
    evidence: Mapped[dict[str, Any]] = mapped_column(JSON)
    evidence_hash: Mapped[str] = mapped_column(String(71))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    created_by: Mapped[str] = mapped_column(String(200))
