"""Statements on `chat_call`, and on the rows that are written with it.

A call has two moments, and each is written for many calls at once: its start (request, generation
`started`, chat call, the user's message) and its end (outcome, attempts, answer). An end is written
once: whoever comes second finds that the call has one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Insert, Row, Table, Update, bindparam, func, insert, select, update

from app.core.ids import new_id
from app.database import AsyncSession
from app.llm.types import Usage, UsageSource
from app.models import (
    ChatCall,
    Content,
    Conversation,
    Generation,
    Message,
    ModelPrice,
)
from app.repositories.content import ContentRepository, content_row
from app.repositories.generations import GenerationRepository, provider_label
from app.schemas.chat import ChatEnding
from app.schemas.chat_calls import (
    CallEnd,
    CallStart,
    ConversationAnswer,
    OpenCall,
    ServedPart,
    StoredCall,
    Turn,
)
from app.schemas.generations import AttemptOutcome

__all__ = ["ChatCallRepository"]

_CONTENT: Table = Content.__table__  # type: ignore[assignment] # declarative tables are tables
_GENERATION: Table = Generation.__table__  # type: ignore[assignment] # as above
_CHAT_CALL: Table = ChatCall.__table__  # type: ignore[assignment] # as above
_MESSAGE: Table = Message.__table__  # type: ignore[assignment] # as above

# The statements of every chat are made once: making one costs a third of executing it.
_ADD_CONTENT = insert(_CONTENT)
_ADD_GENERATION = insert(_GENERATION)
_ADD_CHAT_CALL = insert(_CHAT_CALL)
_ADD_MESSAGE = insert(_MESSAGE)
_CLOSE = (
    update(_CHAT_CALL)
    .where(
        _CHAT_CALL.c.generation_id.in_(bindparam("ids", expanding=True)),
        _CHAT_CALL.c.ending.is_(None),
    )
    .values(ending=bindparam("new_ending"))
    .returning(_CHAT_CALL.c.generation_id, _CHAT_CALL.c.conversation_id)
)


class ChatCallRepository:
    """Starts and ends in batches; open and stored calls by id."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock_turns(self, conversation_ids: Collection[UUID]) -> dict[UUID, Turn]:
        """Lock conversations, in the order of their ids, and return how those stand that are there.

        Those that were deleted are locked too, and left out.
        """
        if not conversation_ids:
            return {}
        found = await self._session.execute(
            select(Conversation.id, Conversation.deleted_at)
            .where(Conversation.id.in_(conversation_ids))
            .order_by(Conversation.id)
            .with_for_update()
        )
        ids = [row.id for row in found if row.deleted_at is None]
        open_calls = select(ChatCall.conversation_id).where(
            ChatCall.conversation_id.in_(ids), ChatCall.ending.is_(None)
        )
        lasts = (
            select(Message.conversation_id, func.max(Message.sequence))
            .where(Message.conversation_id.in_(ids))
            .group_by(Message.conversation_id)
        )
        under_way = set((await self._session.execute(open_calls)).scalars())
        last = {row[0]: row[1] for row in await self._session.execute(lasts)}
        return {it: Turn(it in under_way, last.get(it, 0) + 1) for it in ids}

    async def add_starts(self, starts: Sequence[CallStart]) -> None:
        """Insert calls that are about to be made, with what they ask."""
        contents: list[dict[str, Any]] = []
        generations = [_generation_row(start, contents) for start in starts]
        calls = [_call_row(start, contents) for start in starts]
        messages = [row for start in starts if (row := _user_row(start, contents)) is not None]
        await self._insert(_ADD_CONTENT, contents)
        await self._insert(_ADD_GENERATION, generations)
        await self._insert(_ADD_CHAT_CALL, calls)
        await self._insert(_ADD_MESSAGE, messages)
        for start in starts:
            if start.conversation is not None:
                await self._count_message(start.conversation.id, start.started_at)

    async def close(self, ends: Iterable[CallEnd]) -> dict[UUID, UUID | None]:
        """Mark calls as ended; return those that had no end yet, whose outcome is to be written,
        each with its conversation."""
        ids: defaultdict[ChatEnding, list[UUID]] = defaultdict(list)
        for end in ends:
            ids[end.ending].append(end.id)
        closed: dict[UUID, UUID | None] = {}
        for ending, of_ending in sorted(ids.items()):
            rows = await self._session.execute(_CLOSE, {"ids": of_ending, "new_ending": ending})
            closed.update({row[0]: row[1] for row in rows})
        return closed

    async def endings(self, call_ids: Collection[UUID]) -> dict[UUID, str | None]:
        """Return how calls ended, None for those that have not."""
        statement = select(ChatCall.generation_id, ChatCall.ending).where(
            ChatCall.generation_id.in_(call_ids)
        )
        return {row[0]: row[1] for row in await self._session.execute(statement)}

    async def add_ends(
        self, ends: Sequence[CallEnd], conversations: Mapping[UUID, UUID | None]
    ) -> None:
        """Write how calls ended that were just closed, with their conversations (see `close`).

        Of a call in a conversation that was deleted meanwhile only the facts are written.
        """
        deleted = await self._of_deleted([end.id for end in ends if conversations[end.id]])
        ends = [_without_texts(end) if end.id in deleted else end for end in ends]
        contents: list[dict[str, Any]] = []
        outcomes = [_outcome_row(end, contents) for end in ends]
        fallbacks = [row for end in ends if (row := _fallback_row(end, contents)) is not None]
        attempts = [AttemptOutcome(end.id, None, record) for end in ends for record in end.attempts]
        messages = [
            _answer_row(end, end.answer, outcome["b_output_content_id"])
            for end, outcome in zip(ends, outcomes, strict=True)
            if end.answer is not None
        ]
        await self._insert(_ADD_CONTENT, contents)
        if fallbacks:
            await self._replace_requests(fallbacks, ends[0].finished_at)
        await self._session.execute(_END_GENERATION, outcomes)
        await GenerationRepository(self._session).add_outcomes((), attempts, ends[0].finished_at)
        await self._insert(_ADD_MESSAGE, messages)
        for end in ends:
            if end.answer is not None:
                await self._count_message(end.answer.conversation_id, end.finished_at)

    async def open_calls(self, *, limit: int) -> list[OpenCall]:
        """Return calls without an end, oldest first."""
        statement = (
            select(
                ChatCall.generation_id,
                ChatCall.server,
                ChatCall.created_at,
                ChatCall.reservation,
                Content.size_bytes,
                ModelPrice.input,
            )
            .join(Generation, Generation.id == ChatCall.generation_id)
            .join(Content, Content.id == Generation.request_content_id)
            .outerjoin(ModelPrice, ModelPrice.id == Generation.model_price_id)
            .where(ChatCall.ending.is_(None))
            .order_by(ChatCall.created_at)
            .limit(limit)
        )
        return [OpenCall(*row) for row in await self._session.execute(statement)]

    async def stored(self, generation_id: UUID) -> StoredCall | None:
        """Return one call as it is on record."""
        statement = (
            select(Generation, ChatCall)
            .join(ChatCall, ChatCall.generation_id == Generation.id)
            .where(Generation.id == generation_id)
            .execution_options(populate_existing=True)
        )
        row = (await self._session.execute(statement)).one_or_none()
        if row is None:
            return None
        ids = [row[0].output_content_id, row[0].error_content_id]
        contents = ContentRepository(self._session)
        return _stored(row, await contents.bodies([it for it in ids if it is not None]))

    async def _of_deleted(self, ids: Sequence[UUID]) -> set[UUID]:
        """Return which of these calls belong to a conversation that was deleted."""
        if not ids:
            return set()
        statement = (
            select(ChatCall.generation_id)
            .join(Conversation, Conversation.id == ChatCall.conversation_id)
            .where(ChatCall.generation_id.in_(ids), Conversation.deleted_at.is_not(None))
        )
        return set((await self._session.execute(statement)).scalars())

    async def _count_message(self, conversation_id: UUID, at: datetime) -> None:
        await self._session.execute(
            update(Conversation)
            .where(Conversation.id == conversation_id)
            .values(message_count=Conversation.message_count + 1, updated_at=at)
        )

    async def _insert(self, statement: Insert, rows: Sequence[dict[str, Any]]) -> None:
        if rows:
            await self._session.execute(statement, rows)

    async def _replace_requests(self, fallbacks: list[dict[str, Any]], now: datetime) -> None:
        """Let generations stand for the targets that answered; the texts that were rendered for the
        others belong to nothing any more and are erased."""
        ids = [row["b_id"] for row in fallbacks]
        before = select(_GENERATION.c.request_content_id).where(_GENERATION.c.id.in_(ids))
        rendered = [it for it in (await self._session.execute(before)).scalars() if it is not None]
        generation = [{k: v for k, v in row.items() if k not in _OF_CALL} for row in fallbacks]
        await self._session.execute(_FALL_BACK, generation)
        call = [{k: v for k, v in row.items() if k in ("b_id", *_OF_CALL)} for row in fallbacks]
        await self._session.execute(_FALL_BACK_CALL, call)
        await ContentRepository(self._session).erase(rendered, now)


def _bound_update(table: Table, key: str, columns: Iterable[str]) -> Update:
    """Return an update of one row by its id, for batches: `b_id` and `b_COLUMN` are its values."""
    values = {name: bindparam(f"b_{name}", type_=table.c[name].type) for name in columns}
    return update(table).where(table.c[key] == bindparam("b_id")).values(values)


_OUTCOME_COLUMNS = (
    "status",
    "finish_reason",
    "error_code",
    "output_content_id",
    "error_content_id",
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "reasoning_tokens",
    "usage_source",
    "cost",
    "latency_ms",
    "time_to_first_token_ms",
    "reported_model",
    "reported_fingerprint",
    "attempt_count",
    "trace_id",
    "finished_at",
)
_SERVED_COLUMNS = (
    "variant_id",
    "prompt_version_id",
    "model_version_id",
    "provider",
    "model_price_id",
    "applied_parameters",
    "left_out_parameters",
    "request_content_id",
)
_OF_CALL = ("b_role", "b_is_exact", "b_ignored")
_END_GENERATION = _bound_update(_GENERATION, "id", _OUTCOME_COLUMNS)
_FALL_BACK = _bound_update(_GENERATION, "id", _SERVED_COLUMNS)
_FALL_BACK_CALL = _bound_update(_CHAT_CALL, "generation_id", ("role", "is_exact", "ignored"))


def _content(value: Any, contents: list[dict[str, Any]], now: datetime) -> UUID | None:
    if value is None:
        return None
    row = content_row(value, now)
    contents.append(row)
    content_id: UUID = row["id"]
    return content_id


def _served_values(
    served: ServedPart, contents: list[dict[str, Any]], now: datetime
) -> dict[str, Any]:
    shared = served.provenance
    return {
        "variant_id": shared.variant_id,
        "prompt_version_id": shared.prompt_version_id,
        "model_version_id": shared.model_version_id,
        "provider": shared.provider,
        "model_price_id": shared.model_price_id,
        "applied_parameters": shared.applied_parameters,
        "left_out_parameters": shared.left_out_parameters,
        "request_content_id": _content(served.request, contents, now),
    }


def _generation_row(start: CallStart, contents: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": start.id,
        "purpose": "chat",
        "origin": start.origin,
        "repetition": 0,
        **_served_values(start.served, contents, start.started_at),
        "status": "started",
        "usage_source": UsageSource.UNREPORTED.value,
        "attempt_count": 0,
        "reopened": 0,
        "subject": start.subject,
        "request_id": start.request_id,
        "started_at": start.started_at,
    }


def _call_row(start: CallStart, contents: list[dict[str, Any]]) -> dict[str, Any]:
    link = start.conversation
    return {
        "generation_id": start.id,
        "alias_id": start.alias_id,
        "deployment_id": start.deployment_id,
        "role": start.served.role,
        "bucket": start.bucket,
        "actor": start.actor,
        "conversation_id": None if link is None else link.id,
        "is_stream": start.is_stream,
        "is_exact": start.served.is_exact,
        "asked": start.asked,
        "ignored": list(start.served.ignored),
        "flags": list(start.flags),
        "tags_content_id": _content(start.tags, contents, start.started_at),
        "reservation": start.reservation,
        "server": start.server,
        "ending": None,
        "created_at": start.started_at,
    }


def _user_row(start: CallStart, contents: list[dict[str, Any]]) -> dict[str, Any] | None:
    if start.conversation is None:
        return None
    return {
        "id": new_id(),
        "conversation_id": start.conversation.id,
        "sequence": start.conversation.next_sequence,
        "role": "user",
        "content_id": _content(start.said, contents, start.started_at),
        "generation_id": start.id,
        "tokens": start.said_tokens,
        "history": None,
        "created_at": start.started_at,
    }


def _answer_row(
    end: CallEnd, answer: ConversationAnswer, content_id: UUID | None
) -> dict[str, Any]:
    return {
        "id": new_id(),
        "conversation_id": answer.conversation_id,
        "sequence": answer.sequence,
        "role": "assistant",
        "content_id": content_id,
        "generation_id": end.id,
        "tokens": end.usage.output_tokens,
        "history": answer.history,
        "created_at": end.finished_at,
    }


def _outcome_row(end: CallEnd, contents: list[dict[str, Any]]) -> dict[str, Any]:
    usage = end.usage
    return {
        "b_id": end.id,
        "b_status": end.status,
        "b_finish_reason": end.finish_reason,
        "b_error_code": end.error_code,
        "b_output_content_id": _content(end.output, contents, end.finished_at),
        "b_error_content_id": _content(end.error, contents, end.finished_at),
        "b_input_tokens": usage.input_tokens,
        "b_output_tokens": usage.output_tokens,
        "b_cached_input_tokens": usage.cached_input_tokens,
        "b_reasoning_tokens": usage.reasoning_tokens,
        "b_usage_source": usage.source.value,
        "b_cost": end.cost,
        "b_latency_ms": end.latency_ms,
        "b_time_to_first_token_ms": end.time_to_first_token_ms,
        "b_reported_model": provider_label(end.reported_model),
        "b_reported_fingerprint": provider_label(end.reported_fingerprint),
        "b_attempt_count": end.attempt_count,
        "b_trace_id": end.trace_id,
        "b_finished_at": end.finished_at,
    }


def _fallback_row(end: CallEnd, contents: list[dict[str, Any]]) -> dict[str, Any] | None:
    if end.fallback is None:
        return None
    values = _served_values(end.fallback, contents, end.finished_at)
    return {
        "b_id": end.id,
        **{f"b_{name}": value for name, value in values.items()},
        "b_role": end.fallback.role,
        "b_is_exact": end.fallback.is_exact,
        "b_ignored": list(end.fallback.ignored),
    }


def _without_texts(end: CallEnd) -> CallEnd:
    """Return an end with facts alone: its texts were erased before they were written."""
    return replace(
        end,
        output=None,
        error=None,
        answer=None,
        fallback=end.fallback and replace(end.fallback, request=None),
        attempts=tuple(
            replace(record, error_message=None, error_body=None) for record in end.attempts
        ),
    )


def _stored(row: Row[Generation, ChatCall], bodies: dict[UUID, Any]) -> StoredCall:
    generation, call = row
    if generation.variant_id is None:
        raise ValueError(f"The chat {generation.id} names no variant.")

    def body(content_id: UUID | None) -> Any:
        return None if content_id is None else bodies.get(content_id)

    return StoredCall(
        id=generation.id,
        ending=call.ending,  # type: ignore[arg-type] # a CHECK holds it to these words
        started_at=generation.started_at,
        variant_id=generation.variant_id,
        role=call.role,  # type: ignore[arg-type] # as above
        bucket=call.bucket,
        alias_id=call.alias_id,
        deployment_id=call.deployment_id,
        is_exact=call.is_exact,
        ignored=tuple(call.ignored),
        output=body(generation.output_content_id),
        error=body(generation.error_content_id),
        error_code=generation.error_code,
        finish_reason=generation.finish_reason,
        usage=Usage(
            generation.input_tokens,
            generation.output_tokens,
            generation.cached_input_tokens,
            generation.reasoning_tokens,
            UsageSource(generation.usage_source),
        ),
        cost=generation.cost,
        latency_ms=generation.latency_ms,
        time_to_first_token_ms=generation.time_to_first_token_ms,
        attempt_count=generation.attempt_count,
        reported_model=generation.reported_model,
        reported_fingerprint=generation.reported_fingerprint,
        trace_id=generation.trace_id,
    )
