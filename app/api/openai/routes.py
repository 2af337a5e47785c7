"""The routes that the unchanged OpenAI SDK calls: `/v1/chat/completions` and `/v1/models`.

Here a request is parsed, the call is begun, and what comes is written in OpenAI's words; a client
that goes away is told to the call at once. Everything else is the chat service's.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Header, Path, Request
from fastapi.responses import Response

from app.api.authorisation import CurrentActor
from app.api.chat_errors import EXPECTED_IN_STREAMS, stream_failure
from app.api.dependencies import ServicesDependency
from app.api.observation import note_chat
from app.api.openai.errors import ModelNotFound, error_body, errors
from app.api.openai.fields import REQUEST_SCHEMA
from app.api.openai.models import ModelList, ModelObject, model_list, model_object
from app.api.openai.replies import ChunkWriter, completion, completion_id, served_headers, sse
from app.api.openai.requests import CompletionRequest, parse_completion_request
from app.api.streaming import EventStream, StreamFaults, unless_gone
from app.core.errors import NotFound
from app.core.permissions import Actor
from app.services.chat import ChatCall, ChatService

__all__ = ["PREFIX", "router"]

PREFIX: Final = "/v1"

_CLIENT_GONE: Final = 499
_FAULTS: Final = StreamFaults(lambda e: sse(error_body(stream_failure(e))), EXPECTED_IN_STREAMS)
_REQUEST_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": dict(REQUEST_SCHEMA)}},
    }
}

router = APIRouter(prefix=PREFIX, tags=["openai"])


@router.post(
    "/chat/completions",
    response_model=None,
    openapi_extra=_REQUEST_BODY,
    responses={
        200: {
            "description": "A chat completion, or with `stream` its chunks.",
            "content": {
                "application/json": {"schema": {"type": "object"}},
                "text/event-stream": {"schema": {"type": "string"}},
            },
        },
        **errors(400, 401, 403, 404, 408, 413, 415, 429, 500, 502, 503, 504),
    },
)
async def create_chat_completion(
    request: Request,
    actor: CurrentActor,
    services: ServicesDependency,
    idempotency_key: Annotated[
        str | None,
        Header(description="makes the request happen once: a repetition gets the same answer"),
    ] = None,
) -> Response:
    """Answer a conversation with what an alias stands for, or with a model called directly."""
    began = time.perf_counter()
    wanted = parse_completion_request(
        await request.body(),
        request_id=request.state.request_id,
        idempotency_key=idempotency_key,
    )
    call = await _begin(services.chat, actor, wanted)
    note_chat(request, call)
    reply = _Reply(call, wanted, services.clock.now(), began)
    return reply.stream() if wanted.chat.stream else await reply.plain(request)


@router.get("/models", responses=errors(401, 429, 500, 503))
async def list_models(actor: CurrentActor, services: ServicesDependency) -> ModelList:
    """List the aliases that the caller may use, and the models that they may call directly."""
    return model_list(await services.served_models.list(actor))


@router.get("/models/{model:path}", responses=errors(401, 404, 429, 500, 503))
async def get_model(
    model: Annotated[str, Path(description="as it is listed")],
    actor: CurrentActor,
    services: ServicesDependency,
) -> ModelObject:
    """Return one of the models that are listed."""
    try:
        return model_object(await services.served_models.get(actor, model))
    except NotFound as error:
        raise ModelNotFound(error.message) from error


async def _begin(chat: ChatService, actor: Actor, wanted: CompletionRequest) -> ChatCall:
    try:
        return await chat.begin(actor, wanted.chat)
    except NotFound as error:
        raise ModelNotFound(error.message) from error


@dataclass(frozen=True, slots=True)
class _Reply:
    """Writes what comes of one call. `began` is when the request arrived, of `perf_counter`."""

    call: ChatCall
    wanted: CompletionRequest
    created_at: datetime
    began: float

    async def plain(self, request: Request) -> Response:
        """Return the whole answer, once it is on record."""
        result = await unless_gone(request.receive, self.call.result(), self.call.leave)
        if result is None:
            return Response(status_code=_CLIENT_GONE)
        headers = {**served_headers(result.served, result.generation_id), **result.limits}
        body = orjson.dumps(completion(result, self.wanted.chat.request_id))
        return Response(
            body, media_type="application/json", headers={**headers, **self._processing()}
        )

    def stream(self) -> Response:
        """Return the answer as it grows."""
        return EventStream(
            self._chunks(), headers=self._headers, faults=_FAULTS, leave=self.call.leave
        )

    async def _chunks(self) -> AsyncIterator[bytes]:
        writer: ChunkWriter | None = None
        async for event in self.call.events():
            writer = writer or self._writer()  # now it is known which target answers
            yield writer.write(event)

    def _writer(self) -> ChunkWriter:
        call, wanted = self.call, self.wanted
        return ChunkWriter(
            completion_id(call.generation_id, wanted.chat.request_id),
            self.created_at,
            call.served.model,
            include_usage=wanted.include_usage,
        )

    def _headers(self) -> Mapping[str, str]:
        call = self.call
        headers = {**served_headers(call.served, call.generation_id), **call.limits}
        return {**headers, **self._processing()}

    def _processing(self) -> Mapping[str, str]:
        return {"openai-processing-ms": str(round((time.perf_counter() - self.began) * 1000))}
