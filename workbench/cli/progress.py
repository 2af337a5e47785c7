"""Progress of long work: a live bar on a terminal, a line now and then elsewhere.

Counts are of committed outcomes only: what is shown here is on disk.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from workbench.number_text import money
from workbench.runner.generation.executor import Progress

__all__ = ["Before", "ProgressMode", "duration", "show_progress"]

_BAR_S, _LINE_S = 0.15, 0.5
_SETTLED_S = 1.0  # before that, a rate says nothing


class ProgressMode(StrEnum):
    """How progress is shown; `auto` is a bar on a terminal and lines elsewhere."""

    AUTO = "auto"
    BAR = "bar"
    PLAIN = "plain"
    NONE = "none"


@dataclass(frozen=True)
class Before:
    """What the experiment had before this process: cells with an outcome, US dollars spent.

    `budget` is the most that it may spend, in US dollars; None: no budget.
    """

    done: int
    spent: float
    budget: float | None = None


@asynccontextmanager
async def show_progress(
    console: Console, mode: ProgressMode, wanted: int, before: Before, read: Callable[[], Progress]
) -> AsyncIterator[None]:
    """Show `read()` on top of what was there before, against `wanted` cells."""
    if mode is ProgressMode.AUTO:
        mode = ProgressMode.BAR if console.is_terminal else ProgressMode.PLAIN
    if mode is ProgressMode.NONE:
        yield
        return
    began = time.monotonic()
    show = _bar if mode is ProgressMode.BAR else _lines
    task = asyncio.create_task(show(console, wanted, before, read, began))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _bar(
    console: Console, wanted: int, before: Before, read: Callable[[], Progress], began: float
) -> None:
    def frame() -> Table:
        progress = read()
        row = Table.grid(padding=(0, 1))
        row.add_row(
            ProgressBar(total=max(wanted, 1), completed=before.done + progress.done, width=24),
            Text(_sentence(progress, wanted, before, time.monotonic() - began)),
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
    console: Console, wanted: int, before: Before, read: Callable[[], Progress], began: float
) -> None:
    last = -1

    def line() -> None:
        nonlocal last
        progress = read()
        if progress.done != last:
            last = progress.done
            elapsed = time.monotonic() - began
            console.print(f"progress {_sentence(progress, wanted, before, elapsed)}")

    try:
        while True:
            await asyncio.sleep(_LINE_S)
            line()
    finally:
        line()


def _sentence(progress: Progress, wanted: int, before: Before, elapsed: float) -> str:
    """`412/2000  38.1/s  3 failed (timeout 3)  $0.0412  42 s left`."""
    done = before.done + progress.done
    rate = progress.done / elapsed if elapsed > 0 else 0.0
    parts = [f"{done}/{wanted}", f"{rate:.1f}/s"]
    if progress.errors:
        told = ", ".join(f"{code} {n}" for code, n in sorted(progress.errors.items()))
        parts.append(f"{progress.failed} failed ({told})")
    if progress.done or before.done:
        parts.append(_cost(progress, before))
    if rate > 0 and done < wanted and elapsed > _SETTLED_S:
        parts.append(f"{duration((wanted - done) / rate)} left")
    return "  ".join(parts)


def _cost(progress: Progress, before: Before) -> str:
    """What the experiment has cost so far; what is not priced is said, never shown as 0."""
    spent = before.spent + progress.cost
    if before.budget is not None:
        return f"{money(spent)} of {money(before.budget)}"
    if not progress.unpriced:
        return money(spent)
    return f"{money(spent)} + {progress.unpriced} unpriced" if spent else "cost unknown"


def duration(seconds: float) -> str:
    """`42 s`, `3 min`, `2.1 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
