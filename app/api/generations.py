"""Generations: every answer that was wanted from a model, with what it rests on."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, AwareDatetime

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.paging import Cursor, Limit
from app.api.parameters import READS
from app.core.permissions import Permission
from app.schemas.chat_counts import ChatCounts
from app.schemas.generations import (
    GenerationDetail,
    GenerationFacts,
    GenerationFilter,
    GenerationStatus,
)
from app.schemas.models import parse_model_reference, within_years
from app.schemas.names import parse_reference
from app.schemas.pages import DEFAULT_PAGE_SIZE, Page

__all__ = ["router"]

router = APIRouter(prefix="/api/generations", tags=["generations"])

_Time = Annotated[AwareDatetime, AfterValidator(within_years)]

# Facts of runs and of production take different permissions: the service asks for the one.
_SIGNED_IN: Final = [Depends(needs(None))]


def _filter(
    run_id: Annotated[
        UUID | None, Query(description="of this run; without it production's")
    ] = None,
    key: Annotated[str | None, Query(max_length=500, description="of this example")] = None,
    alias: Annotated[
        str | None,
        Query(max_length=300, description="through this alias", examples=["bot@production"]),
    ] = None,
    status: Annotated[
        list[GenerationStatus] | None, Query(max_length=10, description="that ended so")
    ] = None,
    since: Annotated[_Time | None, Query(description="that began then or later")] = None,
    until: Annotated[_Time | None, Query(description="that began before")] = None,
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
) -> GenerationFilter:
    return GenerationFilter(
        run_id=run_id,
        key=key,
        alias=alias,
        statuses=status or (),
        since=since,
        until=until,
        prompt=None if prompt is None else parse_reference(prompt, noun="prompt"),
        model=None if model is None else parse_model_reference(model),
    )


@router.get("", dependencies=_SIGNED_IN, responses=READS)
async def list_generations(
    wanted: Annotated[GenerationFilter, Depends(_filter)],
    actor: CurrentActor,
    services: ServicesDependency,
    limit: Limit = DEFAULT_PAGE_SIZE,
    cursor: Cursor = None,
) -> Page[GenerationFacts]:
    """The generations of a run, by example and repetition; or those of production, newest first.

    Facts only: how each ended, tokens, cost, times, prompt and model. Those of production take
    `chat:read`, and are of aliases that you may see.
    """
    return await services.generations.page(actor, wanted, cursor=cursor, limit=limit)


@router.get("/counts", dependencies=[Depends(needs(Permission.CHAT_READ))], responses=READS)
async def count_generations(
    wanted: Annotated[GenerationFilter, Depends(_filter)],
    actor: CurrentActor,
    services: ServicesDependency,
) -> ChatCounts:
    """How many answers in production there were, for how many people, and given by what."""
    return await services.generations.counts(actor, wanted)


@router.get("/{generation_id}", dependencies=_SIGNED_IN, responses=READS)
async def get_generation(
    generation_id: UUID, actor: CurrentActor, services: ServicesDependency
) -> GenerationDetail:
    """One generation with its whole provenance: request, answer, calls, scores, judgements.

    The texts of a customer's chat take `production_content:read`, and each opening is an audit
    event; without it they are null and `content_withheld` is true.
    """
    return await services.generations.read(actor, generation_id)
