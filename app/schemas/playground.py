"""The playground at the boundary: a prompt that is tried on one example, before and after."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from app.schemas.chat import ChatEnding
from app.schemas.datasets import Storable
from app.schemas.examples import example
from app.schemas.prompts import PromptContent, RenderedMessage

__all__ = [
    "PlaygroundAnswer",
    "PlaygroundMessage",
    "PlaygroundPreview",
    "PlaygroundPreviewRequest",
    "PlaygroundRequest",
]

_MOST_HISTORY = 200  # messages
_LONGEST_MESSAGE = 200_000  # characters


class _Input(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PlaygroundMessage(_Input):
    """One message of the conversation that stands at the prompt's placeholder."""

    role: Literal["user", "assistant"]
    content: str = Field(max_length=_LONGEST_MESSAGE)


class PlaygroundPreviewRequest(_Input):
    """What is to be tried: a version, or content that is not stored yet."""

    model_config = example(
        prompt="desk/triage@3",
        variables={"ticket": "My card was charged twice."},
        model="openai/gpt-4.1@1",
    )

    prompt: str = Field(
        max_length=300,
        description="reference, as in triage@3; with `content` the prompt's name alone",
    )
    content: PromptContent | None = Field(
        default=None, description="what to try instead of a stored version"
    )
    variables: Annotated[dict[str, JsonValue], Storable] = Field(default_factory=dict)
    history: tuple[PlaygroundMessage, ...] = Field(default=(), max_length=_MOST_HISTORY)
    model: str | None = Field(
        default=None, max_length=300, description="reference, as in openai/gpt-4.1@1"
    )
    parameters: dict[str, JsonValue] = Field(
        default_factory=dict, description="asked for before all other layers"
    )


class PlaygroundRequest(PlaygroundPreviewRequest):
    """What is to be tried, and on which model."""

    model: str = Field(max_length=300, description="reference, as in openai/gpt-4.1@1")
    description: str = Field(
        default="", max_length=2000, description="what the prompt is for; kept with a new draft"
    )


class PlaygroundPreview(_View):
    """What a model would get, and what that may cost; nothing was sent or stored.

    Without a model all but the messages and the hash is unknown.
    """

    messages: tuple[RenderedMessage, ...]
    content_hash: str
    prompt: str | None = Field(
        description="reference of the version or draft with this content; null if it is new"
    )
    model: str | None = Field(description="reference, as in openai/gpt-4.1@1")
    applied: dict[str, Any] | None = Field(description="what is sent, under the provider's names")
    left_out: dict[str, str] | None = Field(description="why the rest is not sent, by our names")
    estimated_input_tokens: int | None = Field(description="a quarter of the request's bytes")
    most_output_tokens: int | None = Field(description="of one choice; null if nothing bounds it")
    most_cost: Decimal | None = Field(
        description="US dollars that the call cannot exceed; null without a price or a bound"
    )


class PlaygroundAnswer(_View):
    """An answer on record, with what gave it and what it took."""

    generation_id: UUID
    prompt: str = Field(description="reference of the version, or of the draft that was stored")
    model: str
    variant_id: UUID
    message: dict[str, Any] = Field(description="the assistant's, in the chat-completions form")
    finish_reason: str
    ending: ChatEnding
    input_tokens: int | None
    output_tokens: int | None
    usage_source: str
    cost: Decimal | None = Field(description="US dollars; null if nobody knows")
    most_cost: Decimal | None = Field(description="US dollars that were held for it before")
    latency_ms: float
    replayed: bool = Field(description="given before, to the same idempotency key")
