"""What judges were asked, what they said, and how far they can be trusted."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, UTCDateTime

__all__ = ["JudgeQualification", "Judgement"]


class Judgement(Base):
    """One question to a judge: the judge's own generation, and what was judged in it.

    `seat` counts the judges of a panel and `repeat` the times that each was asked, both from 0.
    For a preference, `other_generation_id` is the answer that the judged one was held against
    and `position` says where the judged one stood.
    """

    __tablename__ = "judgement"
    __table_args__ = (
        CheckConstraint("status IN ('scored', 'unscored', 'failed')", name="status_known"),
        CheckConstraint("(status = 'scored') = (value IS NOT NULL)", name="scored_has_value"),
        CheckConstraint("position IN ('first', 'second')", name="position_known"),
        CheckConstraint(
            "(position IS NULL) = (other_generation_id IS NULL)", name="pair_has_position"
        ),
    )

    generation_id: Mapped[UUID] = mapped_column(ForeignKey("generation.id"), primary_key=True)
    scorer_id: Mapped[UUID] = mapped_column(ForeignKey("scorer.id"), index=True)
    judged_generation_id: Mapped[UUID] = mapped_column(ForeignKey("generation.id"), index=True)
    other_generation_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("generation.id"), index=True
    )
    position: Mapped[str | None] = mapped_column(String(10))
    seat: Mapped[int]
    repeat: Mapped[int]
    status: Mapped[str] = mapped_column(String(20))
    value: Mapped[float | None]
    label: Mapped[str | None] = mapped_column(String(200))
    reason: Mapped[str | None] = mapped_column(String(50))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class JudgeQualification(Base):
    """One check of a judge against people. It holds for exactly this scorer: another model,
    prompt or rubric is another scorer, which has none."""

    __tablename__ = "judge_qualification"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    scorer_id: Mapped[UUID] = mapped_column(ForeignKey("scorer.id"), index=True)
    dataset_version_id: Mapped[UUID] = mapped_column(ForeignKey("dataset_version.id"))
    qualified: Mapped[bool]
    label_count: Mapped[int]
    input_hash: Mapped[str] = mapped_column(String(71))
    result: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    created_by: Mapped[str] = mapped_column(String(200))
