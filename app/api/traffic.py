"""Traffic: what was answered in production, over time."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, AwareDatetime

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.parameters import READS_LIST
from app.core.permissions import Permission
from app.schemas.models import parse_model_reference, within_years
from app.schemas.names import parse_reference
from app.schemas.traffic import TrafficFilter, TrafficGrouping, TrafficStep, TrafficView

__all__ = ["router"]

router = APIRouter(prefix="/api/traffic", tags=["generations"])

_Time = Annotated[AwareDatetime, AfterValidator(within_years)]


def _filter(
    since: Annotated[_Time, Query(description="that began then or later")],
    until: Annotated[_Time, Query(description="that began before")],
    alias: Annotated[
        str | None,
        Query(max_length=300, description="through this alias", examples=["bot@production"]),
    ] = None,
    prompt: Annotated[
        str | None,
        Query(max_length=300, description="of this prompt, as in `triage` or `triage@3`"),
    ] = None,
    model: Annotated[
        str | None,
        Query(
            max_length=300, description="by this model, as in `openai/gpt-5` or `openai/gpt-5@2`"
        ),
    ] = None,
) -> TrafficFilter:
    return TrafficFilter(
        since=since,
        until=until,
        alias=alias,
        prompt=None if prompt is None else parse_reference(prompt, noun="prompt"),
        model=None if model is None else parse_model_reference(model),
    )


@router.get("", dependencies=[Depends(needs(Permission.CHAT_READ))], responses=READS_LIST)
async def get_traffic(
    wanted: Annotated[TrafficFilter, Depends(_filter)],
    actor: CurrentActor,
    services: ServicesDependency,
    group_by: Annotated[
        TrafficGrouping | None,
        Query(description="count apart; `target` is an alias with the target's role"),
    ] = None,
    step: Annotated[
        TrafficStep,
        Query(description="the time of one point, in UTC; `whole` gives totals without points"),
    ] = "auto",
) -> TrafficView:
    """Answers in production over time: how many, how they ended, how long they took, at what cost.

    Counted are answers through aliases that you may see, by when they began, once they have ended.
    With them come the aliases' moves in the window, and the mean scores of answers that were
    scored; `step=whole` leaves both out. Error rates and percentiles have 95 % intervals.
    """
    return await services.traffic.view(actor, wanted=wanted, group_by=group_by, step=step)
