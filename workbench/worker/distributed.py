"""PostgreSQL: any number of workers on any number of machines, to which PGQueuer delivers jobs.

A worker that is silent for `take_over` is taken for dead and its jobs are delivered to others. An
entry whose job failed by an error that nobody expected is held for the operator (`pgqueuer failed`)
and not deleted. PGQueuer ends when its connections break: it is started again, ever more slowly.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import UUID

import asyncpg
from pgqueuer import PgQueuer, RetryRequested
from pgqueuer.errors import PgqException
from pgqueuer.models import Job

from app.core.errors import Unavailable
from app.database import DatabaseError
from app.services.jobs import QUEUE_ENTRY
from workbench.worker.desk import Desk

__all__ = ["run_distributed"]

_BROKEN: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, PgqException)
_SHORTEST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0
_LOOK_S: Final = 5.0
"""How often the queue is looked at when no notification comes."""
_SWEEP_S: Final = 60.0
"""How often jobs are looked for that the queue has lost."""


async def run_distributed(desk: Desk) -> None:
    """Do jobs until the desk drains; while the database is away, wait for it."""
    pause_s = _SHORTEST_PAUSE_S
    while not desk.drain.is_set():
        began = asyncio.get_running_loop().time()
        try:
            await _serve(desk)
        except _BROKEN as error:
            desk.logger.error("queue_broken", exc_info=error)
        lasted_s = asyncio.get_running_loop().time() - began
        pause_s = (
            _SHORTEST_PAUSE_S if lasted_s > _LONGEST_PAUSE_S else min(2 * pause_s, _LONGEST_PAUSE_S)
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await desk.drain.wait()


async def _serve(desk: Desk) -> None:
    """Do jobs until the desk drains or the queue breaks."""
    address = desk.services.settings.database_url.replace("+asyncpg", "", 1)
    async with asyncpg.create_pool(address, min_size=1, max_size=4) as pool:
        queue = PgQueuer.from_asyncpg_pool(pool)

        @queue.entrypoint(QUEUE_ENTRY, on_failure="hold")
        async def do(job: Job) -> None:
            delay_s = await desk.do(UUID((job.payload or b"").decode()))
            if delay_s is not None:
                raise RetryRequested(timedelta(seconds=delay_s))

        attending = asyncio.create_task(_attend(desk, queue.shutdown))
        try:
            await queue.qm.run(
                dequeue_timeout=timedelta(seconds=_LOOK_S),
                batch_size=1,
                max_concurrent_tasks=max(2, desk.options.jobs),
                shutdown_on_listener_failure=True,
                heartbeat_timeout=desk.options.take_over,
            )
        finally:
            attending.cancel()
            with suppress(asyncio.CancelledError):
                await attending


async def _attend(desk: Desk, shutdown: asyncio.Event) -> None:
    """Hand over jobs that the queue has lost, now and then, until the desk drains."""
    while not desk.drain.is_set():
        try:
            await desk.services.jobs.enqueue_unfinished(desk.actor)
        except (DatabaseError, Unavailable, OSError) as error:
            desk.logger.error("jobs_not_enqueued", exc_info=error)
        with suppress(TimeoutError):
            async with asyncio.timeout(_SWEEP_S):
                await desk.drain.wait()
    shutdown.set()
