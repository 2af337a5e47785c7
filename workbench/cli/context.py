"""What every command shares: the workspace, the services, errors as exit codes.

Exit codes: 0 done, 1 unexpected, 2 usage or configuration, 3 some cells failed, 4 stopped
before the end; gates: 10 worse, 11 not proven, 12 incomparable, 13 blocked by a warning.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec

import typer
from rich.console import Console

from app.bootstrap import Services, open_services
from app.core.errors import WorkbenchError
from app.core.permissions import Actor, local_actor
from app.core.settings import load_settings
from app.database import DatabaseError
from workbench.reports.visible import visible
from workbench.workspace.marker import find_workspace
from workbench.workspace.schema import prepare_schema

__all__ = [
    "ExitCode",
    "Format",
    "FormatOption",
    "Workspace",
    "command",
    "err",
    "open_workspace",
    "out",
    "print_json",
    "tell",
]

P = ParamSpec("P")

Format = Literal["text", "json"]
"""How an answer is printed: for people, or for programs."""
FormatOption = Annotated[Format, typer.Option("--format", help="text or json.")]


class ExitCode(IntEnum):
    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    CELLS_FAILED = 3
    STOPPED = 4
    WORSE = 10
    NOT_PROVEN = 11
    INCOMPARABLE = 12
    BLOCKED = 13


@dataclass(frozen=True)
class Workspace:
    """An open workspace: its folder, the services over its database, and who acts."""

    root: Path
    services: Services
    actor: Actor


def _console(stream: Any) -> Console:
    # Without emoji: a name such as a:key:b is printed as it is and makes no picture.
    return Console(file=stream, highlight=False, soft_wrap=True, emoji=False)


def out() -> Console:
    """Return a console on standard output: what was asked for."""
    return _console(sys.stdout)


def err() -> Console:
    """Return a console on standard error: progress, notes and errors."""
    return _console(sys.stderr)


def print_json(value: object) -> None:
    """Print on standard output what a program asked for: `value` as indented JSON."""
    print(json.dumps(value, indent=2))


@asynccontextmanager
async def open_workspace(*, check_schema: bool = True) -> AsyncIterator[Workspace]:
    """Open the workspace around the current folder.

    The embedded SQLite database is brought to the newest schema (after a backup copy); any
    other database is only compared, and refused if it differs.
    """
    root = find_workspace(Path.cwd())
    settings = load_settings(root)
    async with open_services(settings) as services:
        if check_schema:
            note = await prepare_schema(services)
            if note:
                err().print(note, style="dim")
        yield Workspace(root, services, local_actor())


def command(function: Callable[P, Coroutine[Any, Any, int | None]]) -> Callable[P, None]:
    """Make an asynchronous function a typer command.

    Its return value is the exit code (None: 0); an expected error, alone or as the only kind
    in a group that a task group raised, is printed as one sentence with its hint and becomes
    exit code 2; Ctrl-C becomes 4.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = _run_loop(function(*args, **kwargs))
        except KeyboardInterrupt:
            err().print("Stopped.")
            raise typer.Exit(ExitCode.STOPPED) from None
        except BrokenPipeError:  # the reader of our output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(ExitCode.DONE) from None
        except (*_EXPECTED, ExceptionGroup) as error:
            told = tell(_plain(error))
            if told is None:
                raise
            raise typer.Exit(told) from None
        if code:
            raise typer.Exit(code)

    return run


_EXPECTED = (WorkbenchError, DatabaseError, OSError)


def _plain(error: Exception) -> Exception:
    """Return the first error of a group that holds one expected kind only, else `error`."""
    leaves = list(_leaves(error))
    for kind in _EXPECTED:
        if all(isinstance(leaf, kind) for leaf in leaves):
            return leaves[0]
    return error


def _leaves(error: Exception) -> Iterator[Exception]:
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def tell(error: Exception) -> ExitCode | None:
    """Print an expected error as a sentence and return its exit code; None for any other."""
    match error:
        case WorkbenchError():
            _print_error(error.message, error.hint)
            return ExitCode.USAGE
        case DatabaseError():
            told = (str(error.orig or "").splitlines() or [type(error).__name__])[0]
            hint = "Nothing of this step was stored."
            if "locked" in told or "busy" in told:
                hint += " Another command is using the database; try again."
            _print_error(f"The database refused: {told}", hint)
            return ExitCode.UNEXPECTED
        case OSError():
            why = error.strerror or str(error) or type(error).__name__
            _print_error(f"{error.filename}: {why}." if error.filename else f"{why}.", None)
            return ExitCode.USAGE
    return None


def _print_error(sentence: str, hint: str | None) -> None:
    # A sentence may repeat what somebody wrote, a file's or a model's name for instance.
    err().print(f"[bold red]Error:[/] {_escape(visible(sentence))}")
    if hint:
        err().print(f"[dim]{_escape(visible(hint))}[/]")


def _run_loop(main: Coroutine[Any, Any, int | None]) -> int | None:
    try:
        import uvloop
    except ImportError:  # not on every platform; the code runs without it
        return asyncio.run(main)
    return uvloop.run(main)


def _escape(text: str) -> str:
    """Keep square brackets of user text from being read as markup."""
    return text.replace("[", "\\[")
