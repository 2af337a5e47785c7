"""Texts from and to people and models, apart from the facts that reference them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, UTCDateTime

__all__ = ["Content"]


class Content(Base):
    """One text as JSON. Erasing takes body and salt together; hash and size stay, and
    without its salt the hash tells nothing about the text."""

    __tablename__ = "content"
    __table_args__ = (
        CheckConstraint("(body IS NULL) = (erased_at IS NOT NULL)", name="erased_has_no_body"),
        CheckConstraint("(body IS NULL) = (salt IS NULL)", name="salt_goes_with_body"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    body: Mapped[str | None] = mapped_column(Text)
    salt: Mapped[bytes | None] = mapped_column(LargeBinary(16))
    hash: Mapped[str] = mapped_column(String(71))
    size_bytes: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    erased_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
