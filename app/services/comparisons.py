"""Comparisons are computed by the tools and stored here, with the hash of their input."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from app.core.clock import Clock
from app.core.ids import new_id
from app.core.permissions import Actor, Permission, require
from app.database import Database
from app.repositories.comparisons import ComparisonRepository
from app.schemas.comparisons import ComparisonView, NewComparison

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
