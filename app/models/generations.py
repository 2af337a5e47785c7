"""Generations and the attempts made for them: facts only, texts are `content`."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, Money, UTCDateTime

__all__ = ["Attempt", "Generation"]

_STATUSES = "'started', 'completed', 'failed', 'refused', 'incomplete', 'cancelled', 'abandoned'"

_OF_A_RUN = text("run_id IS NOT NULL")

# What is added up of a run's or a model version's generations: in the index itself, so that sums
# over hundreds of thousands of them read no row.
_RUN_SUMS = ("status", "reused_from_id", "cost")
_MODEL_SUMS = ("purpose", "status", "reused_from_id", "input_tokens", "output_tokens", "cost")

_PARTIAL = (
    (("run_id", "started_at", *_RUN_SUMS), "run_id IS NOT NULL"),
    (("status", "started_at"), "status != 'completed'"),
    (("finish_reason", "started_at"), "finish_reason != 'stop'"),
    (("error_code", "started_at"), "error_code IS NOT NULL"),
    (("subject",), "subject IS NOT NULL"),
    (("request_id",), "request_id IS NOT NULL"),
    (("trace_id",), "trace_id IS NOT NULL"),
    (("reused_from_id",), "reused_from_id IS NOT NULL"),
)
"""Indexes of generations: the columns, and the rows that are in them."""


class Generation(Base):
    """One answer wanted from a model, whoever asked.

    A row that a model answered (completed, refused) never changes again; a failed cell may
    be reopened and then replaced, and counts in `reopened` how often that happened.

    `request_hash` covers what decides the answer (`app.llm.request_identity`). A row with
    `reused_from_id` is a stored answer used again: no call was made for it. That is no foreign
    key because SQLite could not drop the column again; a generation is never deleted.
    """

    __tablename__ = "generation"
    __table_args__ = (
        UniqueConstraint("run_id", "example_id", "repetition"),
        CheckConstraint(f"status IN ({_STATUSES})", name="status_known"),
        CheckConstraint("purpose IN ('experiment', 'judge', 'chat')", name="purpose_known"),
        CheckConstraint("origin IN ('executed', 'imported', 'reported')", name="origin_known"),
        CheckConstraint(
            "usage_source IN ('provider', 'estimated', 'unreported')", name="usage_source_known"
        ),
        CheckConstraint(
            "origin = 'imported' OR (variant_id IS NOT NULL AND prompt_version_id IS NOT NULL"
            " AND model_version_id IS NOT NULL AND provider IS NOT NULL"
            " AND (status = 'started' OR latency_ms IS NOT NULL))",
            name="executed_is_whole",
        ),
        CheckConstraint(
            "usage_source = 'unreported'"
            " OR (input_tokens IS NOT NULL AND output_tokens IS NOT NULL)",
            name="tokens_unless_unreported",
        ),
        CheckConstraint("purpose != 'experiment' OR run_id IS NOT NULL", name="experiment_has_run"),
        # Lists of answers, newest first: each filter alone finds its rows in order.
        Index("ix_generation_purpose", "purpose", "started_at"),
        Index("ix_generation_prompt_version_id", "prompt_version_id", "started_at"),
        Index("ix_generation_model_version_id", "model_version_id", "started_at", *_MODEL_SUMS),
        *(
            Index(
                f"ix_generation_{columns[0]}",
                *columns,
                sqlite_where=text(condition),
                postgresql_where=text(condition),
            )
            for columns, condition in _PARTIAL
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    purpose: Mapped[str] = mapped_column(String(20))
    origin: Mapped[str] = mapped_column(String(20))
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("run.id"))
    example_id: Mapped[UUID | None] = mapped_column(ForeignKey("example.id"))
    repetition: Mapped[int]
    variant_id: Mapped[UUID | None] = mapped_column(ForeignKey("variant.id"))
    prompt_version_id: Mapped[UUID | None] = mapped_column(ForeignKey("prompt_version.id"))
    model_version_id: Mapped[UUID | None] = mapped_column(ForeignKey("model_version.id"))
    provider: Mapped[str | None] = mapped_column(String(50))
    status: Mapped[str] = mapped_column(String(20))
    finish_reason: Mapped[str | None] = mapped_column(String(50))
    error_code: Mapped[str | None] = mapped_column(String(50))
    request_content_id: Mapped[UUID | None] = mapped_column(ForeignKey("content.id"))
    output_content_id: Mapped[UUID | None] = mapped_column(ForeignKey("content.id"))
    error_content_id: Mapped[UUID | None] = mapped_column(ForeignKey("content.id"))
    input_tokens: Mapped[int | None]
    output_tokens: Mapped[int | None]
    cached_input_tokens: Mapped[int | None]
    reasoning_tokens: Mapped[int | None]
    usage_source: Mapped[str] = mapped_column(String(20))
    cost: Mapped[Decimal | None] = mapped_column(Money)
    model_price_id: Mapped[UUID | None] = mapped_column(ForeignKey("model_price.id"))
    latency_ms: Mapped[float | None]
    time_to_first_token_ms: Mapped[float | None]
    applied_parameters: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    left_out_parameters: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    reported_model: Mapped[str | None] = mapped_column(String(200))
    reported_fingerprint: Mapped[str | None] = mapped_column(String(200))
    attempt_count: Mapped[int]
    reopened: Mapped[int]
    request_hash: Mapped[str | None] = mapped_column(String(71), index=True)
    reused_from_id: Mapped[UUID | None]
    subject: Mapped[str | None] = mapped_column(String(200))
    request_id: Mapped[str | None] = mapped_column(String(64))
    trace_id: Mapped[str | None] = mapped_column(String(32))
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Attempt(Base):
    """One call to a provider that ended. Written as it ends, hence possibly before its
    generation: `generation_id` is no foreign key on purpose."""

    __tablename__ = "attempt"
    __table_args__ = (
        Index("ix_attempt_generation_id", "generation_id"),
        # With what is added up of a run's calls in a month.
        Index(
            "ix_attempt_run_id",
            *("run_id", "started_at", "cost", "outcome", "output_tokens"),
            sqlite_where=_OF_A_RUN,
            postgresql_where=_OF_A_RUN,
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    generation_id: Mapped[UUID]
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("run.id"))
    number: Mapped[int]
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    latency_ms: Mapped[float]
    outcome: Mapped[str] = mapped_column(String(50))
    http_status: Mapped[int | None]
    provider_request_id: Mapped[str | None] = mapped_column(String(200))
    input_tokens: Mapped[int | None]
    output_tokens: Mapped[int | None]
    usage_source: Mapped[str] = mapped_column(String(20))
    cost: Mapped[Decimal | None] = mapped_column(Money)
    retry_after_s: Mapped[float | None]
    error_content_id: Mapped[UUID | None] = mapped_column(ForeignKey("content.id"))
