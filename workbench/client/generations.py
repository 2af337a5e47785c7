"""Generations: every answer that was wanted from a model, with what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from pydantic import JsonValue

from workbench.client.calls import Answer, Call, Parameter
from workbench.client.reviews import Mark

__all__ = [
    "Attempt",
    "ChatFacts",
    "Generation",
    "GenerationDetail",
    "GenerationPage",
    "GenerationStory",
    "Judgement",
    "Replay",
    "ReplayDifference",
    "SameAnswers",
    "Score",
    "detail",
    "page",
    "replay",
    "same_answers",
    "whole",
]


class Generation(Answer):
    """One generation of a list. `cost` is in US dollars; what is not known is None."""

    SCHEMA: ClassVar[str] = "GenerationFacts"

    id: UUID
    purpose: str
    origin: str
    status: str
    ending: str | None
    finish_reason: str | None
    error_code: str | None
    run_id: UUID | None
    key: str | None
    repetition: int
    alias: str | None
    role: str | None
    prompt: str | None
    model: str | None
    provider: str | None
    input_tokens: int | None
    output_tokens: int | None
    usage_source: str
    cost: Decimal | None
    latency_ms: float | None
    time_to_first_token_ms: float | None
    attempt_count: int
    request_id: str | None
    trace_id: str | None
    conversation_id: UUID | None
    review: str | None
    started_at: datetime


class GenerationPage(Answer):
    """One page of generations, newest first.

    `total_estimate` counts to 10,000. `searched` is how many rows were looked at where filters hold
    among a bounded number of rows only; with `is_bounded` there are more, and `next_cursor` goes on
    behind them. `left_out` says that answers in production were not searched.
    """

    SCHEMA: ClassVar[str] = "GenerationPage"

    items: tuple[Generation, ...]
    next_cursor: str | None = None
    total_estimate: int
    searched: int | None = None
    is_bounded: bool = False
    left_out: bool = False


class GenerationStory(Answer):
    """One generation itself: what was sent, what came, and what it took."""

    SCHEMA: ClassVar[str] = "GenerationView"

    id: UUID
    run_id: UUID | None
    key: str | None
    repetition: int
    status: str
    purpose: str
    origin: str
    prompt: str | None
    prompt_hash: str | None
    model: str | None
    provider: str | None
    finish_reason: str | None
    error_code: str | None
    error: JsonValue
    request: JsonValue
    output: JsonValue
    expected_output: JsonValue
    input: JsonValue
    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None
    reasoning_tokens: int | None
    usage_source: str
    cost: Decimal | None
    latency_ms: float | None
    time_to_first_token_ms: float | None
    asked_parameters: dict[str, Any] | None
    applied_parameters: dict[str, Any] | None
    left_out_parameters: dict[str, Any] | None
    reported_model: str | None
    reported_fingerprint: str | None
    attempt_count: int
    reopened: int
    request_hash: str | None
    reused_from_id: UUID | None
    request_id: str | None
    trace_id: str | None
    started_at: datetime
    finished_at: datetime | None


class ChatFacts(Answer):
    """What is known of an answer in production besides the generation itself."""

    SCHEMA: ClassVar[str] = "ChatFacts"

    alias: str | None
    deployment: int | None
    role: str | None
    bucket: int | None
    actor: str
    conversation_id: UUID | None
    is_stream: bool
    is_exact: bool
    ignored: tuple[str, ...]
    flags: tuple[str, ...]
    ending: str | None
    subject: str | None
    tags: dict[str, Any] | None


class Attempt(Answer):
    """One call to the provider."""

    SCHEMA: ClassVar[str] = "AttemptView"

    number: int
    started_at: datetime
    latency_ms: float
    outcome: str
    http_status: int | None
    provider_request_id: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost: Decimal | None
    retry_after_s: float | None
    error: JsonValue


class Score(Answer):
    """One score; without a value `reason` says why."""

    SCHEMA: ClassVar[str] = "ScoreView"

    scorer: str
    version: int
    status: str
    value: float | None
    passed: bool | None
    label: str | None
    reason: str | None
    explanation: str | None


class Judgement(Answer):
    """One question to a judge about a generation; `generation_id` is the judge's own."""

    SCHEMA: ClassVar[str] = "JudgementView"

    generation_id: UUID
    scorer: str
    version: int
    seat: int
    repeat: int
    status: str
    value: float | None
    label: str | None
    reason: str | None
    model: str


class GenerationDetail(Answer):
    """One generation with everything it rests on and everything that came of it."""

    SCHEMA: ClassVar[str] = "GenerationDetail"

    generation: GenerationStory
    run: str | None
    experiment: int | None
    dataset: str | None
    variant_id: UUID | None
    chat: ChatFacts | None
    content_withheld: bool
    attempts: tuple[Attempt, ...]
    scores: tuple[Score, ...]
    judgements: tuple[Judgement, ...]
    reviews: tuple[Mark, ...]


class SameAnswers(Answer):
    """How often the request was made elsewhere; `requests` is None if no hash of it is kept."""

    SCHEMA: ClassVar[str] = "SameAnswers"

    requests: int | None
    reused: int
    original_id: UUID | None
    compared: int
    same: int


class ReplayDifference(Answer):
    """A part of the request that comes out different."""

    SCHEMA: ClassVar[str] = "ReplayDifference"

    part: str
    stored: str | None
    rendered: str | None


class Replay(Answer):
    """A request rendered again; `identical` is None if it cannot be, and `reason` says why."""

    SCHEMA: ClassVar[str] = "ReplayView"

    outcome: str
    identical: bool | None
    reason: str | None
    note: str | None
    checked: tuple[str, ...]
    differences: tuple[ReplayDifference, ...]
    stored_hash: str | None
    rendered_hash: str | None
    hash_holds: bool | None


def page(
    filters: Mapping[str, Parameter], *, cursor: str | None = None, limit: int = 50
) -> Call[GenerationPage]:
    """A page of generations, newest first; `filters` are the API's parameters by their names."""
    parameters = {**filters, "cursor": cursor, "limit": limit}
    return Call("GET", "/api/generations", GenerationPage, parameters)


def detail(generation_id: str) -> Call[GenerationDetail]:
    """One generation whole; that a customer's chat was opened is on record."""
    return Call("GET", f"/api/generations/{generation_id}", GenerationDetail)


def whole(generation_id: str) -> Call[dict[str, Any]]:
    """One generation as the API tells it, to be kept; `GenerationDetail` reads it."""
    return Call("GET", f"/api/generations/{generation_id}", dict)


def same_answers(generation_id: str) -> Call[SameAnswers]:
    """How often a request was made elsewhere, and how often the answer was the same."""
    return Call("GET", f"/api/generations/{generation_id}/same-answers", SameAnswers)


def replay(generation_id: str) -> Call[Replay]:
    """The request of a generation, rendered again from stored rows."""
    return Call("GET", f"/api/generations/{generation_id}/replay", Replay)
