"""Aliases, and what they pointed at when."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, UTCDateTime

__all__ = ["Alias", "Deployment", "DeploymentTarget"]


class Alias(Base):
    """A movable name, as in `support-bot@production`. What it means now is its last deployment."""

    __tablename__ = "alias"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(300), unique=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    created_by: Mapped[str] = mapped_column(String(200))


class Deployment(Base):
    """One move of an alias: who, when and why; its targets are rows of their own.

    `kind` is move, rollback, disable or settings. `settings` is what the alias allows from then on
    (None: the defaults). With a `message` the alias answers with that text and calls no model.
    """

    __tablename__ = "deployment"
    # `kind` has no CHECK: SQLite could not add one without building the table anew.
    __table_args__ = (UniqueConstraint("alias_id", "number"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    alias_id: Mapped[UUID] = mapped_column(ForeignKey("alias.id"))
    number: Mapped[int]
    reason: Mapped[str] = mapped_column(Text)
    previous_id: Mapped[UUID | None] = mapped_column(ForeignKey("deployment.id"))
    kind: Mapped[str] = mapped_column(String(20), server_default="move")
    settings: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    message: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    created_by: Mapped[str] = mapped_column(String(200))


class DeploymentTarget(Base):
    """One variant that a deployment serves, and what part of the requests it takes."""

    __tablename__ = "deployment_target"
    __table_args__ = (
        CheckConstraint("role IN ('primary', 'canary', 'fallback')", name="role_known"),
        CheckConstraint("weight >= 0", name="weight_not_negative"),
    )

    deployment_id: Mapped[UUID] = mapped_column(ForeignKey("deployment.id"), primary_key=True)
    variant_id: Mapped[UUID] = mapped_column(ForeignKey("variant.id"), primary_key=True, index=True)
    role: Mapped[str] = mapped_column(String(20), primary_key=True)
    weight: Mapped[float]
