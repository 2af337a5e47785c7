"""Scores of stored outputs. Nothing here calls a model, and no scorer runs here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import NotFound
from app.core.hashing import content_hash
from app.core.ids import new_id
from app.core.permissions import Actor, Permission, require
from app.database import AsyncSession, Database
from app.repositories.experiments import ExperimentRepository
from app.repositories.scores import ScoreRepository
from app.schemas.pages import Page, as_id, decode_cursor, page_of
from app.schemas.scores import (
    CellColumns,
    CellScore,
    HumanScore,
    NewScore,
    ScorableGeneration,
    ScoredCell,
    ScorerStanding,
    ScorerView,
    ScoreSummary,
    ScoreView,
)

__all__ = ["ScoreService"]


class ScoreService:
    """Use cases of scorers and scores."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def ensure_scorer(self, actor: Actor, identity: Mapping[str, Any]) -> ScorerView:
        """Return the stored scorer for {name, version, config}, making it on first use."""
        require(actor, Permission.SCORE_WRITE)
        async with self._database.write_session() as session:
            scorer = await ScoreRepository(session).ensure_scorer(
                {
                    "id": new_id(),
                    "name": identity["name"],
                    "version": identity["version"],
                    "config": dict(identity["config"]),
                    "content_hash": content_hash(dict(identity)),
                    "created_at": self._clock.now(),
                    "created_by": str(actor),
                }
            )
            await session.commit()
            return scorer

    async def scorers_of(self, run_id: UUID) -> list[ScorerView]:
        """Return the scorers that have scored a run, in the order of their first use."""
        async with self._database.read_session() as session:
            return await ScoreRepository(session).scorers_of(run_id)

    async def scorers_of_both(self, run_ids: tuple[UUID, UUID]) -> list[ScorerView]:
        """Return the scorers that both runs were scored with, in the order of their first use.

        Looks at a few answers only: cheap for very long runs.
        """
        async with self._database.read_session() as session:
            return await ScoreRepository(session).scorers_of_both(run_ids)

    async def scorable(
        self, run_id: UUID, scorer_id: UUID, *, after: UUID | None = None, limit: int = 1000
    ) -> list[ScorableGeneration]:
        """Return completed outputs that the scorer has not seen yet, a page at a time."""
        async with self._database.read_session() as session:
            return await ScoreRepository(session).scorable(
                run_id, scorer_id, after=after, limit=limit
            )

    async def record(self, actor: Actor, scorer_id: UUID, scores: Sequence[NewScore]) -> None:
        """Store a batch of scores in one transaction."""
        require(actor, Permission.SCORE_WRITE)
        async with self._database.write_session() as session:
            await ScoreRepository(session).add(scorer_id, scores, self._clock.now())
            await session.commit()

    async def cells(self, run_id: UUID, scorer_id: UUID | None) -> list[ScoredCell]:
        """Return every stored cell of a run with its score; without scorer only the facts."""
        async with self._database.read_session() as session:
            return await ScoreRepository(session).cells(run_id, scorer_id)

    async def columns(self, run_id: UUID, scorer_id: UUID) -> CellColumns:
        """Return every stored cell of a run with its score, column by column."""
        async with self._database.read_session() as session:
            return await ScoreRepository(session).columns(run_id, scorer_id)

    async def human_scores(self, run_id: UUID, criterion: str) -> list[HumanScore]:
        """Return what people gave the cells of a run under a criterion, as numbers."""
        async with self._database.read_session() as session:
            return await ScoreRepository(session).human_scores(run_id, criterion)

    async def summary(self, run_id: UUID, scorer_id: UUID) -> ScoreSummary:
        """Return a run's scores under one scorer, summed up by the database."""
        async with self._database.read_session() as session:
            return await ScoreRepository(session).summary(run_id, scorer_id)

    async def of_generations(self, generation_ids: Sequence[UUID]) -> dict[UUID, list[ScoreView]]:
        """Return the scores of each of up to a thousand generations, oldest first."""
        async with self._database.read_session() as session:
            return await ScoreRepository(session).of_generations(generation_ids)

    async def page(
        self,
        actor: Actor,
        run_id: UUID,
        *,
        scorer_id: UUID | None = None,
        cursor: str | None,
        limit: int,
    ) -> Page[CellScore]:
        """Return the scores of a run's cells, by example, repetition and scorer; `NotFound` for a
        run that the actor may not read."""
        after = None if cursor is None else _place(cursor)
        async with self._database.read_session() as session:
            await _require_run(session, actor, run_id)
            found, total = await ScoreRepository(session).page(
                run_id, scorer_id=scorer_id, after=after, limit=limit + 1
            )
        return page_of(
            found,
            limit=limit,
            total=total,
            position=lambda score: (str(score.example_id), score.repetition, str(score.scorer_id)),
        )

    async def standings(self, actor: Actor, run_id: UUID) -> list[ScorerStanding]:
        """Return a run summed up under each scorer that scored it; `NotFound` as in `page`."""
        async with self._database.read_session() as session:
            await _require_run(session, actor, run_id)
            scores = ScoreRepository(session)
            return [
                ScorerStanding(scorer=scorer, summary=await scores.summary(run_id, scorer.id))
                for scorer in await scores.scorers_of(run_id)
            ]


async def _require_run(session: AsyncSession, actor: Actor, run_id: UUID) -> None:
    run = await ExperimentRepository(session).run_by_id(run_id)
    if run is None:
        raise NotFound(f"There is no run {run_id}.")
    require(actor, Permission.EXPERIMENT_READ, run.dataset.partition("@")[0])


def _place(cursor: str) -> tuple[UUID, int, UUID]:
    example, repetition, scorer = decode_cursor(cursor, str, int, str)
    return as_id(example), cast("int", repetition), as_id(scorer)
