"""Experiments, their runs and the jobs that carried them out."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, UTCDateTime

__all__ = ["Experiment", "Job", "Run"]


class Experiment(Base):
    """The question over one dataset version. `spec` is what was asked, whole; `plan` is the
    analysis declared before the run. `extends_id` is the experiment that this one carries on over
    a newer dataset version (no foreign key, as SQLite could not drop the column again)."""

    __tablename__ = "experiment"
    __table_args__ = (
        CheckConstraint("status IN ('open', 'completed', 'cancelled')", name="status_known"),
        CheckConstraint("repetitions >= 1", name="repetitions_positive"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(String(200))
    dataset_version_id: Mapped[UUID] = mapped_column(ForeignKey("dataset_version.id"))
    spec: Mapped[dict[str, Any]] = mapped_column(JSON)
    spec_hash: Mapped[str] = mapped_column(String(71), index=True)
    plan: Mapped[dict[str, Any]] = mapped_column(JSON)
    repetitions: Mapped[int]
    example_limit: Mapped[int | None]
    extends_id: Mapped[UUID | None]
    status: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    created_by: Mapped[str] = mapped_column(String(200))
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Run(Base):
    """One variant over one dataset version, or outputs that were made elsewhere."""

    __tablename__ = "run"
    __table_args__ = (
        UniqueConstraint("experiment_id", "position"),
        CheckConstraint("origin IN ('executed', 'imported')", name="origin_known"),
        CheckConstraint(
            "(origin = 'executed') = (variant_id IS NOT NULL AND experiment_id IS NOT NULL)",
            name="executed_has_variant",
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(300), unique=True)
    experiment_id: Mapped[UUID | None] = mapped_column(ForeignKey("experiment.id"))
    position: Mapped[int | None]
    dataset_version_id: Mapped[UUID] = mapped_column(ForeignKey("dataset_version.id"))
    variant_id: Mapped[UUID | None] = mapped_column(ForeignKey("variant.id"), index=True)
    origin: Mapped[str] = mapped_column(String(20))
    source: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    created_by: Mapped[str] = mapped_column(String(200))


class Job(Base):
    """Work that a process took up, or that waits for a worker to take it up.

    A job without `ended_at` whose process is gone was cut by a crash: about `concurrency` calls of
    it are unknown. `request` is what was asked for; only jobs that were submitted have one.
    """

    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('run', 'score', 'compare', 'gate', 'qualify')", name="kind_known"
        ),
        CheckConstraint(
            "status IN ('queued', 'running', 'done', 'stopped', 'failed', 'lost')",
            name="status_known",
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    experiment_id: Mapped[UUID | None] = mapped_column(ForeignKey("experiment.id"), index=True)
    status: Mapped[str] = mapped_column(String(20))
    actor: Mapped[str] = mapped_column(String(200))
    concurrency: Mapped[int]
    queued_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    stop_asked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    request: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
