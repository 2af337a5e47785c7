"""Scores at the boundary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

__all__ = [
    "CellColumns",
    "CellScore",
    "HumanScore",
    "NewScore",
    "ScorableGeneration",
    "ScoreStatus",
    "ScoreSummary",
    "ScoreView",
    "ScoredCell",
    "ScorerStanding",
    "ScorerView",
]

ScoreStatus = Literal["scored", "unscored", "failed"]


class ScorerView(BaseModel):
    """A scorer as it was used: name, version, options and their hash."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    name: str
    version: int
    config: dict[str, Any]
    content_hash: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ScorableGeneration:
    """A stored output with everything that a scorer may look at."""

    generation_id: UUID
    key: str
    output: Any
    example: dict[str, Any]
    latency_ms: float | None = None
    cost: Decimal | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    finish_reason: str | None = None
    reused: bool = False


@dataclass(frozen=True, slots=True)
class NewScore:
    """One score to be stored; `value` is None unless `status` is scored."""

    generation_id: UUID
    status: ScoreStatus
    value: float | None
    passed: bool | None
    label: str | None
    reason: str | None
    explanation: str


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """One run under one scorer, summed up by the database.

    `by_status` counts cells as `ScoredCell.status` names them. `mean` is over the scored
    cells, None without any; `n_correct` counts the ones of a scorer that only gave 0 and 1.
    """

    by_status: dict[str, int]
    mean: float | None
    n_correct: int | None

    @property
    def n_scored(self) -> int:
        return self.by_status.get("scored", 0)


@dataclass(frozen=True, slots=True)
class ScoredCell:
    """One cell of a run as an analysis needs it. `status` is the generation's unless it is
    completed, else the score's (`missing` if it was not scored yet). `answered` says that a
    model answered or refused, so that its latency is an answer's; `reused` that the answer was
    given to an earlier run, so that its latency says nothing of this one."""

    key: str
    repetition: int
    status: str
    value: float | None
    cluster: str | None
    cost: Decimal | None
    latency_ms: float | None
    reopened: bool
    answered: bool
    reused: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class CellColumns:
    """All cells of a run as `ScoredCell` has them, column by column, by key and repetition.

    For an analysis of very many cells. Costs are US dollars as floats. A latency is None where
    it says nothing of the model in this run: of a failed call, and of an answer used again.
    """

    keys: Sequence[str]
    repetitions: Sequence[int]
    statuses: Sequence[str]
    values: Sequence[float | None]
    clusters: Sequence[str | None]
    costs: Sequence[float | None]
    latencies_ms: Sequence[float | None]
    reopened: Sequence[bool]
    reused: Sequence[bool]


@dataclass(frozen=True, slots=True)
class HumanScore:
    """What people gave one cell under one criterion: the mean over the reviewers, each with
    their latest value."""

    key: str
    repetition: int
    value: float


class ScoreView(BaseModel):
    """One score as it is shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scorer_id: UUID
    scorer: str
    version: int
    status: ScoreStatus
    value: float | None
    passed: bool | None
    label: str | None
    reason: str | None
    explanation: str | None


class CellScore(ScoreView):
    """One score of a run's list, with the cell that it is of."""

    generation_id: UUID
    example_id: UUID
    key: str
    repetition: int


class ScorerStanding(BaseModel):
    """One run under one scorer, summed up; cells without a value are counted and never 0."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scorer: ScorerView
    summary: ScoreSummary
