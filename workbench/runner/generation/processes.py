"""The cells of one experiment, shared out to several processes of this machine.

Each child takes every N-th cell, writes its own outcomes and reports its progress; the
parent starts them together, adds up and passes on the wish to stop. A child whose parent
is gone stops by itself. A child that dies leaves its open cells to `workbench resume`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

from app.bootstrap import open_services
from app.core.permissions import Actor
from app.core.settings import Settings
from app.schemas.experiments import ExperimentView
from workbench.runner.generation.execute import ExecutionOptions, execute
from workbench.runner.generation.executor import ExecutionReport, Executor, Progress
from workbench.runner.generation.preload import prepare_processes
from workbench.runner.generation.remaining import Shard

__all__ = ["ProcessGroup"]

_REPORT_S = 0.1
_CANCEL_S = 5.0


@dataclass(frozen=True)
class _Work:
    """What a child needs to know."""

    settings: Settings
    actor: Actor
    experiment: ExperimentView
    options: ExecutionOptions


class ProcessGroup:
    """N children at work; `await run()` once."""

    def __init__(
        self,
        settings: Settings,
        actor: Actor,
        experiment: ExperimentView,
        options: ExecutionOptions,
        processes: int,
    ) -> None:
        self._work = [
            _Work(settings, actor, experiment, replace(options, shard=Shard(index, processes)))
            for index in range(processes)
        ]
        self._parts: list[Progress] = [Progress() for _ in range(processes)]
        self._links: list[Connection] = []
        self._children: list[ForkServerProcess] = []
        self._stopping = False

    @property
    def progress(self) -> Progress:
        """The sum over all children, as last reported."""
        return _sum(self._parts)

    def stop(self) -> None:
        """Ask every child to start no further call; those that have not begun do not begin."""
        self._stopping = True
        self._tell_all("stop")

    def _tell_all(self, word: str) -> None:
        for link in self._links:
            with suppress(OSError):
                link.send(word)

    async def _wait(self, seconds: float) -> None:
        """Give the children time to store what they know."""
        waits = (asyncio.to_thread(child.join, seconds) for child in self._children)
        await asyncio.gather(*waits)

    def kill(self) -> None:
        """End the children at once; what they committed stays."""
        for child in self._children:
            child.kill()

    async def run(self) -> ExecutionReport:
        """Work until every child has ended; raises `RuntimeError` if one broke down."""
        prepare_processes()
        context = multiprocessing.get_context("forkserver")
        for work in self._work:
            ours, theirs = context.Pipe()
            child = context.Process(target=_child, args=(theirs, work), daemon=True)
            child.start()
            theirs.close()
            self._links.append(ours)
            self._children.append(child)
        try:
            return await self._follow()
        except asyncio.CancelledError:
            self._tell_all("cancel")
            await self._wait(_CANCEL_S)
            raise
        finally:
            self.kill()
            for child in self._children:
                await asyncio.to_thread(child.join)
            for link in self._links:
                link.close()

    async def _follow(self) -> ExecutionReport:
        # Ready means imported and connected: the children begin together.
        for index in range(len(self._links)):
            await self._receive(index)
        self._tell_all("stop" if self._stopping else "go")
        reports = await asyncio.gather(*(self._report(i) for i in range(len(self._links))))
        fatal = next((report for report in reports if report.fatal is not None), None)
        return ExecutionReport(
            self.progress,
            stopped=any(report.stopped for report in reports) and fatal is None,
            fatal=fatal.fatal if fatal else None,
        )

    async def _report(self, index: int) -> ExecutionReport:
        while True:
            message = await self._receive(index)
            if isinstance(message, Progress):
                self._parts[index] = message
            elif isinstance(message, ExecutionReport):
                self._parts[index] = message.progress
                if message.fatal is not None:
                    self.stop()
                return message

    async def _receive(self, index: int) -> Any:
        try:
            message = await asyncio.to_thread(self._links[index].recv)
        except EOFError:
            self.stop()
            raise RuntimeError("A worker process ended unexpectedly.") from None
        if isinstance(message, BaseException):
            self.stop()
            raise message
        return message


def _sum(parts: Sequence[Progress]) -> Progress:
    def earliest(times: list[datetime]) -> datetime | None:
        return min(times, default=None)

    errors: dict[str, int] = {}
    for part in parts:
        for code, count in part.errors.items():
            errors[code] = errors.get(code, 0) + count
    return Progress(
        done=sum(part.done for part in parts),
        completed=sum(part.completed for part in parts),
        failed=sum(part.failed for part in parts),
        refused=sum(part.refused for part in parts),
        calls=sum(part.calls for part in parts),
        cost=sum(part.cost for part in parts),
        unpriced=sum(part.unpriced for part in parts),
        unpaid=sum(part.unpaid for part in parts),
        unpaid_call=max(part.unpaid_call for part in parts),
        reused=sum(part.reused for part in parts),
        first_call_at=earliest([p.first_call_at for p in parts if p.first_call_at]),
        last_commit_at=max([p.last_commit_at for p in parts if p.last_commit_at], default=None),
        errors=errors,
        cpu_s=sum(part.cpu_s for part in parts),
        peak_mib=max(part.peak_mib for part in parts),
    )


def _child(link: Connection, work: _Work) -> None:
    """The child's entry."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    try:
        import uvloop
    except ImportError:  # not on every platform
        report = asyncio.run(_guarded(link, work))
    else:
        report = uvloop.run(_guarded(link, work))
    with suppress(OSError):
        link.send(report)


async def _guarded(link: Connection, work: _Work) -> ExecutionReport | BaseException:
    try:
        return await _carry_out(link, work)
    except Exception as error:
        # An arbitrary exception may not survive the way through the pipe.
        return RuntimeError(f"{type(error).__name__}: {error}")


async def _carry_out(link: Connection, work: _Work) -> ExecutionReport:
    loop = asyncio.get_running_loop()
    async with open_services(work.settings) as services:
        await services.database.ping()
        link.send("ready")
        if await asyncio.to_thread(link.recv) != "go":
            return ExecutionReport(Progress(), stopped=True)

        work_task = asyncio.current_task()
        assert work_task is not None  # noqa: S101 - a coroutine that runs has a task
        reporter: list[asyncio.Task[None]] = []
        progress = Progress()

        def started(executor: Executor) -> None:
            nonlocal progress
            progress = executor.progress
            words = {"stop": executor.stop, "cancel": work_task.cancel}
            threading.Thread(target=_listen, args=(link, loop, words), daemon=True).start()
            reporter.append(loop.create_task(_tell(link, executor)))

        try:
            return await execute(
                services, work.actor, work.experiment, work.options, on_start=started
            )
        except asyncio.CancelledError:
            work_task.uncancel()
            return ExecutionReport(progress, stopped=True)
        finally:
            for task in reporter:
                task.cancel()


def _listen(
    link: Connection, loop: asyncio.AbstractEventLoop, words: Mapping[str, Callable[[], object]]
) -> None:
    """Do what the parent says; a parent that is gone means cancel."""
    with suppress(RuntimeError):  # the loop has ended meanwhile
        while True:
            try:
                word = link.recv()
            except (EOFError, OSError):
                loop.call_soon_threadsafe(words["cancel"])
                return
            loop.call_soon_threadsafe(words[word])


async def _tell(link: Connection, executor: Executor) -> None:
    while True:
        await asyncio.sleep(_REPORT_S)
        with suppress(OSError):
            link.send(executor.progress)
