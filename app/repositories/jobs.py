"""Statements on `job`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, insert, or_, select, update

from app.database import AsyncSession
from app.models import Dataset, DatasetVersion, Experiment, Job, Run
from app.repositories.counting import count_up_to
from app.repositories.prefixes import below
from app.schemas.jobs import UNFINISHED, JobView

__all__ = ["JobRepository"]

_DATASET: Final = func.coalesce(Dataset.name, Job.request["dataset"].as_string())
"""The dataset that a job is about: its experiment's, or the one that was asked for."""


class JobRepository:
    """Work that was asked of a worker, and what processes did without being asked."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, values: Mapping[str, Any]) -> None:
        """Insert one job."""
        await self._session.execute(insert(Job), [dict(values)])

    async def change(self, job_id: UUID, **values: Any) -> None:
        """Set columns of one job."""
        await self._session.execute(update(Job).where(Job.id == job_id).values(**values))

    async def get(self, job_id: UUID) -> JobView | None:
        row = (await self._session.execute(_jobs().where(Job.id == job_id))).one_or_none()
        return None if row is None else _view(row)

    async def seen(
        self, job_id: UUID, *, owner: str | None, prefixes: Sequence[str] | None
    ) -> JobView | None:
        """Return a job that belongs to a dataset below a prefix, or that the owner asked for."""
        statement = _jobs().where(Job.id == job_id, _visible(owner, prefixes))
        row = (await self._session.execute(statement)).one_or_none()
        return None if row is None else _view(row)

    async def page(
        self,
        *,
        owner: str | None,
        prefixes: Sequence[str] | None,
        statuses: Collection[str] = (),
        experiment_id: UUID | None = None,
        before: UUID | None,
        limit: int,
    ) -> tuple[Sequence[JobView], int]:
        """Return jobs as `seen` shows them, newest first, from `before` on, and about how many."""
        conditions = [_visible(owner, prefixes)]
        if statuses:
            conditions.append(Job.status.in_(statuses))
        if experiment_id is not None:
            conditions.append(Job.experiment_id == experiment_id)
        total = await count_up_to(self._session, _joined(select(Job.id)).where(*conditions))
        statement = _jobs().where(*conditions).order_by(Job.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(Job.id < before)
        return [_view(row) for row in await self._session.execute(statement)], total

    async def of_experiment(self, experiment_id: UUID) -> Sequence[JobView]:
        """Return the jobs of an experiment, oldest first."""
        statement = _jobs().where(Job.experiment_id == experiment_id).order_by(Job.id)
        return [_view(row) for row in await self._session.execute(statement)]

    async def unfinished(self) -> Sequence[UUID]:
        """Return the jobs that were asked for and have not ended, oldest first."""
        statement = (
            select(Job.id)
            .where(Job.status.in_(UNFINISHED), Job.request.is_not(None))
            .order_by(Job.id)
        )
        return (await self._session.execute(statement)).scalars().all()

    async def unfinished_by_status(self) -> Mapping[str, int]:
        """Return how many jobs stand in each status that is not an end."""
        statement = (
            select(Job.status, func.count()).where(Job.status.in_(UNFINISHED)).group_by(Job.status)
        )
        return {row[0]: row[1] for row in await self._session.execute(statement)}

    async def lock(self, job_id: UUID) -> None:
        """Make a job's row ours until commit; what is read of it from now on stays true."""
        await self._session.execute(select(Job.id).where(Job.id == job_id).with_for_update())

    async def taken_request(self, job_id: UUID) -> tuple[JobView, Mapping[str, Any]] | None:
        """Return a job that was asked for with its whole request; its row is ours until commit."""
        await self.lock(job_id)
        statement = _jobs().where(Job.id == job_id, Job.request.is_not(None))
        row = (await self._session.execute(statement)).one_or_none()
        return None if row is None else (_view(row), row[0].request)

    async def dataset(self, job_id: UUID) -> str | None:
        """Return the name of the dataset that a job is about; None if it is about no single one."""
        statement = _joined(select(_DATASET).select_from(Job)).where(Job.id == job_id)
        return (await self._session.execute(statement)).scalar_one_or_none()

    async def stop_asked(self, job_id: UUID) -> bool:
        """Whether somebody asked that the job stop."""
        statement = select(Job.stop_asked_at).where(Job.id == job_id)
        return (await self._session.execute(statement)).scalar_one_or_none() is not None

    async def datasets_of_runs(self, run_ids: Collection[UUID]) -> Mapping[UUID, str]:
        """Return the dataset's name of each of the runs that are there."""
        statement = (
            select(Run.id, Dataset.name)
            .join(DatasetVersion, DatasetVersion.id == Run.dataset_version_id)
            .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
            .where(Run.id.in_(run_ids))
        )
        return {row[0]: row[1] for row in await self._session.execute(statement)}


def _joined(statement: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    return (
        statement.outerjoin(Experiment, Experiment.id == Job.experiment_id)
        .outerjoin(DatasetVersion, DatasetVersion.id == Experiment.dataset_version_id)
        .outerjoin(Dataset, Dataset.id == DatasetVersion.dataset_id)
    )


def _jobs() -> Select[*tuple[Any, ...]]:
    return _joined(select(Job, Experiment.number))


def _visible(owner: str | None, prefixes: Sequence[str] | None) -> ColumnElement[bool]:
    on_seen = below(_DATASET, prefixes)
    return on_seen if owner is None else or_(on_seen, Job.actor == owner)


def _view(row: Any) -> JobView:
    job: Job = row[0]
    return JobView(
        id=job.id,
        kind=job.kind,
        status=job.status,
        experiment=row[1],
        experiment_id=job.experiment_id,
        actor=job.actor,
        concurrency=job.concurrency,
        queued_at=job.queued_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        stop_asked_at=job.stop_asked_at,
        asked=None if job.request is None else job.request["asked"],
        detail=job.detail,
    )
