"""Statements on what workers have to do."""

from __future__ import annotations

from sqlalchemy import case, func, select

from app.database import AsyncSession
from app.models import Job
from app.schemas.status import QueueStatus

__all__ = ["StatusRepository"]


class StatusRepository:
    """The queue as a whole."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def queue(self) -> QueueStatus:
        """Count the jobs that are not finished, and say since when the first of them waits."""
        is_queued = Job.status == "queued"
        statement = select(
            func.count(case((is_queued, 1))),
            func.count(case((Job.status == "running", 1))),
            func.min(case((is_queued, Job.queued_at))),
            func.max(Job.started_at),
        )
        queued, running, oldest, last = (await self._session.execute(statement)).one()
        return QueueStatus(
            queued=queued, running=running, oldest_queued_at=oldest, last_started_at=last
        )
