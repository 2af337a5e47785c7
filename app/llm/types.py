"""The values that go to a model and come back; pure data, no provider's own types.

Requests and responses already carry what every later feature needs: content parts,
tools and tool calls, response formats, log probabilities, several choices, streams.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from app.core.hashing import JSON

__all__ = [
    "CANCELLED",
    "NO_USAGE",
    "OK",
    "AttemptObserver",
    "AttemptRecord",
    "Choice",
    "FinishReason",
    "ImagePart",
    "LLMRequest",
    "LLMResponse",
    "Message",
    "ModelTarget",
    "Price",
    "Role",
    "StreamEvent",
    "TextPart",
    "ToolCall",
    "Usage",
    "UsageSource",
]

Role = Literal["system", "developer", "user", "assistant", "tool"]

OK = "ok"
"""The outcome of an attempt that gave an answer."""

CANCELLED = "cancelled"
"""The outcome of an attempt that the caller cut off."""


class FinishReason(StrEnum):
    """Why the model stopped; a provider's unknown word becomes `OTHER`."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    OTHER = "other"


class UsageSource(StrEnum):
    """Who says how many tokens were used."""

    PROVIDER = "provider"
    ESTIMATED = "estimated"
    UNREPORTED = "unreported"


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image by URL or data URL; never fetched by us."""

    url: str
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model wants; `arguments` is the JSON text exactly as it came."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message. An assistant's answer keeps refusal and reasoning beside its text."""

    role: Role
    content: str | tuple[TextPart | ImagePart, ...] | None
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    refusal: str | None = None
    reasoning: str | None = None

    @property
    def text(self) -> str:
        """The text of all parts, joined; empty if there is none."""
        if isinstance(self.content, str):
            return self.content
        return "".join(p.text for p in self.content or () if isinstance(p, TextPart))

    def to_json(self) -> dict[str, JSON]:
        """Return the message in the chat-completions form; absent fields are left out."""
        shape: dict[str, JSON] = {"role": self.role}
        if self.content is None or isinstance(self.content, str):
            shape["content"] = self.content
        else:
            shape["content"] = [_part_json(part) for part in self.content]
        if self.name is not None:
            shape["name"] = self.name
        if self.tool_calls:
            shape["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in self.tool_calls
            ]
        if self.tool_call_id is not None:
            shape["tool_call_id"] = self.tool_call_id
        if self.refusal is not None:
            shape["refusal"] = self.refusal
        if self.reasoning is not None:
            shape["reasoning"] = self.reasoning
        return shape


def _part_json(part: TextPart | ImagePart) -> dict[str, JSON]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    image: dict[str, JSON] = {"url": part.url}
    if part.detail is not None:
        image["detail"] = part.detail
    return {"type": "image_url", "image_url": image}


@dataclass(frozen=True, slots=True)
class Price:
    """Prices of one model version at one time, in US dollars per million tokens."""

    id: str | None
    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ModelTarget:
    """Where a request goes: provider kind, endpoint (an entry of the settings), wire name.

    `endpoint` names an account: limits, adaptive concurrency and connections are shared
    by all targets of one endpoint.
    """

    provider: str
    endpoint: str
    provider_model: str
    price: Price | None = None


@dataclass(frozen=True, slots=True)
class LLMRequest:
    """One generation wanted from one model.

    `parameters` are already resolved and under the provider's names
    (`app.core.parameters`). `repetition` distinguishes samples of the same request. `request_id`,
    `prompt` (`support-bot@3`) and `conversation_id` name the call in traces; none is sent.
    """

    target: ModelTarget
    messages: tuple[Message, ...]
    parameters: Mapping[str, JSON] = field(default_factory=dict)
    tools: JSON = None
    tool_choice: JSON = None
    response_format: JSON = None
    repetition: int = 0
    request_id: str | None = None
    prompt: str | None = None
    conversation_id: str | None = None

    @property
    def request_shape(self) -> dict[str, JSON]:
        """What is sent, in the chat-completions form: the record of the rendered request."""
        shape: dict[str, JSON] = {
            "model": self.target.provider_model,
            "messages": [message.to_json() for message in self.messages],
            **self.parameters,
        }
        if self.tools is not None:
            shape["tools"] = self.tools
        if self.tool_choice is not None:
            shape["tool_choice"] = self.tool_choice
        if self.response_format is not None:
            shape["response_format"] = self.response_format
        return shape


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts; cached and reasoning tokens are parts of input and output.

    None means not reported, never zero.
    """

    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    source: UsageSource = UsageSource.PROVIDER


NO_USAGE = Usage(None, None, source=UsageSource.UNREPORTED)


@dataclass(frozen=True, slots=True)
class Choice:
    message: Message
    finish_reason: FinishReason
    provider_finish_reason: str | None = None
    logprobs: JSON = None


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One call to the provider that ended, well or badly.

    `number` counts from 1 within the generation. `outcome` is `ok`, the code of the error
    (`app.llm.errors`), or `cancelled` if the caller gave up. `retry_after_s` is how long the
    provider asked to wait.
    """

    number: int
    started_at: datetime
    latency_ms: float
    outcome: str
    http_status: int | None = None
    provider_request_id: str | None = None
    usage: Usage = NO_USAGE
    cost: Decimal | None = None
    error_message: str | None = None
    error_body: str | None = None
    retry_after_s: float | None = None


AttemptObserver = Callable[[AttemptRecord], None]


@dataclass(frozen=True, slots=True)
class LLMResponse:
    """A whole answer. `latency_ms` is the successful attempt's; waits are not in it."""

    choices: tuple[Choice, ...]
    usage: Usage
    cost: Decimal | None
    latency_ms: float
    time_to_first_token_ms: float | None
    started_at: datetime
    attempts: int
    reported_model: str | None = None
    reported_fingerprint: str | None = None
    provider_request_id: str | None = None
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event of a stream: text as it grows, then exactly one event with `response`.

    A stream that ends without its terminal event raises `TruncatedStream` instead.
    """

    text: str = ""
    reasoning: str = ""
    tool_call_delta: JSON = None
    response: LLMResponse | None = None
