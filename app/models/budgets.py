"""Budgets: what an experiment may spend, and what processes have taken out of it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, Money, UTCDateTime

__all__ = ["Budget", "BudgetLease"]


class Budget(Base):
    """The most that an experiment may spend, judges included, in US dollars."""

    __tablename__ = "budget"
    __table_args__ = (CheckConstraint("amount >= 0", name="amount_not_negative"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    experiment_id: Mapped[UUID] = mapped_column(ForeignKey("experiment.id"), unique=True)
    amount: Mapped[Decimal] = mapped_column(Money)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    created_by: Mapped[str] = mapped_column(String(200))


class BudgetLease(Base):
    """A slice of a budget that one process has taken out before it spends any of it.

    While `settled_at` is NULL the whole `amount` counts as spent, so that a process which is
    killed can never have spent more than is counted. Settled, `spent` counts.
    """

    __tablename__ = "budget_lease"
    __table_args__ = (
        CheckConstraint("(settled_at IS NULL) = (spent IS NULL)", name="settled_has_spent"),
        CheckConstraint("spent IS NULL OR spent <= amount", name="spent_within_amount"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    budget_id: Mapped[UUID] = mapped_column(ForeignKey("budget.id"), index=True)
    holder: Mapped[str] = mapped_column(String(200))
    amount: Mapped[Decimal] = mapped_column(Money)
    spent: Mapped[Decimal | None] = mapped_column(Money)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
