"""What people think of single generations."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, UTCDateTime

__all__ = ["Review"]


class Review(Base):
    """One person's judgement of one generation under one criterion. Never overwritten: a second
    thought is a second row."""

    __tablename__ = "review"
    __table_args__ = (
        CheckConstraint("source IN ('imported', 'entered')", name="source_known"),
        CheckConstraint("value IS NOT NULL OR label IS NOT NULL", name="says_something"),
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
