"""The playground: try a prompt on one example, on record and within one's limits."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Request, Response

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.errors import problems
from app.api.observation import note_chat
from app.api.streaming import unless_gone
from app.core.permissions import Permission
from app.schemas.playground import (
    PlaygroundAnswer,
    PlaygroundPreview,
    PlaygroundPreviewRequest,
    PlaygroundRequest,
)

__all__ = ["router"]

router = APIRouter(prefix="/api/playground", tags=["playground"])

_WRITE: Final = Depends(needs(Permission.PROMPT_WRITE))
_DIRECT: Final = Depends(needs(Permission.MODEL_DIRECT))
_CLIENT_GONE: Final = 499

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="the same key and body are answered once, and paid for once",
    ),
]


@router.post(
    "",
    status_code=201,
    dependencies=[_WRITE, _DIRECT],
    response_model=PlaygroundAnswer,
    responses=problems(400, 401, 403, 404, 408, 409, 410, 413, 415, 422, 429, 502, 503, 504),
)
async def try_prompt(
    wanted: PlaygroundRequest,
    request: Request,
    response: Response,
    actor: CurrentActor,
    services: ServicesDependency,
    idempotency_key: IdempotencyKey = None,
) -> PlaygroundAnswer | Response:
    """Try a prompt on one example: render it, ask the model, and keep the answer on record.

    Content that is not stored becomes a draft of the prompt; the same content is the same draft.
    Your limits hold, and what the call may cost at worst is held until it has ended. It counts as
    no alias' traffic.
    """
    trying = await services.playground.begin(
        actor, wanted, request_id=request.state.request_id, idempotency_key=idempotency_key
    )
    note_chat(request, trying)
    response.headers.update(trying.limits)
    response.headers["location"] = f"/api/generations/{trying.generation_id}"
    answer = await unless_gone(request.receive, trying.answer(), trying.leave)
    return Response(status_code=_CLIENT_GONE) if answer is None else answer


@router.post(
    "/preview",
    dependencies=[_WRITE],
    responses=problems(401, 403, 404, 408, 409, 413, 415, 422, 429, 503),
)
async def preview_prompt(
    wanted: PlaygroundPreviewRequest, actor: CurrentActor, services: ServicesDependency
) -> PlaygroundPreview:
    """The messages that a model would get, and with a model what that may cost at most.

    Nothing is sent or stored.
    """
    return await services.playground.preview(actor, wanted)
