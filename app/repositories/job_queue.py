"""The queue of a PostgreSQL database: jobs reach its workers by PGQueuer.

An entry is written in the transaction of its job, so that there is neither without the other. It
holds the job's id and nothing else: all that matters stands in `job` and in the stored outcomes.
"""

from __future__ import annotations

from types import ModuleType
from typing import Final
from uuid import UUID

from app.core.errors import ConfigurationError
from app.database import AsyncSession

__all__ = ["QUEUE_ENTRY", "JobQueue", "load_queue"]

QUEUE_ENTRY: Final = "job"
"""The one kind of entry: which work it is, the job itself says."""


def load_queue() -> ModuleType:
    """Import PGQueuer; slow the first time. Raises `ConfigurationError` if it is not installed."""
    try:
        import pgqueuer
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "Jobs on PostgreSQL need PGQueuer: install prompt-workbench[distributed]."
        ) from error
    return pgqueuer


class JobQueue:
    """Entries for jobs; on SQLite there are none, as its one worker reads the jobs themselves."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def enqueue(self, job_id: UUID) -> None:
        """Hand a job to the workers once this transaction commits, unless they have it already.

        An entry that is held after an error does not count: the job is delivered again.
        """
        connection = await self._session.connection()
        if connection.dialect.name != "postgresql":
            return
        pgqueuer = load_queue()
        raw = (await connection.get_raw_connection()).driver_connection
        queries = pgqueuer.Queries(pgqueuer.AsyncpgDriver(raw))
        await queries.enqueue(
            QUEUE_ENTRY, str(job_id).encode(), dedupe_key=str(job_id), on_conflict="skip"
        )
