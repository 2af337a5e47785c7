"""Comparisons are computed by the tools and stored here, with the hash of their input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import NotFound
from app.core.ids import new_id
from app.core.permissions import Actor, Permission, require
from app.database import AsyncSession, Database
from app.repositories.compared_examples import ComparedExampleRepository, ComparedRuns, Place
from app.repositories.comparisons import ComparisonRepository
from app.repositories.experiments import ExperimentRepository
from app.schemas.comparisons import (
    ComparedAnswers,
    ComparedExample,
    ComparedExampleDetail,
    ComparedSide,
    ComparisonView,
    ExampleFilter,
    NewComparison,
)
from app.schemas.pages import Page, decode_cursor, decode_id, page_of

__all__ = ["ComparisonService"]


class ComparisonService:
    """Use cases of stored analyses."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def record(self, actor: Actor, comparison: NewComparison) -> ComparisonView:
        """Store one analysis."""
        require(actor, Permission.SCORE_WRITE)
        values = {
            **comparison.model_dump(),
            "id": new_id(),
            "created_at": self._clock.now(),
            "created_by": str(actor),
        }
        async with self._database.write_session() as session:
            await ComparisonRepository(session).add(values)
            await session.commit()
        return ComparisonView.model_validate(values)

    async def of_runs(self, run_ids: Sequence[UUID]) -> list[ComparisonView]:
        """Return the analyses whose candidate is one of these runs, newest first."""
        async with self._database.read_session() as session:
            return await ComparisonRepository(session).of_runs(run_ids)

    async def page(
        self,
        actor: Actor,
        *,
        experiment: int | None = None,
        run_id: UUID | None = None,
        scorer_id: UUID | None = None,
        cursor: str | None,
        limit: int,
    ) -> Page[ComparisonView]:
        """Return the analyses that the actor may read, newest first; of one experiment, with one
        run on either side, or under one scorer."""
        async with self._database.read_session() as session:
            found, total = await ComparisonRepository(session).page(
                actor.prefixes(Permission.EXPERIMENT_READ),
                experiment=experiment,
                run_id=run_id,
                scorer_id=scorer_id,
                before=None if cursor is None else decode_id(cursor),
                limit=limit + 1,
            )
        return page_of(found, limit=limit, total=total, position=lambda found: (str(found.id),))

    async def read(self, actor: Actor, comparison_id: UUID) -> ComparisonView:
        """Return one analysis; `NotFound` for one that the actor may not read."""
        async with self._database.read_session() as session:
            return await _seen(session, actor, comparison_id)

    async def examples(
        self,
        actor: Actor,
        comparison_id: UUID,
        wanted: ExampleFilter,
        *,
        cursor: str | None,
        limit: int,
    ) -> Page[ComparedExample]:
        """Return the examples of an analysis, the largest change first; `NotFound` as in `read`.

        Scores are those stored now, also if they came in after the analysis. Of a judge of pairs,
        who scores no answer alone, the examples are those that the stored result names as changed.
        """
        after: Place | None = None
        if cursor is not None:
            after = cast("Place", decode_cursor(cursor, float, str))
        async with self._database.read_session() as session:
            comparison = await _seen(session, actor, comparison_id)
            examples = ComparedExampleRepository(session, _compared(comparison))
            if comparison.result.get("preference") is None:
                found, total = await examples.page(wanted, after=after, limit=limit + 1)
            else:
                flips = {str(flip["key"]): flip for flip in comparison.result["flips"]}
                named = await examples.named(wanted, list(flips))
                placed = _preferred(named, flips, wanted)
                rest = [one for one in placed if after is None or _behind(one[0], after)]
                found, total = rest[: limit + 1], len(placed)
        page = page_of(found, limit=limit, total=total, position=lambda one: one[0])
        return Page(
            items=[example for _, example in page.items],
            next_cursor=page.next_cursor,
            total_estimate=page.total_estimate,
        )

    async def example(
        self, actor: Actor, comparison_id: UUID, example_id: UUID
    ) -> ComparedExampleDetail:
        """Return one example with both runs' answers in full.

        Raises `NotFound` as in `read`, and for an example that a run has no outcome for.
        """
        async with self._database.read_session() as session:
            comparison = await _seen(session, actor, comparison_id)
            examples = ComparedExampleRepository(session, _compared(comparison))
            found = await examples.one(example_id)
            if found is None:
                raise NotFound(f"Comparison {comparison_id} has no example {example_id}.")
            found = _as_stored(found, comparison.result)
            texts = await examples.texts(example_id)
            sides = [
                await _answers(session, examples, run_id, example_id, side)
                for run_id, side in (
                    (comparison.baseline_run_id, found.baseline),
                    (comparison.candidate_run_id, found.candidate),
                )
            ]
        return ComparedExampleDetail(
            example_id=example_id,
            key=found.key,
            change=found.change,
            input=texts.body.get("input"),
            messages=texts.body.get("messages"),
            expected_output=texts.body.get("expected_output"),
            metadata=texts.body.get("metadata") or {},
            baseline=sides[0],
            candidate=sides[1],
        )


async def _seen(session: AsyncSession, actor: Actor, comparison_id: UUID) -> ComparisonView:
    found = await ComparisonRepository(session).seen(
        comparison_id, actor.prefixes(Permission.EXPERIMENT_READ)
    )
    if found is None:
        raise NotFound(f"There is no comparison {comparison_id}.")
    return found


def _compared(comparison: ComparisonView) -> ComparedRuns:
    return ComparedRuns(
        baseline=comparison.baseline_run_id,
        candidate=comparison.candidate_run_id,
        scorer=comparison.scorer_id,
        sign=-1 if comparison.result.get("direction") == "lower" else 1,
    )


async def _answers(
    session: AsyncSession,
    examples: ComparedExampleRepository,
    run_id: UUID,
    example_id: UUID,
    side: ComparedSide,
) -> ComparedAnswers:
    run = await ExperimentRepository(session).run_by_id(run_id)
    if run is None:
        raise NotFound(f"There is no run {run_id}.")
    return ComparedAnswers(
        run_id=run_id,
        run=run.name,
        mean=side.mean,
        cells=side.cells,
        scored=side.scored,
        answers=await examples.answers(run_id, example_id),
    )


def _as_stored(example: ComparedExample, result: Mapping[str, Any]) -> ComparedExample:
    """Return an example with the means that a judge of pairs gave it, if it was one who judged."""
    if result.get("preference") is None:
        return example
    flip = next((flip for flip in result["flips"] if flip["key"] == example.key), None)
    return example if flip is None else _with_flip(example, flip)


def _with_flip(example: ComparedExample, flip: Mapping[str, Any]) -> ComparedExample:
    sides = {
        name: getattr(example, name).model_copy(update={"mean": flip[name]})
        for name in ("baseline", "candidate")
    }
    return example.model_copy(update={"change": flip["change"], **sides})


def _preferred(
    examples: Sequence[ComparedExample],
    flips: Mapping[str, Mapping[str, Any]],
    wanted: ExampleFilter,
) -> list[tuple[Place, ComparedExample]]:
    """Return the examples of one direction with their places, the largest change first."""
    told = [_with_flip(example, flips[example.key]) for example in examples]
    signs = {"better": (1,), "worse": (-1,), "all": (1, -1)}.get(wanted.direction, ())
    placed = [
        ((abs(one.change), one.key), one)
        for one in told
        if one.change is not None and (1 if one.change > 0 else -1) in signs
    ]
    return sorted(placed, key=lambda item: (-item[0][0], item[0][1]))


def _behind(place: Place, other: Place) -> bool:
    return (-place[0], place[1]) > (-other[0], other[1])
