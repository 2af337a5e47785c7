"""What was spent in a month."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from workbench.client.calls import Answer, Call

__all__ = ["BudgetStanding", "ModelSpending", "PurposeSpending", "Spending", "of_month"]


class ModelSpending(Answer):
    """What the calls to one model version cost, in US dollars; None if nothing of it is known."""

    SCHEMA: ClassVar[str] = "ModelSpending"

    model: str
    calls: int
    dollars: float | None
    unpriced: int


class PurposeSpending(Answer):
    """What one kind of work cost; `unpriced` answers are not in `dollars`."""

    SCHEMA: ClassVar[str] = "PurposeSpending"

    calls: int
    dollars: float | None
    unpriced: int
    models: tuple[ModelSpending, ...]


class BudgetStanding(Answer):
    """The budget of an experiment that is not finished, in US dollars."""

    SCHEMA: ClassVar[str] = "BudgetStanding"

    experiment: int
    name: str
    amount: float
    spent: float
    leased: float


class Spending(Answer):
    """What was spent in a month of the calendar in UTC; None is what one may not see."""

    SCHEMA: ClassVar[str] = "Spending"

    starts_at: datetime
    ends_at: datetime
    experiments: PurposeSpending | None
    judges: PurposeSpending | None
    production: PurposeSpending | None
    budgets: tuple[BudgetStanding, ...]


def of_month(month: str | None = None) -> Call[Spending]:
    """What was spent in a month, written `2026-03`; in this one without."""
    return Call("GET", "/api/spending", Spending, {"month": month})
