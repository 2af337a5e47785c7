"""Statements on `conversation` and `message`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, insert, select, tuple_, union, update

from app.database import AsyncSession
from app.models import (
    Alias,
    Attempt,
    ChatCall,
    Content,
    Conversation,
    Generation,
    LanguageModel,
    Message,
    ModelVersion,
    Prompt,
    PromptVersion,
    Variant,
)
from app.repositories.content import ContentRepository, decode_body
from app.repositories.counting import count_up_to
from app.repositories.prefixes import below
from app.schemas.conversations import AnswerFacts, ConversationView, MessageView
from app.schemas.pages import MAX_COUNTED

__all__ = ["ConversationRepository"]


class ConversationRepository:
    """Conversations that were not deleted, and their messages in order."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, values: Mapping[str, Any]) -> None:
        await self._session.execute(insert(Conversation), [dict(values)])

    async def get(self, conversation_id: UUID) -> ConversationView | None:
        rows = await self._session.execute(
            _conversations().where(Conversation.id == conversation_id)
        )
        found = rows.one_or_none()
        return None if found is None else _view(found)

    async def page(
        self,
        owner: str,
        prefixes: Sequence[str] | None = None,
        only: Collection[str] | None = None,
        *,
        after: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[ConversationView]:
        """Return an owner's conversations with aliases below prefixes and, if `only` is given,
        among those; the last used first."""
        statement = _conversations().where(Conversation.owner == owner, below(Alias.name, prefixes))
        if only is not None:
            statement = statement.where(Alias.name.in_(list(only)))
        if after is not None:
            statement = statement.where(
                tuple_(Conversation.updated_at, Conversation.id) < tuple_(*after)
            )
        statement = statement.order_by(Conversation.updated_at.desc(), Conversation.id.desc())
        return [_view(row) for row in await self._session.execute(statement.limit(limit))]

    async def count(
        self,
        owner: str,
        prefixes: Sequence[str] | None = None,
        only: Collection[str] | None = None,
        *,
        most: int = MAX_COUNTED,
    ) -> int:
        """Return how many of an owner's `page` shows, or `most` if more."""
        statement = select(Conversation.id).where(
            Conversation.owner == owner, Conversation.deleted_at.is_(None)
        )
        if prefixes is not None or only is not None:
            statement = statement.join(Alias, Alias.id == Conversation.alias_id).where(
                below(Alias.name, prefixes)
            )
        if only is not None:
            statement = statement.where(Alias.name.in_(list(only)))
        return await count_up_to(self._session, statement, most)

    async def set_title(self, conversation_id: UUID, content_id: UUID, at: datetime) -> None:
        await self._change(conversation_id, title_content_id=content_id, updated_at=at)

    async def hide(self, conversation_id: UUID, at: datetime) -> None:
        await self._change(conversation_id, deleted_at=at)

    async def _change(self, conversation_id: UUID, **values: Any) -> None:
        await self._session.execute(
            update(Conversation).where(Conversation.id == conversation_id).values(**values)
        )

    async def title_content_id(self, conversation_id: UUID) -> UUID | None:
        statement = select(Conversation.title_content_id).where(Conversation.id == conversation_id)
        return (await self._session.execute(statement)).scalar_one_or_none()

    async def content_ids(self, conversation_id: UUID) -> list[UUID]:
        """Return every text of a conversation: title, messages, and what went to models and came
        from them."""
        of_messages = select(Message.content_id).where(Message.conversation_id == conversation_id)
        of_calls = (
            select(
                Generation.request_content_id,
                Generation.output_content_id,
                Generation.error_content_id,
                ChatCall.tags_content_id,
            )
            .join(ChatCall, ChatCall.generation_id == Generation.id)
            .where(ChatCall.conversation_id == conversation_id)
        )
        of_attempts = (
            select(Attempt.error_content_id)
            .join(ChatCall, ChatCall.generation_id == Attempt.generation_id)
            .where(ChatCall.conversation_id == conversation_id)
        )
        found = set((await self._session.execute(union(of_messages, of_attempts))).scalars())
        for row in await self._session.execute(of_calls):
            found.update(row)
        found.add(await self.title_content_id(conversation_id))
        return [content_id for content_id in found if content_id is not None]

    async def messages(
        self, conversation_id: UUID, *, after: int, limit: int, contents: bool = True
    ) -> list[MessageView]:
        """Return messages in order, from the one behind `after` on, with what gave the answers."""
        rows = (
            await self._session.execute(
                _messages()
                .where(Message.conversation_id == conversation_id, Message.sequence > after)
                .order_by(Message.sequence)
                .limit(limit)
            )
        ).all()
        bodies: dict[UUID, Any] = {}
        if contents:
            wanted = [row.Message.content_id for row in rows if row.Message.content_id]
            bodies = await ContentRepository(self._session).bodies(wanted)
        return [_message(row, bodies) for row in rows]

    async def history(self, conversation_id: UUID, limit: int) -> Sequence[Mapping[str, Any]]:
        """Return the last messages in the form of chat completions, oldest first."""
        statement = (
            select(Content.body)
            .join(Message, Message.content_id == Content.id)
            .where(Message.conversation_id == conversation_id, Content.body.is_not(None))
            .order_by(Message.sequence.desc())
            .limit(limit)
        )
        bodies = (await self._session.execute(statement)).scalars()
        return [decode_body(body) for body in bodies if body is not None][::-1]

    async def answer(self, conversation_id: UUID, generation_id: UUID) -> MessageView | None:
        """Return the message that one generation gave."""
        statement = _messages().where(
            Message.conversation_id == conversation_id,
            Message.generation_id == generation_id,
            Message.role == "assistant",
        )
        row = (await self._session.execute(statement)).one_or_none()
        if row is None:
            return None
        ids = [row.Message.content_id] if row.Message.content_id else []
        return _message(row, await ContentRepository(self._session).bodies(ids))

    async def pinned_variant_id(self, conversation_id: UUID) -> UUID | None:
        statement = select(Conversation.pinned_variant_id).where(Conversation.id == conversation_id)
        return (await self._session.execute(statement)).scalar_one_or_none()

    async def last_sequence(self, conversation_id: UUID) -> int:
        """Return the number of the last message; 0 if there is none."""
        statement = select(func.max(Message.sequence)).where(
            Message.conversation_id == conversation_id
        )
        return (await self._session.execute(statement)).scalar_one() or 0


def _conversations() -> Select[*tuple[Any, ...]]:
    return (
        select(Conversation, Alias.name, Variant.content_hash, Content.body)
        .join(Alias, Alias.id == Conversation.alias_id)
        .outerjoin(Variant, Variant.id == Conversation.pinned_variant_id)
        .outerjoin(Content, Content.id == Conversation.title_content_id)
        .where(Conversation.deleted_at.is_(None))
    )


def _view(row: Any) -> ConversationView:
    found: Conversation = row[0]
    return ConversationView(
        id=found.id,
        owner=found.owner,
        alias=row[1],
        pinned_variant_hash=row[2],
        title=None if row[3] is None else decode_body(row[3]),
        subject=found.subject,
        message_count=found.message_count,
        created_at=found.created_at,
        updated_at=found.updated_at,
    )


def _messages() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Message,
            Generation,
            ChatCall.ending,
            Alias.name.label("alias"),
            Variant.content_hash.label("variant_hash"),
            Prompt.name.label("prompt"),
            PromptVersion.number.label("prompt_number"),
            LanguageModel.provider.label("provider"),
            LanguageModel.name.label("model"),
            ModelVersion.number.label("model_number"),
        )
        .outerjoin(Generation, Generation.id == Message.generation_id)
        .outerjoin(ChatCall, ChatCall.generation_id == Generation.id)
        .outerjoin(Alias, Alias.id == ChatCall.alias_id)
        .outerjoin(Variant, Variant.id == Generation.variant_id)
        .outerjoin(PromptVersion, PromptVersion.id == Generation.prompt_version_id)
        .outerjoin(Prompt, Prompt.id == PromptVersion.prompt_id)
        .outerjoin(ModelVersion, ModelVersion.id == Generation.model_version_id)
        .outerjoin(LanguageModel, LanguageModel.id == ModelVersion.language_model_id)
    )


def _message(row: Any, bodies: Mapping[UUID, Any]) -> MessageView:
    found: Message = row.Message
    return MessageView(
        id=found.id,
        sequence=found.sequence,
        role=found.role,
        message=None if found.content_id is None else bodies.get(found.content_id),
        tokens=found.tokens,
        answer=None if row.Generation is None or found.role == "user" else _facts(row),
        created_at=found.created_at,
    )


def _facts(row: Any) -> AnswerFacts:
    generation: Generation = row.Generation
    return AnswerFacts(
        generation_id=generation.id,
        alias=row.alias,
        variant_hash=row.variant_hash,
        prompt=f"{row.prompt}@{row.prompt_number}",
        model=f"{row.provider}/{row.model}@{row.model_number}",
        ending=row.ending,
        finish_reason=generation.finish_reason,
        input_tokens=generation.input_tokens,
        output_tokens=generation.output_tokens,
        latency_ms=generation.latency_ms,
        left_out=row.Message.history,
    )
