"""Statements on `comparison`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, insert, select

from app.database import AsyncSession
from app.models import Comparison, Dataset, DatasetVersion, Experiment, Run
from app.repositories.counting import count_up_to
from app.repositories.prefixes import below
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
        return [_view(row) for row in (await self._session.execute(statement)).scalars()]

    async def page(
        self,
        prefixes: Sequence[str] | None,
        *,
        experiment: int | None,
        run_id: UUID | None,
        scorer_id: UUID | None,
        before: UUID | None,
        limit: int,
    ) -> tuple[list[ComparisonView], int]:
        """Return analyses over datasets below the prefixes, newest first, and how many there are.

        `run_id` is the candidate or the baseline, `experiment` the candidate's.
        """
        wanted = _seen(prefixes)
        if experiment is not None:
            wanted = wanted.where(Experiment.number == experiment)
        if run_id is not None:
            wanted = wanted.where(
                (Comparison.candidate_run_id == run_id) | (Comparison.baseline_run_id == run_id)
            )
        if scorer_id is not None:
            wanted = wanted.where(Comparison.scorer_id == scorer_id)
        statement = wanted.order_by(Comparison.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(Comparison.id < before)
        found = (await self._session.execute(statement)).scalars()
        total = await count_up_to(self._session, wanted.with_only_columns(Comparison.id))
        return [_view(row) for row in found], total

    async def seen(
        self, comparison_id: UUID, prefixes: Sequence[str] | None
    ) -> ComparisonView | None:
        """Return one analysis over a dataset below the prefixes."""
        statement = _seen(prefixes).where(Comparison.id == comparison_id)
        row = (await self._session.execute(statement)).scalar_one_or_none()
        return None if row is None else _view(row)


def _seen(prefixes: Sequence[str] | None) -> Select[Comparison]:
    return (
        select(Comparison)
        .join(Run, Run.id == Comparison.candidate_run_id)
        .join(DatasetVersion, DatasetVersion.id == Run.dataset_version_id)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .outerjoin(Experiment, Experiment.id == Run.experiment_id)
        .where(below(Dataset.name, prefixes))
    )


def _view(row: Comparison) -> ComparisonView:
    return ComparisonView.model_validate(
        {name: getattr(row, name) for name in ComparisonView.model_fields}
    )
