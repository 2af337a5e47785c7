"""Outcomes in, stories out.

`record` is what the runner's group commit calls: one transaction for a batch. A failed
write raises and stops the run; nothing is counted as done before its commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import NotFound
from app.core.permissions import Actor, Permission, require
from app.database import Database
from app.repositories.answers import AnswerRepository
from app.repositories.generations import GenerationRepository
from app.schemas.generations import (
    AttemptOutcome,
    AttemptView,
    CellValue,
    GenerationView,
    Outcome,
    ReuseTotals,
    RunTotals,
    StoredAnswer,
)

__all__ = ["GenerationService"]


class GenerationService:
    """Use cases of stored answers."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def record(
        self, actor: Actor, outcomes: Sequence[Outcome], attempts: Sequence[AttemptOutcome]
    ) -> None:
        """Store a batch of outcomes and ended calls in one transaction."""
        require(actor, Permission.EXPERIMENT_RUN)
        async with self._database.write_session() as session:
            await GenerationRepository(session).add_outcomes(outcomes, attempts, self._clock.now())
            await session.commit()

    async def statuses(self, ids: Sequence[UUID]) -> dict[UUID, tuple[str, str | None]]:
        """Return (status, error code) of those generations that have an outcome."""
        async with self._database.read_session() as session:
            return await GenerationRepository(session).statuses(ids)

    async def totals(self, run_ids: Sequence[UUID]) -> dict[UUID, RunTotals]:
        """Return the sums over each run's outcomes."""
        async with self._database.read_session() as session:
            return await GenerationRepository(session).totals(run_ids)

    async def attempt_count(self, run_ids: Sequence[UUID]) -> int:
        """Return how many ended calls are on the ledger for these runs."""
        async with self._database.read_session() as session:
            return await GenerationRepository(session).attempt_count(run_ids)

    async def reported(self, run_id: UUID) -> list[tuple[str | None, str | None, int]]:
        """Return what the provider called the model in this run: (name, fingerprint, count)."""
        async with self._database.read_session() as session:
            return await GenerationRepository(session).reported(run_id)

    async def stories(
        self,
        run_id: UUID,
        *,
        key: str | None = None,
        statuses: Sequence[str] = (),
        after: tuple[str, int] | None = None,
        limit: int = 20,
    ) -> list[GenerationView]:
        """Return whole generations of a run, by key and repetition, from `after` on."""
        async with self._database.read_session() as session:
            return await GenerationRepository(session).stories(
                run_id, key=key, statuses=statuses, after=after, limit=limit
            )

    async def attempts(self, generation_ids: Sequence[UUID]) -> dict[UUID, list[AttemptView]]:
        """Return every ended call made for each of up to a thousand generations."""
        async with self._database.read_session() as session:
            return await GenerationRepository(session).attempts(generation_ids)

    async def answers_of_cells(self, ids: Sequence[UUID]) -> dict[UUID, StoredAnswer]:
        """Return the answers of those of the generations that a model answered, by their ids."""
        async with self._database.read_session() as session:
            return await AnswerRepository(session).of_cells(ids)

    async def answers_to_requests(
        self, hashes: Sequence[str], *, besides: Sequence[UUID]
    ) -> dict[str, StoredAnswer]:
        """Return the newest answer to each request, by its hash, given outside some runs."""
        async with self._database.read_session() as session:
            return await AnswerRepository(session).to_requests(hashes, besides=besides)

    async def cell_values(self, ids: Sequence[UUID], scorer_id: UUID) -> dict[UUID, CellValue]:
        """Return how those of the cells ended that have an outcome, with their scores."""
        async with self._database.read_session() as session:
            return await AnswerRepository(session).values(ids, scorer_id)

    async def of_cell(self, run_id: UUID, key: str, repetition: int) -> GenerationView | None:
        """Return the generation of one cell of a run, if it has one."""
        async with self._database.read_session() as session:
            found = await AnswerRepository(session).locate(run_id, key, repetition)
            return None if found is None else await GenerationRepository(session).story(found)

    async def by_id(self, generation_id: UUID) -> GenerationView:
        """Return one whole generation; `NotFound` if there is none."""
        async with self._database.read_session() as session:
            found = await GenerationRepository(session).story(generation_id)
        if found is None:
            raise NotFound(f"There is no generation {generation_id}.")
        return found

    async def reuse_totals(self) -> ReuseTotals:
        """Return what could be used again and what was, over all runs."""
        async with self._database.read_session() as session:
            return await AnswerRepository(session).reuse_totals()
