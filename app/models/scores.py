"""Scorers and the scores they gave."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, UTCDateTime

__all__ = ["Score", "Scorer"]


class Scorer(Base):
    """A versioned rule with its options; `content_hash` covers name, version and options."""

    __tablename__ = "scorer"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    version: Mapped[int]
    config: Mapped[dict[str, Any]] = mapped_column(JSON)
    content_hash: Mapped[str] = mapped_column(String(71), unique=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    created_by: Mapped[str] = mapped_column(String(200))


class Score(Base):
    """One finite value, or the reason why there is none. Missing is never 0."""

    __tablename__ = "score"
    __table_args__ = (
        UniqueConstraint("generation_id", "scorer_id", "repeat"),
        CheckConstraint("status IN ('scored', 'unscored', 'failed')", name="status_known"),
        CheckConstraint("(status = 'scored') = (value IS NOT NULL)", name="scored_has_value"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    generation_id: Mapped[UUID] = mapped_column(ForeignKey("generation.id"))
    scorer_id: Mapped[UUID] = mapped_column(ForeignKey("scorer.id"), index=True)
    repeat: Mapped[int]
    status: Mapped[str] = mapped_column(String(20))
    value: Mapped[float | None]
    passed: Mapped[bool | None]
    label: Mapped[str | None] = mapped_column(String(200))
    reason: Mapped[str | None] = mapped_column(String(50))
    explanation_content_id: Mapped[UUID | None] = mapped_column(ForeignKey("content.id"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
