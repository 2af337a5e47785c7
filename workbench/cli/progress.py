"""Progress of long work: a live bar on a terminal, a line now and then elsewhere.

Counts are of committed outcomes only: what is shown here is on disk.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from enum import StrEnum

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from workbench.runner.executor import Progress

__all__ = ["ProgressMode", "show_progress"]

_BAR_S, _LINE_S = 0.15, 0.5


class ProgressMode(StrEnum):
    """How progress is shown; `auto` is a bar on a terminal and lines elsewhere."""

    AUTO = "auto"
    BAR = "bar"
    PLAIN = "plain"
    NONE = "none"


@asynccontextmanager
async def show_progress(
    console: Console, mode: ProgressMode, wanted: int, already: int, read: Callable[[], Progress]
) -> AsyncIterator[None]:
    """Show `read()` against `wanted` cells, of which `already` were done before."""
    if mode is ProgressMode.AUTO:
        mode = ProgressMode.BAR if console.is_terminal else ProgressMode.PLAIN
    if mode is ProgressMode.NONE:
        yield
        return
    began = time.monotonic()
    show = _bar if mode is ProgressMode.BAR else _lines
    task = asyncio.create_task(show(console, wanted, already, read, began))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _bar(
    console: Console, wanted: int, already: int, read: Callable[[], Progress], began: float
) -> None:
    def frame() -> Table:
        progress = read()
        row = Table.grid(padding=(0, 1))
        row.add_row(
            ProgressBar(total=max(wanted, 1), completed=already + progress.done, width=24),
            Text(_sentence(progress, wanted, already, time.monotonic() - began)),
        )
        return row

    with Live(frame(), console=console, auto_refresh=False, transient=False) as live:
        try:
            while True:
                await asyncio.sleep(_BAR_S)
                live.update(frame(), refresh=True)
        finally:
            live.update(frame(), refresh=True)


async def _lines(
    console: Console, wanted: int, already: int, read: Callable[[], Progress], began: float
) -> None:
    last = -1

    def line() -> None:
        nonlocal last
        progress = read()
        if progress.done != last:
            last = progress.done
            elapsed = time.monotonic() - began
            console.print(f"progress {_sentence(progress, wanted, already, elapsed)}")

    try:
        while True:
            await asyncio.sleep(_LINE_S)
            line()
    finally:
        line()


def _sentence(progress: Progress, wanted: int, already: int, elapsed: float) -> str:
    """`412/2000  38.1/s  3 failed (timeout 3)  $0.0412  42 s left`."""
    done = already + progress.done
    rate = progress.done / elapsed if elapsed > 0 else 0.0
    parts = [f"{done}/{wanted}", f"{rate:.1f}/s"]
    if progress.errors:
        told = ", ".join(f"{code} {n}" for code, n in sorted(progress.errors.items()))
        parts.append(f"{progress.failed} failed ({told})")
    if progress.cost or not progress.unpriced:
        unpriced = f" + {progress.unpriced} unpriced" if progress.unpriced else ""
        parts.append(f"${progress.cost:.4f}{unpriced}")
    else:
        parts.append("cost unknown")
    if rate > 0 and done < wanted:
        parts.append(f"{_duration((wanted - done) / rate)} left")
    return "  ".join(parts)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
