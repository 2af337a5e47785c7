"""Judgements at the boundary: questions to judges on their way in, their stories on the way out."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from app.schemas.scores import ScoreStatus

__all__ = [
    "JudgeAnswer",
    "JudgeablePair",
    "JudgementView",
    "JudgingTotals",
    "NewJudgement",
    "PairPosition",
]

PairPosition = Literal["first", "second"]
"""Where the judged answer stood beside the one that it was held against."""


@dataclass(frozen=True, slots=True)
class NewJudgement:
    """One question that a judge was asked, and what came of it; `generation_id` is the judge's.

    `seat` counts the models of a panel and `repeat` the times that each was asked, from 0.
    `other_generation_id` and `position` go together: they are set for a preference.
    """

    generation_id: UUID
    scorer_id: UUID
    judged_generation_id: UUID
    seat: int
    repeat: int
    status: ScoreStatus
    value: float | None
    label: str | None = None
    reason: str | None = None
    other_generation_id: UUID | None = None
    position: PairPosition | None = None


@dataclass(frozen=True, slots=True)
class JudgeAnswer:
    """How a question to a judge ended. `text` is None if no text came, or if it was erased."""

    text: str | None
    status: str
    finish_reason: str | None
    error_code: str | None


@dataclass(frozen=True, slots=True)
class JudgeablePair:
    """Two completed answers to the same example in the same repetition."""

    key: str
    repetition: int
    baseline_id: UUID
    candidate_id: UUID
    baseline_output: Any
    candidate_output: Any
    example: dict[str, Any]


@dataclass(frozen=True, slots=True)
class JudgingTotals:
    """What judging the answers of one run has cost so far, over all judges.

    Tokens and money are None when none is known; `unpriced` counts questions without a cost.
    A pair counts for the run whose answer was judged, which is the candidate's.
    """

    questions: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: Decimal | None = None
    unpriced: int = 0


class JudgementView(BaseModel):
    """One question to a judge as it is shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    generation_id: UUID
    scorer: str
    version: int
    seat: int
    repeat: int
    position: PairPosition | None
    status: ScoreStatus
    value: float | None
    label: str | None
    reason: str | None
    prompt: str
    model: str
    request: Any
    reply: Any
    input_tokens: int | None
    output_tokens: int | None
    cost: Decimal | None
    latency_ms: float | None
