"""Comparisons: the paired effect between two runs, and the examples behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import JsonValue

from workbench.client.calls import Answer, Call, Listing
from workbench.client.generations import Score
from workbench.client.jobs import Job

__all__ = [
    "ComparedAnswer",
    "ComparedAnswers",
    "ComparedExample",
    "ComparedExampleDetail",
    "ComparedSide",
    "Comparison",
    "Direction",
    "Scorer",
    "ScorerStanding",
    "ask",
    "comparison",
    "example",
    "examples",
    "listing",
    "scorers",
]

Direction = Literal["all", "better", "worse", "tied", "error"]
"""How an example stands; `error`: at least one of its cells has no score."""


class Comparison(Answer):
    """One stored analysis; `result` is the whole answer: verdict, sentence, interval, warnings."""

    SCHEMA: ClassVar[str] = "ComparisonView"

    id: UUID
    baseline_run_id: UUID
    candidate_run_id: UUID
    scorer_id: UUID
    plan: dict[str, JsonValue]
    verdict: str
    result: dict[str, Any]
    created_at: datetime
    created_by: str


class ComparedSide(Answer):
    """What one run made of one example, folded over repetitions; `mean` is over scored cells."""

    SCHEMA: ClassVar[str] = "ComparedSide"

    mean: float | None
    cells: int
    scored: int
    statuses: dict[str, int]


class ComparedExample(Answer):
    """One example that both runs have an outcome for; `change` is positive where it is better."""

    SCHEMA: ClassVar[str] = "ComparedExample"

    example_id: UUID
    key: str
    change: float | None
    baseline: ComparedSide
    candidate: ComparedSide


class ComparedAnswer(Answer):
    """One answer in full; `output` is None if there is none or its text was erased."""

    SCHEMA: ClassVar[str] = "ComparedAnswer"

    generation_id: UUID
    repetition: int
    status: str
    error_code: str | None
    error: JsonValue
    output: JsonValue
    cost: float | None
    latency_ms: float | None
    scores: tuple[Score, ...]


class ComparedAnswers(Answer):
    """One run's answers to one example; of `cells` at most the first twenty are here."""

    SCHEMA: ClassVar[str] = "ComparedAnswers"

    run_id: UUID
    run: str
    mean: float | None
    cells: int
    scored: int
    answers: tuple[ComparedAnswer, ...]


class ComparedExampleDetail(Answer):
    """One example side by side."""

    SCHEMA: ClassVar[str] = "ComparedExampleDetail"

    example_id: UUID
    key: str
    change: float | None
    input: JsonValue
    messages: JsonValue
    expected_output: JsonValue
    metadata: dict[str, JsonValue]
    baseline: ComparedAnswers
    candidate: ComparedAnswers


class Scorer(Answer):
    """A scorer as it was used."""

    SCHEMA: ClassVar[str] = "ScorerView"

    id: UUID
    name: str
    version: int
    config: dict[str, JsonValue]


class ScorerStanding(Answer):
    """A scorer that scored a run."""

    SCHEMA: ClassVar[str] = "ScorerStanding"

    scorer: Scorer


def listing(
    *,
    experiment: int | None = None,
    run_id: UUID | None = None,
    scorer_id: UUID | None = None,
) -> Listing[Comparison]:
    """The comparisons, newest first; of an experiment, with a run on either side, by a scorer."""
    parameters = {"experiment": experiment, "run_id": run_id, "scorer_id": scorer_id}
    return Listing("/api/comparisons", Comparison, parameters)


def comparison(comparison_id: UUID | str) -> Call[Comparison]:
    """One comparison."""
    return Call("GET", f"/api/comparisons/{comparison_id}", Comparison)


def examples(
    comparison_id: UUID,
    direction: Direction = "all",
    *,
    search: str = "",
    slice_: tuple[str, str] | None = None,
) -> Listing[ComparedExample]:
    """The examples of a comparison, the largest change first; `search` is part of the key, and
    `slice_` a metadata column with the value in it."""
    column, value = slice_ or (None, None)
    parameters = {"direction": direction, "search": search, "column": column, "value": value}
    return Listing(f"/api/comparisons/{comparison_id}/examples", ComparedExample, parameters)


def example(comparison_id: UUID, example_id: UUID | str) -> Call[ComparedExampleDetail]:
    """One example with both sides' answers in full."""
    path = f"/api/comparisons/{comparison_id}/examples/{example_id}"
    return Call("GET", path, ComparedExampleDetail)


def scorers(run_id: UUID) -> Call[list[ScorerStanding]]:
    """The scorers that scored a run, in the order of their first use."""
    return Call("GET", f"/api/runs/{run_id}/scorers", list[ScorerStanding])


def ask(
    baseline: UUID,
    candidates: Sequence[UUID],
    scorer: str | Mapping[str, Any],
    *,
    margin: float | None = None,
) -> Call[Job]:
    """Ask to compare runs with a baseline under one scorer; one comparison a candidate is stored.

    `margin` is the acceptable loss in the scorer's unit: 0.03 is 3 points of a rate.
    """
    body = {
        "baseline_run_id": str(baseline),
        "candidate_run_ids": [str(candidate) for candidate in candidates],
        "scorer": scorer,
        "margin": margin,
    }
    return Call("POST", "/api/comparisons", Job, body=body)
