"""Serve a fake provider until SIGTERM or SIGINT: `python -m tests.fake_provider --help`.

When ready it prints one line of JSON, `{"port": N}`, on standard output and nothing more.
"""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable

import orjson

from tests.fake_provider.options import Launch, parse_arguments
from tests.fake_provider.server import FakeProvider

_new_event_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    import uvloop

    _new_event_loop = uvloop.new_event_loop
except ImportError:
    # uvloop is not built for every platform; the server only gets slower without it.
    _new_event_loop = asyncio.new_event_loop

__all__ = ["main"]


async def _serve(launch: Launch) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with FakeProvider(launch.options, host=launch.host, port=launch.port) as server:
        print(orjson.dumps({"port": server.port}).decode(), flush=True)
        await stopped.wait()


def main() -> None:
    """Read the command line and serve."""
    launch = parse_arguments(sys.argv[1:], sys.stdin)
    # The ledger only grows: a collector that keeps walking it would cost more than it frees.
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
    try:
        with asyncio.Runner(loop_factory=_new_event_loop) as runner:
            runner.run(_serve(launch))
    except OSError as error:
        sys.exit(f"Cannot serve on {launch.host}:{launch.port}: {error}")


if __name__ == "__main__":
    main()
