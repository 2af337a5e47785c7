"""Judgements: what judges were asked and what they said. Nothing here calls a model."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from app.core.clock import Clock
from app.core.permissions import Actor, Permission, require
from app.database import Database
from app.repositories.generations import GenerationRepository
from app.repositories.judgements import JudgementRepository
from app.repositories.scores import ScoreRepository
from app.schemas.generations import AttemptOutcome, Outcome
from app.schemas.judgements import (
    JudgeablePair,
    JudgeAnswer,
    JudgementView,
    JudgingTotals,
    NewJudgement,
)
from app.schemas.scores import NewScore

__all__ = ["JudgementService"]


class JudgementService:
    """Use cases of judgements."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def record(
        self,
        actor: Actor,
        scorer_id: UUID,
        outcomes: Sequence[Outcome],
        attempts: Sequence[AttemptOutcome],
        judgements: Sequence[NewJudgement],
        scores: Sequence[NewScore],
    ) -> None:
        """Store answers of a judge, what they judged, and the scores that they complete, in one
        transaction: a score is never there without the judgements that it was made of."""
        require(actor, Permission.SCORE_WRITE)
        now = self._clock.now()
        async with self._database.write_session() as session:
            await GenerationRepository(session).add_outcomes(outcomes, attempts, now)
            await JudgementRepository(session).add(judgements, now)
            if scores:
                await ScoreRepository(session).add(scorer_id, scores, now)
            await session.commit()

    async def answers(self, generation_ids: Sequence[UUID]) -> dict[UUID, JudgeAnswer]:
        """Return how those questions to judges ended that have an outcome."""
        async with self._database.read_session() as session:
            return await JudgementRepository(session).answers(generation_ids)

    async def pairs(
        self,
        baseline_run_id: UUID,
        candidate_run_id: UUID,
        *,
        after: tuple[str, int] | None = None,
        limit: int = 500,
    ) -> list[JudgeablePair]:
        """Return the answers of two runs to the same examples, a page at a time from (key,
        repetition) on."""
        async with self._database.read_session() as session:
            return await JudgementRepository(session).pairs(
                baseline_run_id, candidate_run_id, after=after, limit=limit
            )

    async def totals(self, run_ids: Sequence[UUID]) -> dict[UUID, JudgingTotals]:
        """Return what judging the answers of each run has cost so far."""
        async with self._database.read_session() as session:
            return await JudgementRepository(session).totals(run_ids)

    async def of_generations(
        self, generation_ids: Sequence[UUID]
    ) -> dict[UUID, list[JudgementView]]:
        """Return every question in which each of up to a thousand answers was judged."""
        async with self._database.read_session() as session:
            return await JudgementRepository(session).of_generations(generation_ids)
