"""Browsers on a served dashboard: how long pages take, and what many of them take of memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser

from tests.browser.served import Served
from tests.browser.window import Window, window

__all__ = ["memory_of_clicking", "opening_times", "signed_in"]

_TIMES: Final = 3
_ROUNDS: Final = 2


def signed_in(browser: Browser, served: Served, address: str) -> Any:
    """Return the cookies of a browser that signed in by an address that was printed."""
    with window(browser, served.dashboard) as first:
        first.page.goto(address)
        first.settle()
        return first.context.storage_state()


def opening_times(
    browser: Browser, served: Served, state: Any, addresses: Sequence[str]
) -> Mapping[str, float]:
    """Return for each address the median of the seconds from asking for it until everything is
    drawn and nothing runs any more, in a browser that has the dashboard's scripts already."""
    found: dict[str, float] = {}
    with window(browser, served.dashboard, state=state) as one:
        one.open_page("/home")
        for address in addresses:
            one.open_page(address)  # the first one reads from the disk
            found[address] = statistics.median(_opening(one, address) for _ in range(_TIMES))
    return found


def _opening(one: Window, address: str) -> float:
    started = time.perf_counter()
    one.open_page(address)
    return time.perf_counter() - started


def memory_of_clicking(
    browser: Browser, served: Served, states: Sequence[Any], addresses: Sequence[str]
) -> float:
    """Return the most memory, in MB, that the dashboard's process took while each of some people
    opened every address in turn, all of them at the same time."""
    dashboard = _dashboard(served.process.pid)
    with ExitStack() as stack:
        windows = [
            stack.enter_context(window(browser, served.dashboard, state=state)) for state in states
        ]
        for step in range(_ROUNDS * len(addresses)):
            for number, one in enumerate(windows):
                address = addresses[(step + 3 * number) % len(addresses)]
                one.page.goto(f"{served.dashboard}{address}", wait_until="commit")
            for one in windows:
                one.settle()
        return _peak_mb(dashboard)


def _dashboard(server: int) -> int:
    """Return the process of the dashboard among those that a server started."""
    children = Path(f"/proc/{server}/task/{server}/children").read_text(encoding="ascii")
    [found] = [
        int(child)
        for child in children.split()
        if b"workbench.dashboard" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    return found


def _peak_mb(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    [peak] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(peak.split()[1]) * 1024 / 1_000_000
