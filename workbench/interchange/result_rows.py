"""Results as plain rows, one a cell, read page by page: what every export of results writes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson

from app.bootstrap import Services
from app.core.hashing import JSON
from app.schemas.experiments import RunView
from app.schemas.generations import GenerationView
from app.schemas.scores import ScoreView
from workbench.message_text import message_text

__all__ = ["ResultRow", "Rows", "Title", "json_bytes", "result_rows", "scorer_columns"]

_PAGE: Final = 500  # cells in memory at once


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One cell with what came of it. What is not known is None, never 0.

    `repetition` counts from 0. `scores` has one entry a scorer, under its column's name; a
    scorer that has not seen the cell is absent.
    """

    run: str
    prompt: str | None
    model: str | None
    provider: str | None
    dataset: str
    generation_id: str
    key: str
    repetition: int
    status: str
    error_code: str | None
    error: str | None
    finish_reason: str | None
    input: JSON
    expected: JSON
    request: JSON
    output: str | None
    scores: dict[str, ScoreView]
    cost: float | None
    input_tokens: int | None
    output_tokens: int | None
    latency_ms: float | None
    reused: bool
    started_at: str

    @property
    def passed(self) -> bool | None:
        """Whether every scorer with a verdict passed it; None if none has one."""
        verdicts = [s.passed for s in self.scores.values() if s.passed is not None]
        return all(verdicts) if verdicts else None


@dataclass(frozen=True)
class Title:
    """What is exported: a name for the whole, when it was made, and the columns of scores."""

    name: str
    created_at: str
    scorers: Sequence[str]


Rows = AsyncIterator[ResultRow]


def json_bytes(value: JSON) -> bytes:
    """Return JSON in UTF-8; half a character, which a model may write, stays as its escape."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value, allow_nan=False).encode()


async def scorer_columns(services: Services, runs: Sequence[RunView]) -> dict[UUID, str]:
    """Return what the columns of all scorers that scored one of these runs are called.

    Of several versions or sets of options the name alone would not tell which: they are
    numbered in the order of their first use, as in `contains`, `contains 2`.
    """
    columns: dict[UUID, str] = {}
    for run in runs:
        for view in await services.scores.scorers_of(run.id):
            if view.id not in columns:
                columns[view.id] = _numbered(view.name, columns.values())
    return columns


def _numbered(name: str, taken: Collection[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} {number}"
    return free


async def result_rows(
    services: Services, runs: Sequence[RunView], columns: Mapping[UUID, str]
) -> AsyncIterator[ResultRow]:
    """Yield every stored cell of these runs, run by run, by key and repetition."""
    for run in runs:
        after: tuple[str, int] | None = None
        while page := await services.generations.stories(run.id, after=after, limit=_PAGE):
            scores = await services.scores.of_generations([story.id for story in page])
            for story in page:
                after = (story.key or "", story.repetition)
                yield _row(run, story, {columns[s.scorer_id]: s for s in scores[story.id]})


def _row(run: RunView, story: GenerationView, scores: dict[str, ScoreView]) -> ResultRow:
    message: dict[str, Any] | None = story.output
    error: dict[str, Any] = story.error or {}
    return ResultRow(
        run=run.name,
        prompt=run.prompt,
        model=run.model,
        provider=run.provider,
        dataset=run.dataset,
        generation_id=str(story.id),
        key=story.key or "",
        repetition=story.repetition,
        status=story.status,
        error_code=story.error_code,
        error=error.get("message"),
        finish_reason=story.finish_reason,
        input=story.input,
        expected=story.expected_output,
        request=story.request,
        output=None if message is None else message_text(message),
        scores=scores,
        cost=None if story.cost is None else float(story.cost),
        input_tokens=story.input_tokens,
        output_tokens=story.output_tokens,
        latency_ms=story.latency_ms,
        reused=story.reused_from_id is not None,
        started_at=story.started_at.isoformat(),
    )
