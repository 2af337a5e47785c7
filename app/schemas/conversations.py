"""Conversations and their messages at the boundary."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from app.schemas.examples import example

__all__ = [
    "MAX_TITLE_LENGTH",
    "AnswerFacts",
    "ConversationTitle",
    "ConversationView",
    "MessageView",
    "NewConversation",
    "NewMessage",
]

MAX_TITLE_LENGTH = 500  # characters

MessageRole = Literal["user", "assistant", "tool"]
Title = Annotated[str, Field(max_length=MAX_TITLE_LENGTH, pattern=r"\S", examples=["A refund"])]


class _Input(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class NewConversation(_Input):
    """A chat to be begun. With `pin` the variant that the alias means now answers all of it."""

    model_config = example(alias="support-bot@production", title="A refund")

    alias: str = Field(description="what answers", examples=["support-bot@production"])
    title: Title | None = None
    pin: bool = False
    subject: str | None = Field(
        default=None,
        max_length=200,
        description="the end user on whose behalf a service chats; limits and splits go by it",
    )


class ConversationTitle(_Input):
    """The new name of a conversation."""

    model_config = example(title="A refund")

    title: Title


class NewMessage(_Input):
    """What the user says next."""

    model_config = example(content="My parcel is late.")

    content: str = Field(min_length=1, examples=["My parcel is late."])
    variables: dict[str, JsonValue] = Field(
        default_factory=dict, description="values of the prompt's variables"
    )
    stream: bool = Field(default=False, description="send the answer as it grows")


class ConversationView(_View):
    """One conversation. `variant` is set if it is pinned; `title` is None until it has one."""

    id: UUID
    owner: str
    alias: str
    pinned_variant_hash: str | None
    title: str | None
    subject: str | None
    message_count: int
    created_at: datetime
    updated_at: datetime


class AnswerFacts(_View):
    """What gave an answer, and what it took."""

    generation_id: UUID
    alias: str | None
    variant_hash: str
    prompt: str
    model: str
    ending: str | None = Field(description="None while the answer is under way")
    finish_reason: str | None
    input_tokens: int | None
    output_tokens: int | None
    latency_ms: float | None
    left_out: dict[str, Any] | None = Field(
        description="what of the conversation did not fit the model's window"
    )


class MessageView(_View):
    """One message. `message` has the form of chat completions; None if it was erased.

    The fixed text of an alias that is disabled has neither id nor number: it is not stored.
    """

    id: UUID | None
    sequence: int | None
    role: MessageRole
    message: dict[str, Any] | None
    tokens: int | None = Field(
        description="as the provider counted an answer; of what a user said an estimate"
    )
    answer: AnswerFacts | None
    created_at: datetime
