"""Variants: what is measured, promoted and served."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, UTCDateTime

__all__ = ["Variant"]


class Variant(Base):
    """Prompt version + model version + generation parameters.

    `parameters` are the values asked for, after all layers were merged, so that a later
    change of a default cannot change what a variant means; `sources` says which layer
    each came from.
    """

    __tablename__ = "variant"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    prompt_version_id: Mapped[UUID] = mapped_column(ForeignKey("prompt_version.id"), index=True)
    model_version_id: Mapped[UUID] = mapped_column(ForeignKey("model_version.id"), index=True)
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON)
    sources: Mapped[dict[str, Any]] = mapped_column(JSON)
    content_hash: Mapped[str] = mapped_column(String(71), unique=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    created_by: Mapped[str] = mapped_column(String(200))
