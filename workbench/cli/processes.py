"""Processes that a command keeps running beside itself.

Each is started again when it ends without being asked to. It ends with the command, however that
ended, because its standard input is a pipe from here; what it is given goes through that pipe too.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workbench.cli.context import ExitCode, err

__all__ = ["KeptProcess", "Work", "on_signals"]

_LONGEST_PAUSE_S: Final = 30.0


@dataclass(frozen=True)
class Work:
    """What a process does: `python -m module arguments` in `folder`.

    `given` returns what is written to its standard input at a start, `heard` takes each line of its
    output, and `descriptors` stay open in it. `give_up` is called when its settings cannot work.
    """

    name: str
    arguments: tuple[str, ...]
    folder: Path
    give_up: Callable[[], None]
    given: Callable[[], bytes] = bytes
    heard: Callable[[str], None] | None = None
    descriptors: Collection[int] = ()


class KeptProcess:
    """A process of its own, started again when it ends without being asked to."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._drain = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None

    async def keep(self) -> None:
        """Keep it running until told to drain; return when it has ended."""
        pause_s = 1.0
        while not self._drain.is_set():
            code = await self._run()
            if self._drain.is_set():
                return
            if code == ExitCode.USAGE:  # its settings cannot work: trying again is in vain
                self._work.give_up()
                return
            err().print(f"The {self._work.name} ended with code {code}; starting another one.")
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._drain.wait()
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _run(self) -> int:
        # In a session of its own: Ctrl-C at the terminal is for us, and we pass it on.
        heard = self._work.heard
        process = self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *self._work.arguments),
            cwd=self._work.folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL if heard is None else asyncio.subprocess.PIPE,
            pass_fds=self._work.descriptors,
            start_new_session=True,
        )
        if process.stdin is not None:
            process.stdin.write(self._work.given())
        if self._drain.is_set():
            self.drain()
        if process.stdout is not None and heard is not None:
            async for line in process.stdout:
                heard(line.decode("utf-8", "replace").rstrip("\n"))
        return await process.wait()

    def drain(self) -> None:
        """Let it finish what is under way and end; no other one is started."""
        self._drain.set()
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def abort(self) -> None:
        """End it without waiting for what is under way."""
        self._drain.set()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()


@contextmanager
def on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at each Ctrl-C and SIGTERM within the block."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
