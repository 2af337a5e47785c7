"""Calls in production on their way into the record: how one began, how it ended, what is stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from app.core.hashing import JSON
from app.llm.types import AttemptRecord, Usage
from app.schemas.aliases import TargetRole
from app.schemas.chat import ChatEnding, ConversationLink
from app.schemas.generations import GenerationStatus, Provenance

__all__ = [
    "CallEnd",
    "CallStart",
    "ConversationAnswer",
    "OpenCall",
    "ServedPart",
    "StoredCall",
    "Turn",
]


@dataclass(frozen=True, slots=True)
class ServedPart:
    """The part of a record that depends on which target answered.

    `request` is what was rendered for it. `is_exact` and `ignored` say what became of the caller's
    overrides.
    """

    provenance: Provenance
    request: JSON
    role: TargetRole | None
    is_exact: bool
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CallStart:
    """A call that is about to be made; `said` is the user's new message in a conversation, and
    `said_tokens` about how many tokens that is.

    One of origin `reported` was made by a service itself, and its end is written with its start.

    `asked` holds what the caller asked for, `reservation` what the limits hold for the call until
    it is settled: whoever finds a lost call settles it by that.
    """

    id: UUID
    served: ServedPart
    actor: str
    server: str
    started_at: datetime
    request_id: str
    alias_id: UUID | None
    deployment_id: UUID | None
    bucket: int | None
    is_stream: bool
    asked: dict[str, JSON]
    flags: tuple[str, ...]
    subject: str | None = None
    tags: JSON = None
    conversation: ConversationLink | None = None
    said: JSON = None
    said_tokens: int | None = None
    origin: Literal["executed", "reported"] = "executed"
    reservation: JSON = None


@dataclass(frozen=True, slots=True)
class ConversationAnswer:
    """The place of an answer in its conversation; `history` is what of that did not fit."""

    conversation_id: UUID
    sequence: int
    history: JSON = None


@dataclass(frozen=True, slots=True)
class CallEnd:
    """How a call ended. `fallback` is what answered instead of the target it began with.

    `cost` is that of the answer; what failed attempts cost stands with them. `answer` is set if the
    output becomes part of a conversation. `key_id` is the idempotency key that it is the effect of.
    """

    id: UUID
    ending: ChatEnding
    status: GenerationStatus
    usage: Usage
    cost: Decimal | None
    latency_ms: float
    finished_at: datetime
    attempt_count: int
    attempts: tuple[AttemptRecord, ...] = ()
    fallback: ServedPart | None = None
    output: JSON = None
    error: JSON = None
    error_code: str | None = None
    finish_reason: str | None = None
    time_to_first_token_ms: float | None = None
    reported_model: str | None = None
    reported_fingerprint: str | None = None
    trace_id: str | None = None
    answer: ConversationAnswer | None = None
    key_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a conversation stands: whether an answer is under way, and which message comes next."""

    is_open: bool
    next_sequence: int


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call of which no end is on record."""

    id: UUID
    server: str
    started_at: datetime
    reservation: Any
    request_bytes: int
    input_price: Decimal | None


@dataclass(frozen=True, slots=True)
class StoredCall:
    """A call as it is stored, enough to give its answer again; `ending` None: it is under way."""

    id: UUID
    ending: ChatEnding | None
    started_at: datetime
    variant_id: UUID
    role: TargetRole | None
    bucket: int | None
    alias_id: UUID | None
    deployment_id: UUID | None
    is_exact: bool
    ignored: tuple[str, ...]
    output: Any
    error: Any
    error_code: str | None
    finish_reason: str | None
    usage: Usage
    cost: Decimal | None
    latency_ms: float | None
    time_to_first_token_ms: float | None
    attempt_count: int
    reported_model: str | None
    reported_fingerprint: str | None
    trace_id: str | None
