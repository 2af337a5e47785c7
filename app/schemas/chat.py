"""A chat in production at the boundary of the service: what is asked, what serves it, what comes.

Pure data. An API parses its wire form into a `ChatRequest` and writes `ChatEvent`s and a
`ChatResult` in its wire form again; neither shape knows of HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from app.core.hashing import JSON
from app.llm.types import LLMResponse, Message
from app.schemas.aliases import TargetRole

__all__ = [
    "ChatEnding",
    "ChatEvent",
    "ChatRequest",
    "ChatResult",
    "ConversationLink",
    "LimitHeaders",
    "OnDuplicate",
    "ServedBy",
]

ChatEnding = Literal[
    "completed", "client_gone", "upstream_cut", "timeout", "refused", "failed", "abandoned"
]
"""How an answer in production ended; every call that was started has exactly one."""

OnDuplicate = Literal["wait", "refuse"]
"""What a request does that finds its idempotency key in flight: wait for the first one's answer,
or be refused with `InFlight`."""

LimitHeaders = Mapping[str, str]
"""`x-ratelimit-*` headers by their names in lower case."""


@dataclass(frozen=True, slots=True)
class ConversationLink:
    """The conversation that an answer belongs to.

    `next_sequence` is the number of the new user's message, the answer gets the one after it; two
    posts that claim the same number are a `Conflict`. With `pinned_variant_id` that variant answers
    whatever the alias means now. The request's messages are the whole conversation, oldest first;
    what does not fit the model's window is left out by the alias' policy and recorded.
    """

    id: UUID
    next_sequence: int
    pinned_variant_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One answer that is wanted.

    `target` is an alias (`support-bot@production`), or a model: the reference of a version
    (`openai/gpt-5@2`) or the provider's plain name. `messages` are the caller's; the prompt's own
    come from the variant. `parameters` are under the house's names (`temperature`, `max_tokens`,
    `stop`, `n`, ...) and hold only what the caller said. `asked_besides` names fields of the wire
    that the API understood and cannot honour: they are recorded as ignored, or refused where the
    alias is strict. `subject` is the end user, `tags` are the caller's own metadata. `sticky` is
    what the canary's split hashes; None takes the conversation, else the subject, else the request.

    `variant_id` is a variant of the model that answers instead of `passthrough@1`: one example of a
    prompt, tried past every alias. It is recorded as asked for.

    `idempotency_key` makes the request happen once for its actor; `request_hash` says whether a
    second request with the key is the same one. The hash has no salt, and hence is kept with the
    key only, for a day.
    """

    target: str
    messages: tuple[Message, ...]
    request_id: str
    request_hash: str
    parameters: Mapping[str, JSON] = field(default_factory=dict)
    variables: Mapping[str, JSON] = field(default_factory=dict)
    tools: JSON = None
    tool_choice: JSON = None
    response_format: JSON = None
    stream: bool = False
    subject: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None
    on_duplicate: OnDuplicate = "wait"
    sticky: str | None = None
    conversation: ConversationLink | None = None
    asked_besides: tuple[str, ...] = ()
    variant_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ServedBy:
    """What gives the answer. Those of an alias are None for a model called directly.

    `role` is the deployment's target, `bucket` (0 to 9,999) where the caller stands in the canary's
    split. `is_exact` is true if the variant was served as it was measured; `ignored` names what the
    caller asked for and did not get. `sunset_at` and `successor` are the model version's; a model
    that is deprecated has `deprecated_at`.
    """

    alias: str | None
    alias_id: UUID | None
    deployment_id: UUID | None
    deployment_number: int | None
    role: TargetRole | None
    bucket: int | None
    variant_id: UUID
    variant_hash: str
    prompt: str
    model: str
    provider: str
    is_exact: bool
    ignored: tuple[str, ...] = ()
    deprecated_at: datetime | None = None
    sunset_at: datetime | None = None
    successor: str | None = None


@dataclass(frozen=True, slots=True)
class ChatResult:
    """An answer that was settled: it is on record, and nothing of it will change.

    `served` is what answered in the end, a fallback if the first target failed. `generation_id` is
    None for the fixed text of an alias that is disabled: no model was called, nothing is stored,
    and its usage is zero. `replayed` says that the answer was given before, to the same
    idempotency key.
    """

    generation_id: UUID | None
    served: ServedBy
    response: LLMResponse
    ending: ChatEnding
    created_at: datetime
    replayed: bool = False
    limits: LimitHeaders = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChatEvent:
    """One event of a stream: text as it grows, then exactly one event with `result`.

    `index` is the choice that grows; choices besides the first come whole with the result.
    `tool_call_delta` is a list of fragments in the chat-completions form.
    """

    text: str = ""
    reasoning: str = ""
    tool_call_delta: JSON = None
    index: int = 0
    result: ChatResult | None = None
