"""Chats of users: conversations and their messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, UTCDateTime

__all__ = ["Conversation", "Message"]


class Conversation(Base):
    """One chat. `owner` is the actor who made it, the only one who sees it.

    It follows its alias at each answer unless `pinned_variant_id` says which variant answers.
    A conversation that was deleted is hidden; its texts are erased, the facts stay.
    """

    __tablename__ = "conversation"
    __table_args__ = (Index("ix_conversation_owner", "owner", "updated_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(String(200))
    alias_id: Mapped[UUID] = mapped_column(ForeignKey("alias.id"), index=True)
    pinned_variant_id: Mapped[UUID | None] = mapped_column(ForeignKey("variant.id"))
    subject: Mapped[str | None] = mapped_column(String(200))
    title_content_id: Mapped[UUID | None] = mapped_column(ForeignKey("content.id"))
    message_count: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Message(Base):
    """One message of a conversation, in order of `sequence` from 1.

    An answer names its generation, and hence its variant, prompt version and model version.
    `history` says what of the conversation did not fit the model's window for it.
    """

    __tablename__ = "message"
    __table_args__ = (
        UniqueConstraint("conversation_id", "sequence"),
        CheckConstraint("role IN ('user', 'assistant', 'tool')", name="role_known"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversation.id"))
    sequence: Mapped[int]
    role: Mapped[str] = mapped_column(String(20))
    content_id: Mapped[UUID | None] = mapped_column(ForeignKey("content.id"))
    generation_id: Mapped[UUID | None] = mapped_column(ForeignKey("generation.id"), index=True)
    tokens: Mapped[int | None]
    history: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
