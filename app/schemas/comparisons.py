"""Comparisons at the boundary."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.schemas.generations import GenerationStatus
from app.schemas.scores import ScoreView

__all__ = [
    "MAX_ANSWERS",
    "NAMED_GENERATIONS",
    "ComparedAnswer",
    "ComparedAnswers",
    "ComparedExample",
    "ComparedExampleDetail",
    "ComparedSide",
    "ComparisonView",
    "Direction",
    "ExampleFilter",
    "NewComparison",
]

NAMED_GENERATIONS: Final = 10
"""Of how many repetitions, from the first on, an example in a list names the generations."""

MAX_ANSWERS: Final = 20
"""How many answers of one side are shown whole, from the first repetition on."""

Direction = Literal["all", "better", "worse", "tied", "error"]
"""How an example stands in a comparison. `error`: at least one of its cells has no score, whatever
the others say, so that an example may be both worse and an error."""


class NewComparison(BaseModel):
    """A computed analysis on its way to the record. `input_hash` covers all scores used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    baseline_run_id: UUID
    candidate_run_id: UUID
    scorer_id: UUID
    plan: dict[str, Any]
    verdict: str
    method: str
    result: dict[str, Any]
    input_hash: str


class ComparisonView(NewComparison):
    """A stored analysis."""

    id: UUID
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class ExampleFilter:
    """Which examples of a comparison a list is to hold; what is None or empty does not matter.

    `search` is part of the key. `column` and `value` name a slice: a metadata column, and the value
    in it as the comparison's slices write it.
    """

    direction: Direction = "all"
    search: str = ""
    column: str | None = None
    value: str | None = None


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ComparedSide(_View):
    """What one run made of one example, its repetitions folded into one."""

    mean: float | None = Field(description="over the scored cells; null without any, never 0")
    cells: int
    scored: int
    statuses: dict[str, int] = Field(
        description="cells by score status, or by how the generation ended if it did not complete"
    )
    generation_ids: list[UUID] = Field(
        description=f"by repetition, of the first {NAMED_GENERATIONS} repetitions"
    )


class ComparedExample(_View):
    """One example that both runs have an outcome for."""

    example_id: UUID
    key: str
    change: float | None = Field(
        description="of the mean, positive where the candidate is better; null without a pair"
    )
    baseline: ComparedSide
    candidate: ComparedSide


class ComparedAnswer(_View):
    """One answer in full. `output` is null if there is none or its text was erased."""

    generation_id: UUID
    repetition: int
    status: GenerationStatus
    error_code: str | None
    error: Any
    output: Any = Field(description="the assistant's whole message")
    cost: Decimal | None
    latency_ms: float | None
    scores: list[ScoreView]


class ComparedAnswers(_View):
    """One run's answers to one example, by repetition."""

    run_id: UUID
    run: str = Field(description="its name")
    mean: float | None
    cells: int
    scored: int
    answers: list[ComparedAnswer] = Field(description=f"the first {MAX_ANSWERS}")


class ComparedExampleDetail(_View):
    """One example with all that both runs made of it. Texts are null where they were erased."""

    example_id: UUID
    key: str
    change: float | None
    input: Any
    messages: Any
    expected_output: Any
    metadata: dict[str, Any]
    baseline: ComparedAnswers
    candidate: ComparedAnswers
