"""Statements on `gate_decision`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, insert, or_, select
from sqlalchemy.orm import aliased

from app.database import AsyncSession
from app.models import (
    Dataset,
    DatasetVersion,
    Example,
    Experiment,
    GateDecision,
    Generation,
    Run,
)
from app.repositories.counting import count_up_to
from app.repositories.prefixes import below
from app.schemas.gates import GateDecisionView

__all__ = ["GateRepository"]


class GateRepository:
    """Stored gate decisions; none is ever changed."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, values: Mapping[str, Any]) -> None:
        """Insert one decision."""
        await self._session.execute(insert(GateDecision), [dict(values)])

    async def newest(
        self, *, experiment_id: UUID | None = None, limit: int
    ) -> Sequence[GateDecisionView]:
        """Return decisions, of one experiment or of all, newest first."""
        statement = _newest_first().limit(limit)
        if experiment_id is not None:
            statement = statement.where(GateDecision.experiment_id == experiment_id)
        return await self._views(statement)

    async def page(
        self,
        prefixes: Sequence[str] | None,
        *,
        experiment: int | None,
        before: UUID | None,
        limit: int,
    ) -> tuple[Sequence[GateDecisionView], int]:
        """Return decisions over datasets below the prefixes, newest first, and how many there
        are."""
        wanted = _seen(prefixes)
        if experiment is not None:
            wanted = wanted.where(Experiment.number == experiment)
        statement = wanted.order_by(GateDecision.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(GateDecision.id < before)
        total = await count_up_to(self._session, wanted.with_only_columns(GateDecision.id))
        return await self._views(statement), total

    async def seen(
        self, decision_id: UUID, prefixes: Sequence[str] | None
    ) -> GateDecisionView | None:
        """Return one decision over a dataset below the prefixes."""
        found = await self._views(_seen(prefixes).where(GateDecision.id == decision_id))
        return found[0] if found else None

    async def by_hash_prefix(self, prefix: str, *, limit: int) -> Sequence[GateDecisionView]:
        """Return decisions whose evidence hash begins so, newest first."""
        begins_so = GateDecision.evidence_hash.startswith(prefix, autoescape=True)
        return await self._views(_newest_first().where(begins_so).limit(limit))

    async def whole_runs(
        self, variant_id: UUID, dataset_version_id: UUID, *, repetitions: int, examples: int | None
    ) -> Sequence[str]:
        """Return names of completed runs of a variant over a dataset version, newest first.

        Only runs with at least as many repetitions and examples (None: all of them) count, and
        none that a sequential plan may have stopped before the end.
        """
        whole = Experiment.example_limit.is_(None)
        covers = whole if examples is None else or_(whole, Experiment.example_limit >= examples)
        statement = (
            select(Run.name, Experiment.plan)
            .join(Experiment, Experiment.id == Run.experiment_id)
            .where(
                Run.variant_id == variant_id,
                Run.dataset_version_id == dataset_version_id,
                Experiment.status == "completed",
                Experiment.repetitions >= repetitions,
                covers,
            )
            .order_by(Run.created_at.desc(), Run.id.desc())
        )
        rows = await self._session.execute(statement)
        return [name for name, plan in rows if plan.get("mode") != "sequential"]

    async def oldest_reused(self, run_id: UUID) -> datetime | None:
        """Return when the oldest answer that a run uses again was given; None if it has none."""
        original = aliased(Generation)
        statement = (
            select(func.min(original.finished_at))
            .select_from(Generation)
            .join(original, original.id == Generation.reused_from_id)
            .where(Generation.run_id == run_id)
        )
        return (await self._session.execute(statement)).scalar_one()

    async def reused_keys(self, run_id: UUID, *, besides: str) -> Sequence[str]:
        """Return the keys of the examples whose answer was given to another question.

        That is one whose specification has another hash than `besides`.
        """
        original = aliased(Generation)
        statement = (
            select(Example.key)
            .distinct()
            .select_from(Generation)
            .join(Example, Example.id == Generation.example_id)
            .join(original, original.id == Generation.reused_from_id)
            .join(Run, Run.id == original.run_id)
            .join(Experiment, Experiment.id == Run.experiment_id)
            .where(Generation.run_id == run_id, Experiment.spec_hash != besides)
        )
        return (await self._session.execute(statement)).scalars().all()

    async def _views(self, statement: Select[GateDecision]) -> Sequence[GateDecisionView]:
        return [
            GateDecisionView.model_validate(
                {name: getattr(row, name) for name in GateDecisionView.model_fields}
            )
            for row in (await self._session.execute(statement)).scalars()
        ]


def _newest_first() -> Select[GateDecision]:
    return select(GateDecision).order_by(GateDecision.created_at.desc(), GateDecision.id.desc())


def _seen(prefixes: Sequence[str] | None) -> Select[GateDecision]:
    return (
        select(GateDecision)
        .join(Run, Run.id == GateDecision.candidate_run_id)
        .join(DatasetVersion, DatasetVersion.id == Run.dataset_version_id)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .outerjoin(Experiment, Experiment.id == GateDecision.experiment_id)
        .where(below(Dataset.name, prefixes))
    )
