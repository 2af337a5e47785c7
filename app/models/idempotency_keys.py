"""Replies that are given again to a request sent twice."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, UTCDateTime

__all__ = ["IdempotencyKey"]


class IdempotencyKey(Base):
    """One key of one actor, written in the transaction of its effect.

    `status` is the HTTP status of the reply and NULL while the effect is under way. The reply is a
    content row; that of a chat is made from its generation.
    """

    __tablename__ = "idempotency_key"
    __table_args__ = (
        UniqueConstraint("actor", "key"),
        Index("ix_idempotency_key_expires_at", "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    actor: Mapped[str] = mapped_column(String(200))
    key: Mapped[str] = mapped_column(String(255))
    request_hash: Mapped[str] = mapped_column(String(71))
    status: Mapped[int | None]
    reply_content_id: Mapped[UUID | None] = mapped_column(ForeignKey("content.id"))
    generation_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
