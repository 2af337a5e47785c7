"""Conversations of users in production: begin, list, read, rename, delete, and say something.

Only the owner, the actor who began it, sees a conversation; for everybody else it does not exist.
Whoever may read production content sees it too, and that they looked is an audit event.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import Conflict, Invalid, NotFound, Retired
from app.core.hashing import content_hash
from app.core.ids import new_id
from app.core.permissions import Actor, Permission, require
from app.database import AsyncSession, Database
from app.llm.types import Message, ToolCall
from app.repositories.chat_calls import ChatCallRepository
from app.repositories.content import ContentRepository, content_row
from app.repositories.conversations import ConversationRepository
from app.schemas.chat import ChatRequest, ChatResult, ConversationLink, ServedBy
from app.schemas.conversations import (
    ConversationView,
    MessageView,
    NewConversation,
    NewMessage,
)
from app.schemas.models import within_years
from app.schemas.pages import Page, decode_cursor, encode_cursor
from app.services import audit
from app.services.chat import ChatCall, ChatService
from app.services.serving import ServedAlias, ServingService

__all__ = ["Answering", "ConversationService"]

MAX_CONVERSATIONS: Final = 10_000
"""Most conversations of one owner."""
MAX_MESSAGES: Final = 2_000
"""Most messages of one conversation."""


class Answering:
    """An answer in a conversation on its way; `message` and `pieces` end when it is stored."""

    def __init__(self, service: ConversationService, conversation_id: UUID, call: ChatCall) -> None:
        self._service = service
        self._conversation_id = conversation_id
        self._call = call

    @property
    def generation_id(self) -> UUID | None:
        """The generation that is being made; None for the fixed text of a disabled alias."""
        return self._call.generation_id

    @property
    def served(self) -> ServedBy:
        """What gives the answer; final when that has come."""
        return self._call.served

    @property
    def limits(self) -> Mapping[str, str]:
        """Headers that tell the limits which count it."""
        return self._call.limits

    async def message(self) -> MessageView:
        """Return the stored message; raises what kept the model from answering."""
        return await self._service.stored(self._conversation_id, await self._call.result())

    async def pieces(self) -> AsyncIterator[str | MessageView]:
        """Yield the text as it grows, then the stored message; raises as `message` does."""
        async for event in self._call.events():
            if event.result is not None:
                yield await self._service.stored(self._conversation_id, event.result)
            elif event.text:
                yield event.text

    def leave(self) -> None:
        """Say that nobody waits for it any more."""
        self._call.leave()


class ConversationService:
    """Use cases of conversations."""

    def __init__(
        self, database: Database, clock: Clock, serving: ServingService, chat: ChatService
    ) -> None:
        self._database = database
        self._clock = clock
        self._serving = serving
        self._chat = chat

    async def begin(self, actor: Actor, new: NewConversation) -> ConversationView:
        """Begin a conversation with an alias.

        Raises `NotFound` for an alias that there is not, or not for this actor; `Conflict` for more
        conversations than an owner may have; `Retired` if nothing is left to pin.
        """
        require(actor, Permission.CHAT_WRITE, new.alias)
        if not actor.may_use_alias(new.alias):
            raise NotFound(f"There is no alias {new.alias}.")
        alias = await self._serving.resolve(new.alias)
        conversation_id, now = new_id(), self._clock.now()
        pinned = _pinned(alias, conversation_id) if new.pin else None
        async with self._database.write_session() as session:
            conversations = ConversationRepository(session)
            if await conversations.count(str(actor), most=MAX_CONVERSATIONS) >= MAX_CONVERSATIONS:
                raise Conflict(
                    f"You have {MAX_CONVERSATIONS:,} conversations, which is the most: delete some."
                )
            await conversations.add(
                {
                    "id": conversation_id,
                    "owner": str(actor),
                    "alias_id": alias.id,
                    "pinned_variant_id": pinned,
                    "subject": new.subject,
                    "title_content_id": None
                    if new.title is None
                    else await self._add_text(session, new.title.strip()),
                    "message_count": 0,
                    "created_at": now,
                    "updated_at": now,
                    "deleted_at": None,
                }
            )
            found = await _known(session, conversation_id)
            await session.commit()
        return found

    async def page(
        self, actor: Actor, *, owner: str | None = None, cursor: str | None, limit: int
    ) -> Page[ConversationView]:
        """Return one's own conversations with aliases that one may use, the last used first.

        Those of another owner need the permission to read facts of chats; they come without titles,
        and only those with aliases for whose names the actor has it.
        """
        whose = owner or str(actor)
        needed = Permission.CHAT_WRITE if whose == str(actor) else Permission.CHAT_READ
        if whose != str(actor):
            require(actor, needed)
        prefixes, only = actor.prefixes(needed), actor.aliases
        position = None if cursor is None else decode_cursor(cursor, str, str)
        after = None if position is None else _position(position)
        async with self._database.read_session() as session:
            conversations = ConversationRepository(session)
            found = await conversations.page(whose, prefixes, only, after=after, limit=limit + 1)
            total = await conversations.count(whose, prefixes, only)
        shown = [
            it if whose == str(actor) else it.model_copy(update={"title": None})
            for it in found[:limit]
        ]
        last = found[limit - 1] if len(found) > limit else None
        return Page(
            items=shown,
            next_cursor=last and encode_cursor(last.updated_at.isoformat(), str(last.id)),
            total_estimate=total,
        )

    async def get(self, actor: Actor, conversation_id: UUID) -> ConversationView:
        """Return a conversation of one's own; for auditors any, which is an audit event."""
        return await self._opened(actor, conversation_id)

    async def messages(
        self, actor: Actor, conversation_id: UUID, *, cursor: str | None, limit: int
    ) -> Page[MessageView]:
        """Return messages in order; for auditors those of any, which is an audit event."""
        after = 0
        if cursor is not None:
            (value,) = decode_cursor(cursor, int)
            after = int(str(value))
        conversation = await self._opened(actor, conversation_id)
        async with self._database.read_session() as session:
            found = await ConversationRepository(session).messages(
                conversation_id, after=after, limit=limit + 1
            )
        return Page(
            items=found[:limit],
            next_cursor=encode_cursor(found[limit - 1].sequence or 0)
            if len(found) > limit
            else None,
            total_estimate=conversation.message_count,
        )

    async def rename(self, actor: Actor, conversation_id: UUID, title: str) -> ConversationView:
        """Give a conversation of one's own another title; the text of the old one is erased."""
        now = self._clock.now()
        async with self._database.write_session() as session:
            await self._own(session, actor, conversation_id)
            conversations = ConversationRepository(session)
            before = await conversations.title_content_id(conversation_id)
            content_id = await self._add_text(session, title.strip())
            await conversations.set_title(conversation_id, content_id, now)
            if before is not None:
                await ContentRepository(session).erase([before], now)
            found = await _known(session, conversation_id)
            await session.commit()
        return found

    async def delete(self, actor: Actor, conversation_id: UUID) -> None:
        """Hide a conversation of one's own and erase every text of it; facts and costs stay.

        A reply that is kept for an idempotency key, with a title in it, goes within a day.

        Raises `Conflict` while an answer is under way: its text would come after the erasure.
        """
        now = self._clock.now()
        async with self._database.write_session() as session:
            found = await self._own(session, actor, conversation_id)
            turns = await ChatCallRepository(session).lock_turns([conversation_id])
            if conversation_id not in turns:
                raise NotFound("There is no such conversation.")
            if turns[conversation_id].is_open:
                raise Conflict("An answer is under way: delete the conversation when it has ended.")
            conversations = ConversationRepository(session)
            await ContentRepository(session).erase(
                await conversations.content_ids(conversation_id), now
            )
            await conversations.hide(conversation_id, now)
            await audit.record(
                session,
                self._clock,
                actor,
                "conversation.deleted",
                "conversation",
                str(conversation_id),
                found.alias,
                {"messages": found.message_count},
            )
            await session.commit()

    async def say(
        self,
        actor: Actor,
        conversation_id: UUID,
        new: NewMessage,
        *,
        request_id: str,
        idempotency_key: str | None = None,
    ) -> Answering:
        """Say something in a conversation of one's own; return the answer on its way.

        Both are stored with the answer's facts. Raises as `ChatService.begin` does, and `Conflict`
        while another answer is under way and for a conversation that is full.
        """
        async with self._database.read_session() as session:
            found = await self._own(session, actor, conversation_id)
            conversations = ConversationRepository(session)
            if found.message_count >= MAX_MESSAGES:
                raise Conflict(
                    f"A conversation has at most {MAX_MESSAGES:,} messages: begin another one."
                )
            history = await conversations.history(conversation_id, MAX_MESSAGES)
            last = await conversations.last_sequence(conversation_id)
            pinned = await conversations.pinned_variant_id(conversation_id)
        call = await self._chat.begin(
            actor,
            ChatRequest(
                target=found.alias,
                messages=(*map(_message, history), Message("user", new.content)),
                request_id=request_id,
                request_hash=content_hash(
                    {"conversation": str(conversation_id), **new.model_dump(mode="json")}
                ),
                variables=new.variables,
                stream=new.stream,
                subject=found.subject,
                idempotency_key=idempotency_key,
                on_duplicate="refuse",
                conversation=ConversationLink(conversation_id, last + 1, pinned),
            ),
        )
        return Answering(self, conversation_id, call)

    async def stored(self, conversation_id: UUID, result: ChatResult) -> MessageView:
        """Return the message that holds an answer which was settled."""
        generation_id = result.generation_id
        if generation_id is None:
            message = result.response.choices[0].message.to_json()
            return MessageView(
                id=None,
                sequence=None,
                role="assistant",
                message=message,
                tokens=0,
                answer=None,
                created_at=result.created_at,
            )
        async with self._database.read_session() as session:
            found = await ConversationRepository(session).answer(conversation_id, generation_id)
        if found is None:
            raise NotFound("The answer is not part of the conversation any more.")
        return found

    async def _opened(self, actor: Actor, conversation_id: UUID) -> ConversationView:
        """Return a conversation that the actor may read, and record it if it is not theirs."""
        async with self._database.read_session() as session:
            found = await ConversationRepository(session).get(conversation_id)
        if found is not None and _is_own(actor, found):
            return found
        if (
            found is None
            or not actor.may(Permission.PRODUCTION_CONTENT_READ, found.alias)
            or not actor.may_use_alias(found.alias)
        ):
            raise NotFound("There is no such conversation.")
        async with self._database.write_session() as session:
            await audit.record(
                session,
                self._clock,
                actor,
                "production_content.opened",
                "conversation",
                str(conversation_id),
                found.alias,
            )
            await session.commit()
        return found

    async def _own(
        self, session: AsyncSession, actor: Actor, conversation_id: UUID
    ) -> ConversationView:
        require(actor, Permission.CHAT_WRITE)
        found = await ConversationRepository(session).get(conversation_id)
        if found is None or not _is_own(actor, found):
            raise NotFound("There is no such conversation.")
        return found

    async def _add_text(self, session: AsyncSession, text: str) -> UUID:
        row = content_row(text, self._clock.now())
        await ContentRepository(session).add_all([row])
        content_id: UUID = row["id"]
        return content_id


async def _known(session: AsyncSession, conversation_id: UUID) -> ConversationView:
    found = await ConversationRepository(session).get(conversation_id)
    if found is None:
        raise NotFound("There is no such conversation.")
    return found


def _is_own(actor: Actor, found: ConversationView) -> bool:
    """Whether an actor began a conversation, and may still use its alias, with this credential."""
    return (
        found.owner == str(actor)
        and actor.may(Permission.CHAT_WRITE, found.alias)
        and actor.may_use_alias(found.alias)
    )


def _pinned(alias: ServedAlias, conversation_id: UUID) -> UUID:
    """Return the variant that answers all of a conversation which begins now."""
    _, alive = alias.targets_for(str(conversation_id))
    if alive:
        return alive[0].variant.variant_id
    retired = alias.targets[0].variant
    instead = f": use {retired.successor}" if retired.successor else ""
    raise Retired(f"{retired.model} is retired{instead}.", successor=retired.successor)


def _position(values: tuple[Any, ...]) -> tuple[datetime, UUID]:
    try:
        return within_years(datetime.fromisoformat(values[0])), UUID(values[1])
    except ValueError:
        raise Invalid("The cursor is none of this list.", path="cursor") from None


def _message(shape: Mapping[str, Any]) -> Message:
    """Return a stored message as it goes to a model again."""
    return Message(
        shape["role"],
        shape.get("content"),
        tool_calls=tuple(
            ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
            for call in shape.get("tool_calls", ())
        ),
        tool_call_id=shape.get("tool_call_id"),
    )
