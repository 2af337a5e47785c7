"""`python -m workbench.dashboard`: the process that `workbench serve` and `workbench dashboard`
start. It ends when its standard input does, hence with whoever started it."""

from __future__ import annotations

import asyncio
import sys

from workbench.dashboard.handover import Handover

__all__: list[str] = []

_CANNOT_WORK = 2
"""The exit code that tells whoever started it not to try again."""


async def _main() -> int:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    handover = Handover.read(await reader.readline())
    try:
        from workbench.dashboard.server import create_dashboard, serve

        dashboard = create_dashboard(handover)
    except (ImportError, ValueError) as error:
        sys.stderr.write(f"Error: the dashboard cannot start: {error}\n")
        return _CANNOT_WORK
    ended = asyncio.Event()

    async def follow() -> None:
        await reader.read()
        ended.set()

    following = asyncio.create_task(follow())
    has_started = await serve(dashboard, handover.descriptor, ended)
    following.cancel()
    return 0 if has_started else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
