"""Answers that services got from a provider themselves, as they report them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from app.llm.types import FinishReason, ImagePart, Message, TextPart, ToolCall, UsageSource
from app.schemas.aliases import TargetRole, VariantText
from app.schemas.chat import ChatEnding
from app.schemas.datasets import Storable
from app.schemas.generations import GenerationStatus
from app.schemas.models import read_time

__all__ = [
    "ReportedEnding",
    "ReportedError",
    "ReportedGeneration",
    "ReportedGenerationView",
    "ReportedMessage",
    "ReportedUsage",
]

ReportedEnding = Literal["completed", "client_gone", "upstream_cut", "timeout", "refused", "failed"]

_MAX_MESSAGES = 2_000
_MAX_TEXT = 200_000  # characters of one text
_MAX_TOKENS = 1_000_000_000
_MAX_MS = 24 * 60 * 60 * 1000.0
_MAX_TAGS = 16

Text = Annotated[str, StringConstraints(max_length=_MAX_TEXT)]
Label = Annotated[str, StringConstraints(max_length=200)]
TagName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
TagValue = Annotated[str, StringConstraints(max_length=512)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Lenient(BaseModel):
    """A part of a chat-completions message: what providers put in besides is not read."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Image(_Lenient):
    url: str = Field(max_length=2_000_000)
    detail: Label | None = None


class _TextContent(_Lenient):
    type: Literal["text"]
    text: Text


class _ImageContent(_Lenient):
    type: Literal["image_url"]
    image_url: _Image


class _Function(_Lenient):
    name: Label
    arguments: Text


class _ToolCall(_Lenient):
    id: Label
    function: _Function


class ReportedMessage(_Lenient):
    """One message in the chat-completions form, as SDKs have it."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: (
        Text
        | Annotated[
            tuple[Annotated[_TextContent | _ImageContent, Field(discriminator="type")], ...],
            Field(max_length=_MAX_MESSAGES),
        ]
        | None
    ) = None
    name: Label | None = None
    tool_calls: Annotated[tuple[_ToolCall, ...], Field(max_length=200)] | None = None
    tool_call_id: Label | None = None
    refusal: Text | None = None
    reasoning: Text | None = None

    def to_message(self) -> Message:
        """Return the message in our own types."""
        content = self.content
        return Message(
            self.role,
            content if content is None or isinstance(content, str) else _parts(content),
            self.name,
            tuple(
                ToolCall(call.id, call.function.name, call.function.arguments)
                for call in self.tool_calls or ()
            ),
            self.tool_call_id,
            self.refusal,
            self.reasoning,
        )


def _parts(content: tuple[_TextContent | _ImageContent, ...]) -> tuple[TextPart | ImagePart, ...]:
    return tuple(
        TextPart(part.text)
        if isinstance(part, _TextContent)
        else ImagePart(part.image_url.url, part.image_url.detail)
        for part in content
    )


class ReportedUsage(_Strict):
    """What the provider said was used; cached and reasoning tokens are parts of the others."""

    input_tokens: int = Field(ge=0, le=_MAX_TOKENS)
    output_tokens: int = Field(ge=0, le=_MAX_TOKENS)
    cached_input_tokens: int | None = Field(default=None, ge=0, le=_MAX_TOKENS)
    reasoning_tokens: int | None = Field(default=None, ge=0, le=_MAX_TOKENS)

    @model_validator(mode="after")
    def _parts_fit(self) -> ReportedUsage:
        if (self.cached_input_tokens or 0) > self.input_tokens:
            raise ValueError("cached_input_tokens is a part of input_tokens")
        if (self.reasoning_tokens or 0) > self.output_tokens:
            raise ValueError("reasoning_tokens is a part of output_tokens")
        return self


class ReportedError(_Strict):
    """What went wrong, in the words of the provider or its SDK."""

    code: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,50}$")] = "failed"
    message: Annotated[str, StringConstraints(max_length=10_000)]


class ReportedGeneration(_Strict):
    """One answer that a service got itself.

    What was served is an alias (with `deployment`, the number that was fetched; else what the alias
    meant at `started_at`), a variant, or both. What was sent is either `messages`, whole as they
    went out, or `variables` with `history`, from which the variant's prompt is rendered here.
    """

    alias: Annotated[str, StringConstraints(max_length=300)] | None = None
    deployment: int | None = Field(default=None, ge=1, le=2**31 - 1)
    variant: VariantText | None = None
    messages: tuple[ReportedMessage, ...] | None = Field(
        default=None, min_length=1, max_length=_MAX_MESSAGES
    )
    variables: Annotated[dict[str, Any] | None, Storable] = Field(default=None, max_length=200)
    history: tuple[ReportedMessage, ...] = Field(default=(), max_length=_MAX_MESSAGES)
    parameters: Annotated[dict[str, Any] | None, Storable] = Field(
        default=None,
        max_length=40,
        description="what was sent, under the provider's names, if that is not the variant's",
    )
    output: ReportedMessage | None = Field(
        default=None, description="the assistant's whole message; null if none came"
    )
    ending: ReportedEnding = "completed"
    error: ReportedError | None = None
    finish_reason: FinishReason | None = None
    usage: ReportedUsage | None = Field(
        default=None, description="null: it is estimated here and marked so"
    )
    latency_ms: float = Field(ge=0, le=_MAX_MS, allow_inf_nan=False)
    time_to_first_token_ms: float | None = Field(
        default=None, ge=0, le=_MAX_MS, allow_inf_nan=False
    )
    is_stream: bool = False
    started_at: Annotated[datetime, BeforeValidator(read_time)] = Field(
        description="without a zone it is UTC"
    )
    reported_model: Label | None = Field(default=None, description="as the provider calls it")
    provider_request_id: Label | None = None
    request_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = None
    subject: Label | None = Field(default=None, description="the end user")
    tags: dict[TagName, TagValue] = Field(default_factory=dict, max_length=_MAX_TAGS)

    @model_validator(mode="after")
    def _is_whole(self) -> ReportedGeneration:
        if self.alias is None and self.variant is None:
            raise ValueError("say what was served: an alias, a variant, or both")
        if self.deployment is not None and self.alias is None:
            raise ValueError("a deployment is one of an alias: name it")
        if (self.messages is None) == (self.variables is None):
            raise ValueError("say what was sent: either messages or variables")
        if self.output is not None and self.output.role != "assistant":
            raise ValueError("the output is a message of the role assistant")
        if self.ending in ("completed", "refused") and self.output is None:
            raise ValueError(f"an answer that is {self.ending} has an output")
        if (self.ending in ("failed", "timeout")) != (self.error is not None):
            raise ValueError("an error goes with the endings failed and timeout")
        return self


class ReportedGenerationView(_Strict):
    """What was put on record of a reported answer."""

    id: UUID
    alias: str | None
    deployment: int | None
    role: TargetRole | None
    variant_id: UUID
    variant_hash: str
    prompt: str
    model: str
    status: GenerationStatus
    ending: ChatEnding
    input_tokens: int | None
    output_tokens: int | None
    usage_source: UsageSource
    cost: Decimal | None = Field(description="US dollars by our prices; null if unknown")
