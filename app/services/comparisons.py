"""Comparisons are computed by the tools and stored here, with the hash of their input."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import NotFound
from app.core.ids import new_id
from app.core.permissions import Actor, Permission, require
from app.database import Database
from app.repositories.comparisons import ComparisonRepository
from app.schemas.comparisons import ComparisonView, NewComparison
from app.schemas.pages import Page, decode_id, page_of

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
        cursor: str | None,
        limit: int,
    ) -> Page[ComparisonView]:
        """Return the analyses that the actor may read, newest first; of one experiment, or with
        one run on either side."""
        async with self._database.read_session() as session:
            found, total = await ComparisonRepository(session).page(
                actor.prefixes(Permission.EXPERIMENT_READ),
                experiment=experiment,
                run_id=run_id,
                before=None if cursor is None else decode_id(cursor),
                limit=limit + 1,
            )
        return page_of(found, limit=limit, total=total, position=lambda found: (str(found.id),))

    async def read(self, actor: Actor, comparison_id: UUID) -> ComparisonView:
        """Return one analysis; `NotFound` for one that the actor may not read."""
        async with self._database.read_session() as session:
            found = await ComparisonRepository(session).seen(
                comparison_id, actor.prefixes(Permission.EXPERIMENT_READ)
            )
        if found is None:
            raise NotFound(f"There is no comparison {comparison_id}.")
        return found
