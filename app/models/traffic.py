"""Sums of the answers in production by hour and by day (UTC), kept beside the answers."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    String,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, Money, UTCDateTime

__all__ = ["TrafficLate", "TrafficSpan", "TrafficSum"]


class TrafficSpan(Base):
    """An hour or a day that was summed, also if there was nothing in it."""

    __tablename__ = "traffic_span"
    __table_args__ = (CheckConstraint("span IN ('hour', 'day')", name="span_known"),)

    span: Mapped[str] = mapped_column(String(10), primary_key=True)
    starts_at: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    summed_at: Mapped[datetime] = mapped_column(UTCDateTime)


class TrafficLate(Base):
    """An answer that ended after its hour was summed: until it is summed again, the hour and its
    day are not to be used. Written by a trigger, in the transaction that ends the answer."""

    __tablename__ = "traffic_late"

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True
    )
    starts_at: Mapped[datetime] = mapped_column(UTCDateTime)


class TrafficSum(Base):
    """What one kind of target answered through one alias in one span, by how the answers ended.

    Only answers that have ended are in it. `unpriced` have no cost and `uncounted` no tokens; the
    sums leave them out. `latency` (of completed answers) and `first_token` (of all that have one)
    are histograms, `[bucket, count, bucket, count, ...]` by `app.core.distributions`.
    """

    __tablename__ = "traffic_sum"
    __table_args__ = (
        ForeignKeyConstraint(
            ["span", "starts_at"], ["traffic_span.span", "traffic_span.starts_at"]
        ),
    )

    span: Mapped[str] = mapped_column(String(10), primary_key=True)
    starts_at: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    alias_id: Mapped[UUID] = mapped_column(ForeignKey("alias.id"), primary_key=True)
    prompt_version_id: Mapped[UUID] = mapped_column(
        ForeignKey("prompt_version.id"), primary_key=True
    )
    model_version_id: Mapped[UUID] = mapped_column(ForeignKey("model_version.id"), primary_key=True)
    role: Mapped[str] = mapped_column(String(20), primary_key=True)
    completed: Mapped[int]
    client_gone: Mapped[int]
    upstream_cut: Mapped[int]
    timeout: Mapped[int]
    refused: Mapped[int]
    failed: Mapped[int]
    abandoned: Mapped[int]
    unpriced: Mapped[int]
    uncounted: Mapped[int]
    input_tokens: Mapped[int] = mapped_column(BigInteger)
    output_tokens: Mapped[int] = mapped_column(BigInteger)
    cost: Mapped[Decimal] = mapped_column(Money)
    latency: Mapped[list[int]] = mapped_column(JSON)
    first_token: Mapped[list[int]] = mapped_column(JSON)
