"""Experiments in a list, and what came of one: verdicts and means without any text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "CandidateVerdict",
    "ExperimentFilter",
    "ExperimentResults",
    "ExperimentSummary",
    "RunMean",
    "RunProgress",
    "ToldVerdict",
]


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class ExperimentFilter:
    """Which experiments a list is to hold; what is None or empty does not matter.

    `search` is part of the name, or the number; `dataset` a dataset's name, `by` part of who
    asked for it.
    """

    search: str = ""
    status: str | None = None
    dataset: str | None = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far one run is: outcomes, those without an answer, US dollars where known."""

    done: int = 0
    failed: int = 0
    cost: Decimal | None = None
    unpriced: int = 0


class CandidateVerdict(_View):
    """What the newest comparison of one candidate says under the primary scorer."""

    comparison_id: UUID
    candidate_run_id: UUID
    candidate: str = Field(description="the run's name")
    verdict: str


class ExperimentSummary(_View):
    """One experiment in a list."""

    number: int
    name: str
    dataset: str
    prompts: tuple[str, ...]
    models: tuple[str, ...]
    simulated: bool = Field(description="whether a simulated model answers in it")
    runs: int
    status: Literal["open", "completed", "cancelled"]
    work: Literal["queued", "running"] | None = Field(
        description="whether a worker is at it or will be; null: nobody is"
    )
    wanted: int = Field(description="cells in all: examples x runs x repetitions")
    done: int = Field(description="cells with an outcome of any kind")
    failed: int = Field(description="of these, cells that no model answered")
    cost: Decimal | None = Field(description="US dollars, where known; judges are not in it")
    unpriced: int = Field(description="outcomes without a cost")
    scorer: str | None = Field(description="the primary scorer; null without any")
    verdicts: tuple[CandidateVerdict, ...]
    created_at: datetime
    created_by: str
    finished_at: datetime | None


class ToldVerdict(_View):
    """One stored comparison as it is told; `primary` if it is by the plan's own scorer."""

    comparison_id: UUID
    baseline: str
    candidate_run_id: UUID
    candidate: str
    scorer: str
    primary: bool
    verdict: str
    sentence: str
    n_pairs: int | None
    warnings: Sequence[dict[str, Any]]
    created_at: datetime
    created_by: str


class RunMean(_View):
    """One run under one scorer; `mean` is over the scored cells, null without any."""

    run_id: UUID
    scorer_id: UUID
    scorer: str
    version: int
    mean: float | None
    scored: int
    unscored: int = Field(description="cells that gave the scorer nothing to judge by")
    failed: int = Field(description="cells that the scorer could not finish")


class ExperimentResults(_View):
    """What came of one experiment: the newest comparison of each pair and scorer, and means."""

    verdicts: Sequence[ToldVerdict]
    means: Sequence[RunMean]
