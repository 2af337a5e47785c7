"""Credentials of people and services."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, UTCDateTime

__all__ = ["ApiKey"]


class ApiKey(Base):
    """One credential: its public beginning and an HMAC of it; the secret itself is nowhere.

    A key with a `user_id` acts as that person and never with more than they have now. One without
    belongs to a service: `scope` says what it may do (permissions, name prefix, aliases).
    """

    __tablename__ = "api_key"
    __table_args__ = (CheckConstraint("expires_at IS NOT NULL", name="expires"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    prefix: Mapped[str] = mapped_column(String(20), unique=True)
    secret_hmac: Mapped[bytes] = mapped_column(LargeBinary(32))
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("user.id"), index=True)
    scope: Mapped[dict[str, Any]] = mapped_column(JSON)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revoked_by: Mapped[str | None] = mapped_column(String(200))
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    replaces_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    created_by: Mapped[str] = mapped_column(String(200))
