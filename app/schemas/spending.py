"""What was spent in a month, at the boundary."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from app.core.errors import Invalid
from app.core.usage_limits import window_end, window_start

__all__ = [
    "BudgetStanding",
    "ModelSpending",
    "Month",
    "PurposeSpending",
    "Spending",
    "parse_month",
]

_MONTH: Final = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])", re.ASCII)


class Month(NamedTuple):
    """A month of the calendar in UTC: from its first moment, up to that of the next."""

    starts_at: datetime
    ends_at: datetime

    @classmethod
    def of(cls, moment: datetime) -> Month:
        """Return the month that a time lies in, as limits count it."""
        return cls(window_start("month", moment), window_end("month", moment))


def parse_month(text: str) -> Month:
    """Read `2026-03`; `Invalid` for anything else."""
    found = _MONTH.fullmatch(text)
    if found is None:
        raise Invalid(f"{text} is no month: write year and month, as in 2026-03.", path="month")
    return Month.of(datetime(int(found[1]), int(found[2]), 1, tzinfo=UTC))


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelSpending(_View):
    """What the calls to one model version cost."""

    model: str = Field(examples=["openai/gpt-4.1-mini@1"])
    calls: int
    dollars: Decimal | None = Field(description="as far as it is known; null if nothing of it is")
    unpriced: int = Field(description="answers whose cost is unknown, and not in `dollars`")


class PurposeSpending(_View):
    """What one kind of work cost, and by which models; the dearest first."""

    calls: int
    dollars: Decimal | None = Field(description="as far as it is known; null if nothing of it is")
    unpriced: int = Field(description="answers whose cost is unknown, and not in `dollars`")
    models: tuple[ModelSpending, ...]


class BudgetStanding(_View):
    """The budget of an experiment that is not finished, in US dollars."""

    experiment: int
    name: str
    amount: Decimal
    spent: Decimal
    leased: Decimal = Field(description="taken out by processes at work, not yet accounted for")


class Spending(_View):
    """What was spent in one month of the calendar in UTC.

    A call counts in the month in which it began, as limits count it. Null is what the asker may not
    see.
    """

    starts_at: datetime
    ends_at: datetime
    experiments: PurposeSpending | None
    judges: PurposeSpending | None
    production: PurposeSpending | None = Field(
        description="chats, those included that services reported"
    )
    budgets: tuple[BudgetStanding, ...] = Field(
        description="of up to twenty experiments that are not finished, newest first"
    )
