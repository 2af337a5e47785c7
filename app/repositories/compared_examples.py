"""Statements on what two runs made of the same examples, under one scorer.

The database folds the repetitions of both runs in one pass over their cells; texts are read for
one example at a time. Only examples that both runs have an outcome for are here: an example whose
text changed between two dataset versions is another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    JSON,
    ColumnElement,
    FromClause,
    ScalarSelect,
    Select,
    String,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute

from app.database import AsyncSession
from app.models import Content, Example, Generation, Score
from app.repositories.content import ContentRepository, decode_body
from app.repositories.scores import ScoreRepository
from app.schemas.comparisons import (
    MAX_ANSWERS,
    NAMED_GENERATIONS,
    ComparedAnswer,
    ComparedExample,
    ComparedSide,
    Direction,
    ExampleFilter,
)

__all__ = ["ComparedExampleRepository", "ComparedRuns", "ExampleTexts", "Place"]

_STEP: Final = 1e-9
"""Changes below are none: means of the same scores in another order differ by less."""

_SLICE_VALUE_LENGTH: Final = 100  # as the slices of a comparison cut their values
_NO_PAIR: Final = -1.0  # stands behind every change, of which the smallest is 0

Place = tuple[float, str]
"""Where an example stands in the list: the size of its change, and its key."""


@dataclass(frozen=True, slots=True)
class ComparedRuns:
    """Which scores are held against each other; `sign` is -1 where a lower score is better."""

    baseline: UUID
    candidate: UUID
    scorer: UUID
    sign: int


@dataclass(frozen=True, slots=True)
class ExampleTexts:
    """One example with its texts as they are stored; `body` is empty if it was erased."""

    key: str
    body: Mapping[str, Any]


class ComparedExampleRepository:
    """Examples as one comparison has them."""

    def __init__(self, session: AsyncSession, runs: ComparedRuns) -> None:
        self._session = session
        self._runs = runs

    async def page(
        self, wanted: ExampleFilter, *, after: Place | None, limit: int
    ) -> tuple[list[tuple[Place, ComparedExample]], int]:
        """Return examples with their places, the largest change first, and how many there are.

        Examples without a pair of scores come last.
        """
        found = self._found(wanted).subquery()
        statement = select(found).order_by(found.c.size.desc(), found.c.key).limit(limit)
        if after is not None:
            size, key = after
            statement = statement.where(
                or_(found.c.size < size, and_(found.c.size == size, found.c.key > key))
            )
        rows = (await self._session.execute(statement)).all()
        items = await self._items(rows)
        places = [(row.size, row.key) for row in rows]
        return list(zip(places, items, strict=True)), rows[0].total if rows else 0

    async def named(self, wanted: ExampleFilter, keys: Sequence[str]) -> list[ComparedExample]:
        """Return those examples of the filter that have one of a few keys, by key.

        The filter's direction is not looked at, since there the scores are not those stored.
        """
        statement = self._in_both(wanted).where(Example.key.in_(keys)).order_by(Example.key)
        return await self._items((await self._session.execute(statement)).all())

    async def one(self, example_id: UUID) -> ComparedExample | None:
        """Return one example; None if either run has no outcome for it."""
        statement = self._in_both(ExampleFilter()).where(Example.id == example_id)
        items = await self._items((await self._session.execute(statement)).all())
        return items[0] if items else None

    async def texts(self, example_id: UUID) -> ExampleTexts:
        """Return an example that is there, with its texts."""
        statement = (
            select(Example.key, Content.body)
            .join(Content, Content.id == Example.content_id)
            .where(Example.id == example_id)
        )
        key, body = (await self._session.execute(statement)).one()
        return ExampleTexts(key, {} if body is None else decode_body(body))

    async def answers(self, run_id: UUID, example_id: UUID) -> list[ComparedAnswer]:
        """Return a run's first answers to an example in full, with all scores, by repetition."""
        statement = (
            select(Generation)
            .where(Generation.run_id == run_id, Generation.example_id == example_id)
            .order_by(Generation.repetition)
            .limit(MAX_ANSWERS)
        )
        found = (await self._session.execute(statement)).scalars().all()
        scores = await ScoreRepository(self._session).of_generations([one.id for one in found])
        texts = [one.output_content_id for one in found] + [one.error_content_id for one in found]
        bodies = await ContentRepository(self._session).bodies(
            text for text in texts if text is not None
        )
        return [
            ComparedAnswer.model_validate(
                {
                    "generation_id": one.id,
                    "repetition": one.repetition,
                    "status": one.status,
                    "error_code": one.error_code,
                    "error": one.error_content_id and bodies.get(one.error_content_id),
                    "output": one.output_content_id and bodies.get(one.output_content_id),
                    "cost": one.cost,
                    "latency_ms": one.latency_ms,
                    "scores": scores[one.id],
                }
            )
            for one in found
        ]

    def _found(self, wanted: ExampleFilter) -> Select[*tuple[Any, ...]]:
        """Examples of the filter with the size of their change, and how many these are."""
        both = self._in_both(wanted).subquery()
        size = func.coalesce(func.abs(both.c.change), _NO_PAIR)
        return select(both, size.label("size"), func.count().over().label("total")).where(
            *_in_direction(both, wanted.direction)
        )

    def _in_both(self, wanted: ExampleFilter) -> Select[*tuple[Any, ...]]:
        folded = _folded(self._runs).subquery()
        change = func.round((folded.c.candidate - folded.c.baseline) / _STEP) * _STEP
        statement = (
            select(folded, Example.key, (self._runs.sign * change).label("change"))
            .join(Example, Example.id == folded.c.example_id)
            .where(folded.c.baseline_cells > 0, folded.c.candidate_cells > 0)
        )
        if wanted.search:
            statement = statement.where(Example.key.icontains(wanted.search, autoescape=True))
        if wanted.column is not None:
            statement = statement.join(Content, Content.id == Example.content_id).where(
                self._in_slice(wanted.column, wanted.value or "")
            )
        return statement

    def _in_slice(self, column: str, value: str) -> ColumnElement[bool]:
        """Whether an example's metadata have a value in a column, written as slices write it."""
        if self._session.get_bind().dialect.name == "postgresql":
            found = cast(Content.body, JSON)[("metadata", column)].as_string()
            return func.substr(found, 1, _SLICE_VALUE_LENGTH) == value
        entries = func.json_each(Content.body, "$.metadata").table_valued("key", "atom", "type")
        text = case(
            (entries.c.type.in_(("true", "false")), entries.c.type),
            else_=func.substr(cast(entries.c.atom, String), 1, _SLICE_VALUE_LENGTH),
        )
        return (
            select(literal(1))
            .select_from(entries)
            .where(entries.c.key == column, text == value)
            .exists()
        )

    async def _items(self, rows: Sequence[Any]) -> list[ComparedExample]:
        ids = [row.example_id for row in rows]
        statuses = await self._statuses(ids)
        generations = await self._generations(ids)

        def side(row: Any, run_id: UUID, name: str) -> ComparedSide:
            cell = (row.example_id, run_id)
            return ComparedSide(
                mean=getattr(row, name),
                cells=getattr(row, f"{name}_cells"),
                scored=getattr(row, f"{name}_scored"),
                statuses=statuses[cell],
                generation_ids=generations.get(cell, []),
            )

        return [
            ComparedExample(
                example_id=row.example_id,
                key=row.key,
                change=row.change,
                baseline=side(row, self._runs.baseline, "baseline"),
                candidate=side(row, self._runs.candidate, "candidate"),
            )
            for row in rows
        ]

    async def _statuses(self, ids: Sequence[UUID]) -> dict[tuple[UUID, UUID], dict[str, int]]:
        """Count each run's cells of some examples by status, by (example, run)."""
        status = case(
            (Generation.status != "completed", Generation.status),
            else_=func.coalesce(_of_score(self._runs, Score.status), "missing"),
        )
        cells = (
            select(Generation.example_id, Generation.run_id, status.label("status"))
            .where(
                Generation.run_id.in_((self._runs.baseline, self._runs.candidate)),
                Generation.example_id.in_(ids),
            )
            .subquery()
        )
        statement = select(cells, func.count()).group_by(*cells.c).order_by(*cells.c)
        found: dict[tuple[UUID, UUID], dict[str, int]] = {}
        for example, run, name, count in await self._session.execute(statement):
            found.setdefault((example, run), {})[name] = count
        return found

    async def _generations(self, ids: Sequence[UUID]) -> dict[tuple[UUID, UUID], list[UUID]]:
        """Return the first generations of some examples, by (example, run)."""
        place = (Generation.run_id, Generation.example_id, Generation.repetition)
        statement = (
            select(*place[:2], Generation.id)
            .where(
                Generation.run_id.in_((self._runs.baseline, self._runs.candidate)),
                Generation.example_id.in_(ids),
                Generation.repetition < NAMED_GENERATIONS,
            )
            .order_by(*place)
        )
        found: dict[tuple[UUID, UUID], list[UUID]] = {}
        for run, example, generation in await self._session.execute(statement):
            found.setdefault((example, run), []).append(generation)
        return found


def _of_score(runs: ComparedRuns, column: InstrumentedAttribute[Any]) -> ScalarSelect[Any]:
    """A column of a generation's score, looked up by itself: joined, PostgreSQL would read all
    scores that this scorer ever gave rather than those of two runs."""
    return (
        select(column)
        .where(
            Score.generation_id == Generation.id,
            Score.scorer_id == runs.scorer,
            Score.repeat == 0,
        )
        .scalar_subquery()
    )


def _folded(runs: ComparedRuns) -> Select[*tuple[Any, ...]]:
    """One row an example: for each side the mean of its scores, scored cells, and cells."""
    cells = (
        select(
            Generation.example_id, Generation.run_id, _of_score(runs, Score.value).label("value")
        )
        .where(Generation.run_id.in_((runs.baseline, runs.candidate)))
        .cte("cells")
        .prefix_with("MATERIALIZED")  # else the score is looked up wherever `value` is used
    )
    columns: list[ColumnElement[Any]] = []
    for name, run_id in (("baseline", runs.baseline), ("candidate", runs.candidate)):
        is_side = cells.c.run_id == run_id
        columns += [
            func.avg(case((is_side, cells.c.value))).label(name),
            func.count(case((is_side, cells.c.value))).label(f"{name}_scored"),
            func.count(case((is_side, 1))).label(f"{name}_cells"),
        ]
    return select(cells.c.example_id, *columns).group_by(cells.c.example_id)


def _in_direction(both: FromClause, direction: Direction) -> list[ColumnElement[bool]]:
    match direction:
        case "better":
            return [both.c.change > 0]
        case "worse":
            return [both.c.change < 0]
        case "tied":
            return [both.c.change == 0]
        case "error":
            return [
                or_(
                    both.c.baseline_scored < both.c.baseline_cells,
                    both.c.candidate_scored < both.c.candidate_cells,
                )
            ]
        case "all":
            return []
