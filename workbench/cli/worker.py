"""`workbench worker`: do the jobs that were asked for over HTTP."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Annotated

import typer

from app.bootstrap import redactor
from app.core.errors import ConfigurationError, WorkbenchError
from app.core.logging import create_logger
from workbench.cli.context import ExitCode, command, err, open_workspace, out, tell
from workbench.worker import Desk, WorkerOptions, run_worker

__all__ = ["FOLLOW_STDIN", "app"]

FOLLOW_STDIN = "--follow-stdin"

app = typer.Typer(
    help="Do the jobs that were asked for over HTTP: run, score, compare.", add_completion=False
)


@app.command()
@command
async def worker(
    jobs: Annotated[int, typer.Option(min=1, max=100, help="Jobs at once.")] = 4,
    take_over_after: Annotated[
        float,
        typer.Option(
            min=1, max=3600, help="PostgreSQL: seconds of silence after which a worker is dead."
        ),
    ] = 30,
    follow_stdin: Annotated[
        bool, typer.Option(FOLLOW_STDIN, help="Also stop when standard input ends.")
    ] = False,
) -> int:
    """Do the jobs that were asked for over HTTP: run, score, compare, gate, qualify.

    With SQLite a workspace has one worker; with PostgreSQL start as many as you like, on any
    machine. Ctrl-C lets calls in flight finish and leaves the rest to the next worker, Ctrl-C
    again ends at once.
    """
    try:
        await _work(WorkerOptions(jobs, timedelta(seconds=take_over_after)), follow_stdin)
    except (WorkbenchError, OSError) as error:
        if not follow_stdin or isinstance(error, ConfigurationError):
            raise
        # Whoever we follow starts another worker: what is not of the settings may pass.
        tell(error)
        return ExitCode.UNEXPECTED
    return ExitCode.DONE


async def _work(options: WorkerOptions, follow_stdin: bool) -> None:
    """Do jobs until a signal, or the end of standard input, has the worker drained."""
    async with open_workspace() as workspace:
        services = workspace.services
        logger = create_logger(services.settings.log_level, redact=redactor(services.settings))
        desk = Desk(services, logger, options)
        stop = _Stop(desk)
        with _signals(stop.ask):
            out().print("Working. Stop with Ctrl-C.")
            sys.stdout.flush()
            if follow_stdin:
                await _when_stdin_ends(desk.drain.set)
            await run_worker(desk)
        out().print("Stopped.")


class _Stop:
    """Asked once: drain. Asked again: end at once."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def ask(self) -> None:
        if self._desk.drain.is_set():
            self._desk.abort()
            return
        err().print("\nStopping: calls in flight will finish. Ctrl-C again ends at once.")
        self._desk.drain.set()


@contextmanager
def _signals(ask: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, ask)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _when_stdin_ends(then: Callable[[], None]) -> None:
    """Call `then` once standard input, a pipe from whoever started this process, is closed."""

    class _Ends(asyncio.Protocol):
        def eof_received(self) -> None:
            then()

        def connection_lost(self, _error: Exception | None) -> None:
            then()

    with suppress(ValueError):  # standard input is no pipe: there is nobody to follow
        await asyncio.get_running_loop().connect_read_pipe(_Ends, sys.stdin)
