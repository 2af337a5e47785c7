"""One job, from taking it up to its end: what every engine does with a job that it delivers.

A handler may be asked to stop for two reasons. A person's wish ends the job: what was answered is
scored, what is open stays open. A worker that drains leaves the job for the next one. While a
handler makes calls for cells, those in flight finish; anything else is cancelled, as all of it is
stored step by step and begun again from there.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, NoReturn
from uuid import UUID

from app.bootstrap import Services
from app.core.errors import NotFound, Unavailable, WorkbenchError
from app.core.hashing import JSON
from app.core.logging import Logger
from app.core.permissions import Actor, Permission, system_actor
from app.database import DatabaseError
from app.database.exclusive import exclusive
from app.llm.budget import BudgetReached
from app.llm.errors import LLMError
from app.schemas.jobs import JobStatus
from app.services.jobs import TakenJob
from workbench.runner.generation.lock import ExperimentBusy
from workbench.worker.handlers import Ended, Hand, LeftOpen, handle

__all__ = ["Desk", "JobFailed", "WorkerOptions"]

_WATCH_S: Final = 1.0
_BUSY_S: Final = 15.0
"""After how many seconds a job is tried again that somebody else works on, or its experiment."""
_DOWN: Final = (DatabaseError, Unavailable, OSError)
"""What tells of a database that is away; the job is delivered again."""
_DOWN_S: Final = 5.0
_READING: Final = (
    Permission.DATASET_READ,
    Permission.PROMPT_READ,
    Permission.EXPERIMENT_READ,
    Permission.ALIAS_READ,
)
_TRIES: Final = 3
"""How often a job is tried again that such an error ended although the database answers."""


class JobFailed(Exception):
    """A job ended by an error that nobody expected; the log has it."""


@dataclass(frozen=True)
class WorkerOptions:
    """`jobs` are done at once. `take_over` is how long a worker of a PostgreSQL database may be
    silent before another one takes its jobs over."""

    jobs: int = 4
    take_over: timedelta = timedelta(seconds=30)


@dataclass
class Desk:
    """Where jobs are done. `drain` set: take no further job and leave those at hand."""

    services: Services
    logger: Logger
    options: WorkerOptions = field(default_factory=WorkerOptions)
    actor: Actor = field(default_factory=lambda: system_actor("worker"))
    drain: asyncio.Event = field(default_factory=asyncio.Event)
    _at_hand: set[asyncio.Task[Ended]] = field(default_factory=set)
    _interrupted: Counter[UUID] = field(default_factory=Counter)

    def abort(self) -> None:
        """Leave the jobs at hand without waiting for calls in flight."""
        self.drain.set()
        for task in self._at_hand:
            task.cancel()

    async def do(self, job_id: UUID) -> float | None:
        """Do one job; return None if it is over, else in how many seconds it is to be delivered
        again.

        A job that was delivered twice, because its worker was silent for long, waits for the
        first one. Raises `JobFailed` for an error that nobody expected; the job has ended then
        too.
        """
        try:
            async with exclusive(self.services.database, f"job {job_id}") as alone:
                return await self._do_alone(job_id) if alone else _BUSY_S
        except _DOWN as error:
            self.logger.error("job_left", job=str(job_id), exc_info=error)
            return _DOWN_S

    async def _do_alone(self, job_id: UUID) -> float | None:
        try:
            taken = await self.services.jobs.take(self.actor, job_id)
        except _DOWN:
            raise
        except WorkbenchError as error:
            self.logger.error("job_not_taken", job=str(job_id), exc_info=error)
            ended = _refused(error, self.actor)
            await self._end(job_id, ended.status, ended.detail)
            return None
        if taken is None:
            return None
        hand = Hand()
        task = asyncio.create_task(handle(self.services, taken, hand))
        watch = asyncio.create_task(self._watch(job_id, hand, task))
        self._at_hand.add(task)
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:  # the engine itself ends
            task.cancel()
            await asyncio.wait({task})
            raise
        finally:
            self._at_hand.discard(task)
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch
        return await self._settle(taken, hand, task)

    async def _watch(self, job_id: UUID, hand: Hand, task: asyncio.Task[Ended]) -> None:
        """Stop the work as soon as a person or this worker wants it."""
        while not self.drain.is_set():
            with suppress(*_DOWN):  # told again at the next look
                if await self.services.jobs.stop_asked(job_id):
                    break
            with suppress(TimeoutError):
                async with asyncio.timeout(_WATCH_S):
                    await self.drain.wait()
        hand.stop(for_good=not self.drain.is_set())
        if hand.work is None:
            task.cancel()

    async def _settle(self, taken: TakenJob, hand: Hand, task: asyncio.Task[Ended]) -> float | None:
        """Record how the work ended, or put the job back."""
        job_id = taken.view.id
        try:
            ended = await task
        except asyncio.CancelledError:
            if not hand.stopped_for_good:
                return await self._put_back(job_id, 0.0)
            ended = Ended("stopped", {"ending": "stopped"})
        except LeftOpen:
            return await self._put_back(job_id, 0.0)
        except ExperimentBusy:
            return await self._put_back(job_id, _BUSY_S)
        except _DOWN as error:
            if await self._may_try_again(job_id):
                self.logger.error("job_interrupted", job=str(job_id), exc_info=error)
                return await self._put_back(job_id, _DOWN_S)
            await self._fail(job_id, error)
        except (WorkbenchError, LLMError) as error:
            ended = _refused(error, taken.actor)
        except Exception as error:
            await self._fail(job_id, error)
        await self._end(job_id, ended.status, ended.detail)
        return None

    async def _may_try_again(self, job_id: UUID) -> bool:
        """Whether the database is away, or the job was not interrupted often while it was not."""
        try:
            await self.services.database.ping()
        except _DOWN:
            return True
        self._interrupted[job_id] += 1
        return self._interrupted[job_id] <= _TRIES

    async def _fail(self, job_id: UUID, error: Exception) -> NoReturn:
        self.logger.error("job_failed", job=str(job_id), exc_info=error)
        told: dict[str, JSON] = {
            "code": "unexpected",
            "message": "The worker met an error that nobody expected; its log has it.",
        }
        await self._end(job_id, "failed", {"error": told})
        raise JobFailed(f"The job {job_id} failed; the log says why.") from None

    async def _put_back(self, job_id: UUID, delay_s: float) -> float:
        await self._stored(self.services.jobs.put_back(self.actor, job_id))
        return delay_s

    async def _end(self, job_id: UUID, status: JobStatus, detail: dict[str, JSON]) -> None:
        self._interrupted.pop(job_id, None)
        await self._stored(self.services.jobs.end(self.actor, job_id, status=status, detail=detail))
        self.logger.info("job_ended", job=str(job_id), status=status)

    async def _stored(self, change: Awaitable[None]) -> None:
        """Store how a job stands. If the database is down, the job is simply delivered again."""
        try:
            await change
        except _DOWN as error:
            self.logger.error("job_not_recorded", exc_info=error)


def _refused(error: WorkbenchError | LLMError, actor: Actor) -> Ended:
    """Return how a job ends that an expected error stopped; a spent budget only interrupts it.

    What is not there is told in one sentence to whoever may not see everything: the error's own
    says what there is instead.
    """
    told: dict[str, JSON] = {"code": error.code, "message": error.message}
    if isinstance(error, NotFound) and any(actor.prefixes(it) is not None for it in _READING):
        told["message"] = "Something that the job names is not there, or not yours to see."
    elif isinstance(error, WorkbenchError):
        told |= {"path": error.path, "hint": error.hint}
    spent = BudgetReached.code in (error.code, getattr(error, "reason", None))
    return Ended("stopped" if spent else "failed", {"error": told})
