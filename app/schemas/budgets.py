"""Budgets at the boundary."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.core.errors import Invalid

__all__ = ["BudgetView", "CallFacts", "Lease", "check_amount"]

_MOST = Decimal(900_000_000)


class BudgetView(BaseModel):
    """What an experiment may spend and what of it is gone, in US dollars.

    `spent` counts calls of unknown outcome at their worst case, so it may exceed what the stored
    outcomes cost. `leased` is what processes at work have taken out and not yet accounted for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    amount: Decimal = Field(ge=0)
    spent: Decimal = Field(ge=0)
    leased: Decimal = Field(ge=0)

    @property
    def left(self) -> Decimal:
        """What can still be reserved; never below 0."""
        return max(Decimal(0), self.amount - self.spent - self.leased)


class Lease(NamedTuple):
    """A slice that one process has taken out of a budget and not yet accounted for."""

    id: UUID
    amount: Decimal


class CallFacts(NamedTuple):
    """What one earlier answer used."""

    input_tokens: int | None
    output_tokens: int | None
    latency_ms: float | None


def check_amount(amount: Decimal) -> Decimal:
    """Return an amount of US dollars that can be a budget; `Invalid` for any other number."""
    if not amount.is_finite() or not 0 < amount <= _MOST:
        raise Invalid(
            f"A budget of {amount} is not possible: write US dollars above 0, as in 5.00.",
            path="budget",
        )
    return amount
