"""Conversations: begin, list, read, rename, delete, and say something."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Header, Query, Request, Response

from app.api.authorisation import CurrentActor, needs
from app.api.chat_errors import EXPECTED_IN_STREAMS, stream_failure
from app.api.dependencies import ServicesDependency
from app.api.errors import problem_body, problems
from app.api.idempotency import OnceRoute, once
from app.api.observation import note_chat
from app.api.streaming import EventStream, StreamFaults, unless_gone
from app.core.permissions import Permission
from app.schemas.conversations import (
    ConversationTitle,
    ConversationView,
    MessageView,
    NewConversation,
    NewMessage,
)
from app.schemas.pages import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, Page
from app.services.conversations import Answering

__all__ = ["router"]

router = APIRouter(prefix="/api/conversations", tags=["conversations"], route_class=OnceRoute)

Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before")]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE, description="items of a page")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="the same key and message are answered once",
    ),
]
_CHAT = [Depends(needs(Permission.CHAT_WRITE))]
_READ = [Depends(needs(None))]
_READING = problems(401, 403, 404, 422, 429, 503)
_WRITING = problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503)
_STREAM = {
    "text/event-stream": {
        "schema": {"type": "string"},
        "example": 'event: text\ndata: {"text": "Hello"}\n\nevent: message\ndata: {...}\n\n',
    }
}


@router.post("", status_code=201, dependencies=[*_CHAT, Depends(once)], responses=_WRITING)
async def begin_conversation(
    new: NewConversation, actor: CurrentActor, services: ServicesDependency, response: Response
) -> ConversationView:
    """Begin a conversation with an alias; only whoever begins it sees it."""
    found = await services.conversations.begin(actor, new)
    response.headers["location"] = f"/api/conversations/{found.id}"
    return found


@router.get("", dependencies=_READ, responses=_READING)
async def list_conversations(
    actor: CurrentActor,
    services: ServicesDependency,
    owner: Annotated[
        str | None,
        Query(max_length=200, description="another owner, as `key:shop`; then without titles"),
    ] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_PAGE_SIZE,
) -> Page[ConversationView]:
    """One's own conversations, the last used first, with how many messages each has."""
    return await services.conversations.page(actor, owner=owner, cursor=cursor, limit=limit)


@router.get("/{conversation_id}", dependencies=_READ, responses=_READING)
async def get_conversation(
    conversation_id: UUID, actor: CurrentActor, services: ServicesDependency
) -> ConversationView:
    """One conversation. That an auditor opened somebody else's is an audit event."""
    return await services.conversations.get(actor, conversation_id)


@router.patch("/{conversation_id}", dependencies=_CHAT, responses=_WRITING)
async def rename_conversation(
    conversation_id: UUID,
    new: ConversationTitle,
    actor: CurrentActor,
    services: ServicesDependency,
) -> ConversationView:
    """Give a conversation another title."""
    return await services.conversations.rename(actor, conversation_id, new.title)


@router.delete(
    "/{conversation_id}",
    status_code=204,
    response_class=Response,
    dependencies=_CHAT,
    responses=problems(401, 403, 404, 409, 422, 429, 503),
)
async def delete_conversation(
    conversation_id: UUID, actor: CurrentActor, services: ServicesDependency
) -> None:
    """Hide a conversation and erase its texts for good; facts and costs stay."""
    await services.conversations.delete(actor, conversation_id)


@router.get("/{conversation_id}/messages", dependencies=_READ, responses=_READING)
async def list_messages(
    conversation_id: UUID,
    actor: CurrentActor,
    services: ServicesDependency,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_PAGE_SIZE,
) -> Page[MessageView]:
    """The messages in order, each answer with what gave it."""
    return await services.conversations.messages(actor, conversation_id, cursor=cursor, limit=limit)


@router.post(
    "/{conversation_id}/messages",
    status_code=201,
    dependencies=_CHAT,
    response_model=MessageView,
    responses={
        200: {"description": "With `stream`: the answer as it grows.", "content": _STREAM},
        **problems(400, 401, 403, 404, 408, 409, 410, 413, 415, 422, 429, 502, 503, 504),
    },
)
async def say(
    conversation_id: UUID,
    new: NewMessage,
    request: Request,
    response: Response,
    actor: CurrentActor,
    services: ServicesDependency,
    idempotency_key: IdempotencyKey = None,
) -> MessageView | Response:
    """Say something; the reply is the answer, stored with what gave it.

    With `stream` it comes as server-sent events: `text` as it grows, then one `message` with the
    stored answer, or one `error` with a problem. A stream that ends without either broke.
    """
    answering = await services.conversations.say(
        actor,
        conversation_id,
        new,
        request_id=request.state.request_id,
        idempotency_key=idempotency_key,
    )
    note_chat(request, answering)
    if new.stream:
        return EventStream(
            _events(answering),
            headers=lambda: _headers(answering),
            faults=StreamFaults(lambda error: _fault(error, request), EXPECTED_IN_STREAMS),
            leave=answering.leave,
        )
    response.headers.update(answering.limits)
    stored = await unless_gone(request.receive, answering.message(), answering.leave)
    return Response(status_code=499) if stored is None else stored  # 499: nobody reads it


def _headers(answering: Answering) -> dict[str, str]:
    """Return what tells the limits, and what names the record of an answer: a fixed text has
    none."""
    if answering.generation_id is None:
        return {**answering.limits}
    return {**answering.limits, "x-workbench-generation": str(answering.generation_id)}


async def _events(answering: Answering) -> AsyncIterator[bytes]:
    async for piece in answering.pieces():
        if isinstance(piece, str):
            yield _event("text", orjson.dumps({"text": piece}))
        else:
            yield _event("message", piece.model_dump_json().encode())


def _fault(error: Exception, request: Request) -> bytes:
    return _event("error", problem_body(stream_failure(error), request.state.request_id))


def _event(name: str, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)
