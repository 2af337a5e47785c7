"""What people think of single generations."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, UTCDateTime

__all__ = ["Review"]

_MARKS = text("criterion = 'audit' AND source = 'entered'")


class Review(Base):
    """One person's judgement of one generation under one criterion. Never overwritten: a second
    thought is a second row.

    Rows of criterion `audit` that were entered mark a generation as `ok` or `flagged` (`label`);
    the comment says why, and the newest of a generation counts.
    """

    __tablename__ = "review"
    __table_args__ = (
        CheckConstraint("source IN ('imported', 'entered')", name="source_known"),
        CheckConstraint("value IS NOT NULL OR label IS NOT NULL", name="says_something"),
        Index(
            "ix_review_mark",
            "label",
            "generation_id",
            sqlite_where=_MARKS,
            postgresql_where=_MARKS,
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    generation_id: Mapped[UUID] = mapped_column(ForeignKey("generation.id"), index=True)
    criterion: Mapped[str] = mapped_column(String(100))
    reviewer: Mapped[str] = mapped_column(String(200))
    value: Mapped[float | None]
    label: Mapped[str | None] = mapped_column(String(200))
    comment_content_id: Mapped[UUID | None] = mapped_column(ForeignKey("content.id"))
    source: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    created_by: Mapped[str] = mapped_column(String(200))
