"""SQLite: exactly one worker of a workspace, guarded by a lock file.

It reads the jobs themselves. A job that is marked as running while this worker holds the lock was
cut by the end of the one before, so everything unfinished is taken up, oldest first.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final
from uuid import UUID

from app.core.errors import Conflict, Unavailable
from app.database import DatabaseError
from workbench.runner.generation.lock import lock_file
from workbench.worker.desk import Desk, JobFailed

__all__ = ["WorkerBusy", "run_embedded"]

_POLL_S: Final = 0.5


class WorkerBusy(Conflict):
    """The workspace's one worker is at work in another process."""

    code = "worker_busy"


async def run_embedded(desk: Desk) -> None:
    """Do the workspace's jobs until the desk drains; `WorkerBusy` if another worker does."""
    held = lock_file(desk.services.settings.workspace / ".workbench" / "worker.lock")
    if held is None:
        raise WorkerBusy(
            "A worker is at work in this workspace already, and with SQLite there is one only.",
            hint="It does all jobs. For several workers, use PostgreSQL.",
        )
    with held:
        await _Rounds(desk).run()


class _Rounds:
    """Look for unfinished jobs, again and again; some are done at once."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._under_way: dict[UUID, asyncio.Task[None]] = {}
        self._not_before: dict[UUID, float] = {}  # on the loop's clock

    async def run(self) -> None:
        drain = asyncio.create_task(self._desk.drain.wait())
        try:
            while not self._desk.drain.is_set():
                await self._begin_jobs()
                await asyncio.wait(
                    {drain, *self._under_way.values()},
                    timeout=_POLL_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )
        finally:
            drain.cancel()
            if self._under_way:
                await asyncio.wait(self._under_way.values())

    async def _begin_jobs(self) -> None:
        """Take up what waits, as far as there is room."""
        if len(self._under_way) >= self._desk.options.jobs:
            return
        try:
            unfinished = await self._desk.services.jobs.unfinished()
        except (DatabaseError, Unavailable, OSError) as error:
            self._desk.logger.error("jobs_not_read", exc_info=error)
            return
        now = asyncio.get_running_loop().time()
        for job_id in unfinished:
            if len(self._under_way) >= self._desk.options.jobs:
                return
            if job_id not in self._under_way and self._not_before.get(job_id, 0.0) <= now:
                self._under_way[job_id] = asyncio.create_task(self._do(job_id))

    async def _do(self, job_id: UUID) -> None:
        delay_s: float | None = None
        try:
            with suppress(JobFailed):  # its row and the log say so
                delay_s = await self._desk.do(job_id)
        finally:
            del self._under_way[job_id]
        self._not_before.pop(job_id, None)
        if delay_s:
            self._not_before[job_id] = asyncio.get_running_loop().time() + delay_s
