"""Spending: what experiments, their judges and production cost in a month."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.parameters import READS_LIST
from app.schemas.spending import Spending

__all__ = ["router"]

router = APIRouter(prefix="/api/spending", tags=["spending"])


# Experiments and production take different permissions: the service asks for either.
@router.get("", dependencies=[Depends(needs(None))], responses=READS_LIST)
async def get_spending(
    actor: CurrentActor,
    services: ServicesDependency,
    month: Annotated[
        str | None,
        Query(max_length=7, description="in UTC; without it this month's", examples=["2026-03"]),
    ] = None,
) -> Spending:
    """What was spent in a month of the calendar in UTC, by what it was for and by model.

    It counts what you may see: of experiments and judges with `experiment:read`, of production with
    `chat:read`. Answers whose cost is unknown are counted apart and never as 0.
    """
    return await services.spending.of_month(actor, month)
