"""Prompts and their immutable versions."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, UTCDateTime

__all__ = ["Prompt", "PromptVersion"]


class Prompt(Base):
    """A named template; its texts are its versions."""

    __tablename__ = "prompt"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    created_by: Mapped[str] = mapped_column(String(200))


class PromptVersion(Base):
    """An immutable text. `number` is NULL for a draft and is set once, when it is published."""

    __tablename__ = "prompt_version"
    __table_args__ = (
        UniqueConstraint("prompt_id", "number"),
        UniqueConstraint("prompt_id", "content_hash"),
        CheckConstraint("number >= 1", name="number_positive"),
        CheckConstraint("origin IN ('builtin', 'file', 'api')", name="origin_known"),
        CheckConstraint("(number IS NULL) = (published_at IS NULL)", name="number_is_published"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    prompt_id: Mapped[UUID] = mapped_column(ForeignKey("prompt.id"))
    number: Mapped[int | None]
    content_hash: Mapped[str] = mapped_column(String(71))
    messages: Mapped[list[Any]] = mapped_column(JSON)
    variables: Mapped[dict[str, Any]] = mapped_column(JSON)
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON)
    tools: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))
    tool_choice: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))
    response_format: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))
    description: Mapped[str] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text)
    origin: Mapped[str] = mapped_column(String(20))
    author: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    published_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
