"""Generations at the boundary: outcomes on their way in, stories on their way out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.core.hashing import JSON
from app.llm.types import AttemptRecord, Usage
from app.schemas.chat import ChatEnding
from app.schemas.judgements import JudgementView
from app.schemas.models import ModelReference
from app.schemas.names import Reference
from app.schemas.pages import Page
from app.schemas.reviews import Mark, MarkView
from app.schemas.scores import ScoreView

__all__ = [
    "Amount",
    "AttemptOutcome",
    "AttemptView",
    "CellValue",
    "ChatFacts",
    "GenerationDetail",
    "GenerationFacts",
    "GenerationFilter",
    "GenerationHome",
    "GenerationPage",
    "GenerationPurpose",
    "GenerationStatus",
    "GenerationView",
    "ImportedOutput",
    "Outcome",
    "Provenance",
    "ReuseTotals",
    "ReviewState",
    "RunTotals",
    "SameAnswers",
    "Sight",
    "StoredAnswer",
]

GenerationStatus = Literal[
    "started", "completed", "failed", "refused", "incomplete", "cancelled", "abandoned"
]
GenerationPurpose = Literal["experiment", "judge", "chat"]

ReviewState = Literal["ok", "flagged", "none"]
"""What a generation was last marked as; `none` if nobody marked it."""

Amount = Literal["cost", "latency_ms", "tokens", "score"]
"""What a list may be narrowed to a range of; `tokens` are those of input and output together."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What every generation of one run shares; all None for outputs made elsewhere.

    A judge's generation belongs to no run: `judgement` says what was judged.
    """

    run_id: UUID | None
    variant_id: UUID | None = None
    prompt_version_id: UUID | None = None
    model_version_id: UUID | None = None
    provider: str | None = None
    model_price_id: UUID | None = None
    applied_parameters: JSON = None
    left_out_parameters: JSON = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one cell, or of one question to a judge; written once as one `generation`
    row with its texts.

    `reused_from_id` is the stored generation whose answer this is: facts and texts are copied
    from it and no call was made.
    """

    id: UUID
    provenance: Provenance
    example_id: UUID | None
    repetition: int
    status: GenerationStatus
    usage: Usage
    started_at: datetime
    finished_at: datetime
    latency_ms: float | None
    attempt_count: int
    request: JSON = None
    output: JSON = None
    error: JSON = None
    error_code: str | None = None
    finish_reason: str | None = None
    cost: Decimal | None = None
    time_to_first_token_ms: float | None = None
    reported_model: str | None = None
    reported_fingerprint: str | None = None
    request_id: str | None = None
    trace_id: str | None = None
    purpose: GenerationPurpose = "experiment"
    request_hash: str | None = None
    reused_from_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """One ended call, with the cell it was made for."""

    generation_id: UUID
    run_id: UUID | None
    record: AttemptRecord


@dataclass(frozen=True, slots=True)
class ImportedOutput:
    """An output that was made elsewhere, for one example; None is not known.

    With an `error` there was none: the cell is stored as failed and `text` is not read.
    """

    example_id: UUID
    text: str
    latency_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: Decimal | None = None
    repetition: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RunTotals:
    """Sums over the stored outcomes of one run.

    Tokens and money are None when none is known; `unpriced` counts outcomes without a cost.
    Answers that were used again cost nothing here: `reused` counts them, the sums leave them out.
    """

    by_status: dict[str, int] = field(default_factory=dict)
    by_error: dict[str, int] = field(default_factory=dict)
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: Decimal | None = None
    unpriced: int = 0
    reopened: int = 0
    reused: int = 0


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What a model answered, ready to be used again for an equal request.

    `original_id` is the generation for which the call was made, also if this answer was found
    where it was used again.
    """

    original_id: UUID
    request_hash: str | None
    status: GenerationStatus
    output: JSON
    usage: Usage
    cost: Decimal | None
    latency_ms: float | None
    time_to_first_token_ms: float | None
    finish_reason: str | None
    error_code: str | None
    reported_model: str | None
    reported_fingerprint: str | None


class CellValue(NamedTuple):
    """How a stored cell ended, and its value under one scorer; None without one."""

    status: str
    value: float | None


@dataclass(frozen=True, slots=True)
class ReuseTotals:
    """What could be used again, and what was: the calls, tokens and dollars that were not spent.

    `distinct` counts different requests among the `answers`; `cost` is None if none is known.
    """

    answers: int
    distinct: int
    reused: int
    runs: int
    cost: Decimal | None
    input_tokens: int
    output_tokens: int


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AttemptView(_View):
    """One call as it is shown."""

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
    error: Any


class GenerationView(_View):
    """One generation's whole story."""

    id: UUID
    run_id: UUID | None
    example_id: UUID | None
    key: str | None
    repetition: int
    status: GenerationStatus
    purpose: str
    origin: str
    prompt: str | None
    prompt_hash: str | None
    model: str | None
    provider: str | None
    finish_reason: str | None
    error_code: str | None
    error: Any
    request: Any
    output: Any
    expected_output: Any
    input: Any
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


class GenerationFacts(_View):
    """One generation in a list: facts only, no text from or to people or models."""

    id: UUID
    purpose: GenerationPurpose
    origin: str
    status: GenerationStatus
    ending: str | None = Field(description="how an answer in production ended")
    finish_reason: str | None
    error_code: str | None
    run_id: UUID | None
    example_id: UUID | None
    key: str | None
    repetition: int
    alias: str | None
    role: str | None = Field(description="of the deployment's target that served it")
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
    review: Mark | None = Field(description="what it was last marked as; null if it never was")
    started_at: datetime
    finished_at: datetime | None


class GenerationPage(Page[GenerationFacts]):
    """One page of generations.

    A list is walked by its strongest filter. What the other filters ask, and what is asked of text,
    sums and scores, is looked for among at most 10,000 rows of that walk, from where the page
    before ended. If those end before the page is full, `is_bounded` says that there are more behind
    them: `next_cursor` then goes on there, also from a page without items. `searched` is how many
    rows in sight were looked at, where a list is bounded or asks for text, sums or scores;
    `total_estimate` then counts among these, and with several filters among the newest 10,000.
    `left_out` says that answers in production were not searched, because the texts of some or all
    of them are not yours to read.
    """

    searched: int | None = Field(default=None, description="null where nothing was searched")
    is_bounded: bool = False
    left_out: bool = False


class ChatFacts(_View):
    """What is known of an answer in production besides the generation itself.

    `subject`, who the user was, and `tags` are None while the content is withheld.
    """

    alias: str | None
    deployment: int | None = Field(description="the number of the move that served it")
    role: str | None
    bucket: int | None
    actor: str
    conversation_id: UUID | None
    is_stream: bool
    is_exact: bool
    asked: dict[str, Any]
    ignored: list[str]
    flags: list[str]
    ending: str | None
    subject: str | None
    tags: dict[str, Any] | None


class GenerationDetail(_View):
    """One generation with everything it rests on and everything that came of it.

    `content_withheld` says that the texts of a customer's chat are left out: reading them takes
    `production_content:read`.
    """

    generation: GenerationView
    run: str | None = Field(description="its name")
    dataset: str | None
    variant_id: UUID | None
    chat: ChatFacts | None
    content_withheld: bool
    attempts: list[AttemptView]
    scores: list[ScoreView]
    judgements: list[JudgementView]
    reviews: list[MarkView] = Field(description="what people marked it as, newest first")
    experiment: int | None = Field(description="the number of the experiment of its run")


class SameAnswers(_View):
    """How often the request of a generation was made elsewhere, and what came of it.

    `requests` counts other generations with an equal request that the reader may see, up to
    10,000; None if the request is not hashed, as no chat's is: a hash without salt would tell a
    customer's text to whoever guesses it. Of up to 1,000 of them `compared` answers were held
    against this one, and `same` are word for word like it. `reused` counts generations that used
    this answer again instead of making a call.
    """

    requests: int | None
    reused: int
    original_id: UUID | None = Field(description="whose answer this one is, used again")
    compared: int
    same: int


@dataclass(frozen=True, slots=True)
class GenerationFilter:
    """Which generations a list is to hold; what is None or empty does not matter.

    Times are when they began; `prompt` and `model` are references, with or without a version, and
    `provider` stands for all its models. `alias`, `endings` and `conversation_id` are of answers in
    production, `run`, `run_id`, `experiment` and `key` of experiments. The fields from `text` on
    hold among a bounded number of rows (`GenerationPage`); costs are US dollars, `scorer` a name.
    """

    run_id: UUID | None = None
    run: str | None = None
    experiment: int | None = None
    key: str | None = None
    alias: str | None = None
    purposes: Sequence[GenerationPurpose] = ()
    statuses: Sequence[GenerationStatus] = ()
    endings: Sequence[ChatEnding] = ()
    since: datetime | None = None
    until: datetime | None = None
    prompt: Reference | None = None
    model: ModelReference | None = None
    provider: str | None = None
    error_code: str | None = None
    finish_reason: str | None = None
    subject: str | None = None
    conversation_id: UUID | None = None
    request_id: str | None = None
    trace_id: str | None = None
    request_hash: str | None = None
    reused_from_id: UUID | None = None
    review: ReviewState | None = None
    text: str | None = None
    least: Mapping[Amount, float] = field(default_factory=dict)
    most: Mapping[Amount, float] = field(default_factory=dict)
    scorer: str | None = None

    @property
    def is_bounded(self) -> bool:
        """Whether a filter is asked for that no index knows."""
        return bool(self.text or self.least or self.most or self.scorer)


@dataclass(frozen=True, slots=True)
class Sight:
    """Which generations somebody may see: experiments' over datasets below `datasets`, production's
    through aliases below `aliases`; a judge's with the answer that it was asked about.

    None is every name, an empty sequence none. `only` are the only aliases, if there is such a
    bound. Answers past every alias belong to no name: only None for both shows them.
    """

    datasets: Sequence[str] | None
    aliases: Sequence[str] | None
    only: Collection[str] | None = None

    @property
    def has_chats(self) -> bool:
        """Whether answers in production may be among them."""
        return self.aliases is None or bool(self.aliases)

    @property
    def has_experiments(self) -> bool:
        """Whether answers in experiments may be among them."""
        return self.datasets is None or bool(self.datasets)

    @property
    def is_everything(self) -> bool:
        return self.datasets is None and self.aliases is None and self.only is None


@dataclass(frozen=True, slots=True)
class GenerationHome:
    """Which names decide who may see a generation, and where it comes from.

    All but the variant are those of the answer that was judged, if this is a judge's.
    """

    purpose: GenerationPurpose
    dataset: str | None
    run: str | None
    experiment: int | None
    alias: str | None
    variant_id: UUID | None
