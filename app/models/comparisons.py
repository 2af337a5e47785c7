"""Comparisons: the paired effect between two runs, stored with what it was computed from."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, UTCDateTime

__all__ = ["Comparison"]


class Comparison(Base):
    """One analysis. `input_hash` covers every score that went in; `result` is the whole answer."""

    __tablename__ = "comparison"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    baseline_run_id: Mapped[UUID] = mapped_column(ForeignKey("run.id"), index=True)
    candidate_run_id: Mapped[UUID] = mapped_column(ForeignKey("run.id"), index=True)
    scorer_id: Mapped[UUID] = mapped_column(ForeignKey("scorer.id"))
    plan: Mapped[dict[str, Any]] = mapped_column(JSON)
    verdict: Mapped[str] = mapped_column(String(30))
    method: Mapped[str] = mapped_column(String(50))
    result: Mapped[dict[str, Any]] = mapped_column(JSON)
    input_hash: Mapped[str] = mapped_column(String(71))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    created_by: Mapped[str] = mapped_column(String(200))
