"""Scores at the boundary."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

__all__ = ["NewScore", "ScorableGeneration", "ScoreView", "ScoredCell", "ScorerView"]

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
class ScoredCell:
    """One cell of a run as an analysis needs it. `status` is the generation's unless it is
    completed, else the score's (`missing` if it was not scored yet)."""

    key: str
    repetition: int
    status: str
    value: float | None
    cluster: str | None
    cost: Decimal | None
    latency_ms: float | None
    reopened: bool


class ScoreView(BaseModel):
    """One score as it is shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scorer: str
    version: int
    status: ScoreStatus
    value: float | None
    passed: bool | None
    label: str | None
    reason: str | None
    explanation: str | None
