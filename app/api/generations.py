"""Generations: every answer that was wanted from a model, with what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, AwareDatetime

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.paging import Cursor, Limit
from app.api.parameters import READS
from app.core.permissions import Permission
from app.schemas.chat import ChatEnding
from app.schemas.chat_counts import ChatCounts
from app.schemas.generation_replays import ReplayView
from app.schemas.generations import (
    GenerationDetail,
    GenerationFilter,
    GenerationPage,
    GenerationPurpose,
    GenerationStatus,
    ReviewState,
    SameAnswers,
)
from app.schemas.models import parse_model_reference, within_years
from app.schemas.names import parse_reference
from app.schemas.pages import DEFAULT_PAGE_SIZE

__all__ = ["router"]

router = APIRouter(prefix="/api/generations", tags=["generations"])

_Time = Annotated[AwareDatetime, AfterValidator(within_years)]

_Alias = Annotated[
    str | None,
    Query(max_length=300, description="through this alias", examples=["bot@production"]),
]
_Prompt = Annotated[
    str | None, Query(max_length=300, description="of this prompt, as in `triage` or `triage@3`")
]
_Model = Annotated[
    str | None,
    Query(max_length=300, description="by this model, as in `openai/gpt-5` or `openai/gpt-5@2`"),
]
_Status = Annotated[
    list[GenerationStatus] | None, Query(max_length=10, description="that ended so")
]
_Since = Annotated[_Time | None, Query(description="that began then or later")]
_Until = Annotated[_Time | None, Query(description="that began before")]

# Facts of runs and of production take different permissions: the service asks for the one.
_SIGNED_IN: Final = [Depends(needs(None))]


def _origins(
    purpose: Annotated[
        list[GenerationPurpose] | None, Query(max_length=3, description="wanted for this")
    ] = None,
    run_id: Annotated[UUID | None, Query(description="of this run")] = None,
    run: Annotated[str | None, Query(max_length=300, description="of the run of this name")] = None,
    experiment: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="of the runs of this experiment")
    ] = None,
    key: Annotated[str | None, Query(max_length=500, description="of this example")] = None,
    alias: _Alias = None,
    prompt: _Prompt = None,
    model: _Model = None,
    provider: Annotated[
        str | None, Query(max_length=50, description="by any model of this provider")
    ] = None,
) -> dict[str, Any]:
    """Return the filters of what a generation rests on."""
    return {
        "purposes": purpose or (),
        "run_id": run_id,
        "run": run,
        "experiment": experiment,
        "key": key,
        "alias": alias,
        "prompt": None if prompt is None else parse_reference(prompt, noun="prompt"),
        "model": None if model is None else parse_model_reference(model),
        "provider": provider,
    }


def _endings(
    status: _Status = None,
    ending: Annotated[
        list[ChatEnding] | None, Query(max_length=10, description="that ended so in production")
    ] = None,
    error_code: Annotated[str | None, Query(max_length=50, description="with this error")] = None,
    finish_reason: Annotated[
        str | None, Query(max_length=50, description="why the model stopped", examples=["length"])
    ] = None,
    since: _Since = None,
    until: _Until = None,
    review: Annotated[
        ReviewState | None, Query(description="last marked so by a person; `none`: by nobody")
    ] = None,
) -> dict[str, Any]:
    """Return the filters of how and when a generation ended, and what people say of it."""
    return {
        "statuses": status or (),
        "endings": ending or (),
        "error_code": error_code,
        "finish_reason": finish_reason,
        "since": since,
        "until": until,
        "review": review,
    }


def _identities(
    subject: Annotated[
        str | None, Query(max_length=200, description="for this end user; in production")
    ] = None,
    conversation_id: Annotated[UUID | None, Query(description="of this conversation")] = None,
    request_id: Annotated[
        str | None, Query(max_length=64, description="of this request (`x-request-id`)")
    ] = None,
    trace_id: Annotated[str | None, Query(max_length=32, description="of this trace")] = None,
    request_hash: Annotated[
        str | None, Query(max_length=71, description="with a request equal to this one")
    ] = None,
    reused_from_id: Annotated[
        UUID | None, Query(description="that used the answer of this generation again")
    ] = None,
) -> dict[str, Any]:
    """Return the filters that find one generation, or those that belong together."""
    return {
        "subject": subject,
        "conversation_id": conversation_id,
        "request_id": request_id,
        "trace_id": trace_id,
        "request_hash": request_hash,
        "reused_from_id": reused_from_id,
    }


_Least = Annotated[float | None, Query(allow_inf_nan=False, description="at least")]
_Most = Annotated[float | None, Query(allow_inf_nan=False, description="at most")]


def _searched(
    text: Annotated[
        str | None,
        Query(max_length=200, description="in its input or output, in any case of letters"),
    ] = None,
    min_cost: _Least = None,
    max_cost: _Most = None,
    min_latency_ms: _Least = None,
    max_latency_ms: _Most = None,
    min_tokens: _Least = None,
    max_tokens: _Most = None,
    scorer: Annotated[
        str | None, Query(max_length=100, description="with a score of this scorer")
    ] = None,
    min_score: _Least = None,
    max_score: _Most = None,
) -> dict[str, Any]:
    """Return the filters that no index knows."""
    least = {
        "cost": min_cost,
        "latency_ms": min_latency_ms,
        "tokens": min_tokens,
        "score": min_score,
    }
    most = {
        "cost": max_cost,
        "latency_ms": max_latency_ms,
        "tokens": max_tokens,
        "score": max_score,
    }
    return {"text": text, "scorer": scorer, "least": _given(least), "most": _given(most)}


def _given(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None}


def _filter(
    origins: Annotated[dict[str, Any], Depends(_origins)],
    endings: Annotated[dict[str, Any], Depends(_endings)],
    identities: Annotated[dict[str, Any], Depends(_identities)],
    searched: Annotated[dict[str, Any], Depends(_searched)],
) -> GenerationFilter:
    return GenerationFilter(**origins, **endings, **identities, **searched)


def _counted(
    alias: _Alias = None,
    prompt: _Prompt = None,
    model: _Model = None,
    status: _Status = None,
    since: _Since = None,
    until: _Until = None,
) -> GenerationFilter:
    return GenerationFilter(
        alias=alias,
        prompt=None if prompt is None else parse_reference(prompt, noun="prompt"),
        model=None if model is None else parse_model_reference(model),
        statuses=status or (),
        since=since,
        until=until,
    )


@router.get("", dependencies=_SIGNED_IN, responses=READS)
async def list_generations(
    wanted: Annotated[GenerationFilter, Depends(_filter)],
    actor: CurrentActor,
    services: ServicesDependency,
    limit: Limit = DEFAULT_PAGE_SIZE,
    cursor: Cursor = None,
) -> GenerationPage:
    """The generations that you may see, newest first: of experiments, of judges, of production.

    Facts only: how each ended, tokens, cost, times, prompt and model. Those of experiments take
    `experiment:read` for their datasets, those of production `chat:read` for their aliases.
    What the strongest filter does not decide is looked for among at most 10,000 of its rows: then
    `searched` says how many, and `next_cursor` goes on behind them, also from an empty page. `text`
    and `subject` find answers in production only with `production_content:read`, and a search in
    customers' texts is an audit event.
    """
    return await services.generation_lists.page(actor, wanted, cursor=cursor, limit=limit)


@router.get("/counts", dependencies=[Depends(needs(Permission.CHAT_READ))], responses=READS)
async def count_generations(
    wanted: Annotated[GenerationFilter, Depends(_counted)],
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


@router.get("/{generation_id}/replay", dependencies=_SIGNED_IN, responses=READS)
async def replay_generation(
    generation_id: UUID, actor: CurrentActor, services: ServicesDependency
) -> ReplayView:
    """The request of a generation, rendered again from stored rows: is it the one that was sent?

    No model is called. What cannot be rendered again says why. A customer's chat takes
    `production_content:read`, and each check of one is an audit event.
    """
    return await services.generation_replays.replay(actor, generation_id)


@router.get("/{generation_id}/same-answers", dependencies=_SIGNED_IN, responses=READS)
async def count_same_answers(
    generation_id: UUID, actor: CurrentActor, services: ServicesDependency
) -> SameAnswers:
    """How often the same request was made elsewhere, and how often the answer was the same.

    Counted are generations that you may see.
    """
    return await services.generation_lists.same_answers(actor, generation_id)
