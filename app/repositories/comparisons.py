"""Statements on `comparison`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select

from app.database import AsyncSession
from app.models import Comparison
from app.schemas.comparisons import ComparisonView

__all__ = ["ComparisonRepository"]


class ComparisonRepository:
    """Stored analyses."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, values: Mapping[str, Any]) -> None:
        """Insert one analysis."""
        await self._session.execute(insert(Comparison), [dict(values)])

    async def of_runs(self, run_ids: Sequence[UUID]) -> list[ComparisonView]:
        """Return the analyses whose candidate is one of these runs, newest first."""
        statement = (
            select(Comparison)
            .where(Comparison.candidate_run_id.in_(run_ids))
            .order_by(Comparison.created_at.desc(), Comparison.id.desc())
        )
        return [
            ComparisonView.model_validate(
                {name: getattr(row, name) for name in ComparisonView.model_fields}
            )
            for row in (await self._session.execute(statement)).scalars()
        ]
