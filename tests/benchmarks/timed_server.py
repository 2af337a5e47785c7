"""Serve a workspace, and tell at the end which callbacks of the event loop cost the most.

`python -m tests.benchmarks.timed_server FOLDER` prints its address, forgets on SIGUSR1 what it has
seen so far, and on SIGTERM stops and prints the longest callbacks as JSON. Time is the thread's own
CPU time, so that other programs on the machine do not count; the loop is asyncio's, whose callbacks
all pass through one method.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from app.core.settings import load_settings
from app.main import create_app

_KEPT = 5


class Longest:
    """The callbacks that took the most CPU time, by milliseconds."""

    def __init__(self) -> None:
        self.count = 0
        self._heap: list[tuple[float, int, str]] = []

    def forget(self) -> None:
        self.count = 0
        self._heap.clear()

    def note(self, cpu_s: float, handle: asyncio.Handle) -> None:
        self.count += 1
        if len(self._heap) < _KEPT:
            heapq.heappush(self._heap, (cpu_s * 1000, self.count, _name(handle)))
        elif cpu_s * 1000 > self._heap[0][0]:
            heapq.heapreplace(self._heap, (cpu_s * 1000, self.count, _name(handle)))

    def to_json(self) -> str:
        longest = [(cpu_ms, name) for cpu_ms, _, name in sorted(self._heap, reverse=True)]
        return json.dumps({"count": self.count, "longest": longest})


def _name(handle: asyncio.Handle) -> str:
    callback = handle._callback  # type: ignore[attr-defined] # there is no other way to ask
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return f"{owner.get_name()}: {getattr(owner.get_coro(), '__qualname__', '?')}"
    return getattr(callback, "__qualname__", repr(callback))


@contextmanager
def timed(longest: Longest) -> Iterator[None]:
    """Inside the block, note what every callback of every loop costs."""
    run = asyncio.Handle._run

    def run_timed(self: asyncio.Handle) -> None:
        began = time.thread_time()
        run(self)
        longest.note(time.thread_time() - began, self)

    asyncio.Handle._run = run_timed  # type: ignore[method-assign] # all pass through it
    try:
        yield
    finally:
        asyncio.Handle._run = run  # type: ignore[method-assign]


class _Server(uvicorn.Server):
    """Signals are the business of `serve`, which has something to print afterwards."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(folder: Path, longest: Longest) -> None:
    config = uvicorn.Config(create_app(load_settings(folder)), log_level="warning")
    server = _Server(config)

    def stop() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGUSR1, longest.forget)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        print(f"http://127.0.0.1:{bound.getsockname()[1]}", flush=True)
        await server.serve(sockets=[bound])


def main(arguments: list[str]) -> None:
    longest = Longest()
    with timed(longest):
        asyncio.run(serve(Path(arguments[0]), longest))
    print(longest.to_json(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
