"""What keys, users and aliases may use of requests, tokens and money, and what they used."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, Money, UTCDateTime

__all__ = ["AccountSignal", "UsageLimit", "UsageWindow"]

_HOLDERS = "'key', 'user', 'alias'"


class UsageLimit(Base):
    """The limits of one key, user or alias; NULL is no limit."""

    __tablename__ = "usage_limit"
    __table_args__ = (
        UniqueConstraint("holder_kind", "holder"),
        CheckConstraint(f"holder_kind IN ({_HOLDERS})", name="holder_kind_known"),
        CheckConstraint("on_reach IN ('stop', 'warn')", name="on_reach_known"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    holder_kind: Mapped[str] = mapped_column(String(10))
    holder: Mapped[str] = mapped_column(String(300))
    requests_per_minute: Mapped[int | None]
    tokens_per_minute: Mapped[int | None]
    dollars_per_day: Mapped[Decimal | None] = mapped_column(Money)
    dollars_per_month: Mapped[Decimal | None] = mapped_column(Money)
    on_reach: Mapped[str] = mapped_column(String(10))
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime)
    updated_by: Mapped[str] = mapped_column(String(200))


class UsageWindow(Base):
    """What one holder used in one minute, day or month, with what calls under way may still use.

    `reserved` counts the worst case of calls that have not ended; it is replaced by what they used.
    """

    __tablename__ = "usage_window"
    __table_args__ = (
        CheckConstraint(f"holder_kind IN ({_HOLDERS})", name="holder_kind_known"),
        CheckConstraint("span IN ('minute', 'day', 'month')", name="span_known"),
    )

    holder_kind: Mapped[str] = mapped_column(String(10), primary_key=True)
    holder: Mapped[str] = mapped_column(String(300), primary_key=True)
    span: Mapped[str] = mapped_column(String(10), primary_key=True)
    starts_at: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    requests: Mapped[int]
    tokens: Mapped[int]
    reserved_tokens: Mapped[int]
    spent: Mapped[Decimal] = mapped_column(Money)
    reserved: Mapped[Decimal] = mapped_column(Money)


class AccountSignal(Base):
    """Until when a provider's account wants to be left alone, as anyone on it has heard last."""

    __tablename__ = "account_signal"

    endpoint: Mapped[str] = mapped_column(String(100), primary_key=True)
    limited_until_at: Mapped[datetime] = mapped_column(UTCDateTime)
    told_at: Mapped[datetime] = mapped_column(UTCDateTime)
