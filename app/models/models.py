"""The catalog: language models, their pinned versions and prices; and variants."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, Money, UTCDateTime

__all__ = ["LanguageModel", "ModelPrice", "ModelVersion"]


class LanguageModel(Base):
    """A model by the name people use: provider and name, as in `openai/gpt-4.1`."""

    __tablename__ = "language_model"
    __table_args__ = (UniqueConstraint("provider", "name"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(String(50))
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    created_by: Mapped[str] = mapped_column(String(200))


class ModelVersion(Base):
    """One pinned snapshot. What identifies it (wire name, endpoint, digest) never changes;
    facts and lifecycle may, each change with its audit event."""

    __tablename__ = "model_version"
    __table_args__ = (
        UniqueConstraint("language_model_id", "number"),
        CheckConstraint(
            "status IN ('draft', 'active', 'deprecated', 'retired')", name="status_known"
        ),
        CheckConstraint("number >= 1", name="number_positive"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    language_model_id: Mapped[UUID] = mapped_column(ForeignKey("language_model.id"))
    number: Mapped[int]
    provider_model: Mapped[str] = mapped_column(String(200))
    endpoint: Mapped[str] = mapped_column(String(100))
    digest: Mapped[str | None] = mapped_column(String(200))
    floating: Mapped[bool]
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)
    status: Mapped[str] = mapped_column(String(20))
    sunset_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    successor: Mapped[str | None] = mapped_column(String(300))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    created_by: Mapped[str] = mapped_column(String(200))


class ModelPrice(Base):
    """Dollars per million tokens from `valid_from` until `valid_to` (exclusive; NULL: open)."""

    __tablename__ = "model_price"
    __table_args__ = (
        UniqueConstraint("model_version_id", "valid_from", "source"),
        CheckConstraint("source IN ('own', 'genai-prices', 'local')", name="source_known"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    model_version_id: Mapped[UUID] = mapped_column(ForeignKey("model_version.id"), index=True)
    valid_from: Mapped[datetime] = mapped_column(UTCDateTime)
    valid_to: Mapped[datetime | None] = mapped_column(UTCDateTime)
    input: Mapped[Decimal] = mapped_column(Money)
    cached_input: Mapped[Decimal | None] = mapped_column(Money)
    output: Mapped[Decimal] = mapped_column(Money)
    source: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    created_by: Mapped[str] = mapped_column(String(200))
