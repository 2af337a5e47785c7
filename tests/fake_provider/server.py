"""The fake provider on a socket: one `asyncio.Protocol` a connection, written for speed.

A plain reply costs one parse, one write and no task. Requests on one connection are answered in
order; a pipelined one waits in the buffer. Chat replies leave through a queue: the latency is the
same for all, so they fall due in the order of arrival, and one timer serves the whole queue. The
queue never releases a reply early: when the timer fires a moment too soon it is set again.
"""

import asyncio
import math
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self, cast

from tests.fake_provider.dialects import ErrorBody, OpenAI
from tests.fake_provider.faults import FaultScript
from tests.fake_provider.http1 import ProtocolError, Request, next_request
from tests.fake_provider.ledger import Call, Ledger
from tests.fake_provider.misbehaviour import error_reply
from tests.fake_provider.options import ProviderOptions
from tests.fake_provider.provider import Handled, Provider
from tests.fake_provider.replies import Close, Drip, Flood, Hang, Reset, Step, Wait

__all__ = ["FakeProvider"]

_BACKLOG = 1024
_LINGER_ZERO = struct.pack("ii", 1, 0)
"""SO_LINGER with a time of 0: closing sends RST in place of FIN."""


class _Due(NamedTuple):
    """A reply that waits for its time, on the monotonic clock in seconds."""

    at: float
    connection: "_Connection"
    handled: Handled


class _ReplyQueue:
    """Releases replies `latency_s` after they were put in, in that order."""

    def __init__(self, latency_s: float, ledger: Ledger) -> None:
        self._latency_s = latency_s
        self._ledger = ledger
        self._waiting: deque[_Due] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def put(self, connection: "_Connection", handled: Handled) -> None:
        if not self._latency_s:
            self._ledger.flush()
            connection.send(handled)
            return
        self._waiting.append(_Due(time.monotonic() + self._latency_s, connection, handled))
        if self._timer is None:
            self._set_timer(self._latency_s)

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._waiting.clear()

    def _set_timer(self, delay_s: float) -> None:
        # Event loops keep whole milliseconds at best; rounding up here beats firing twice.
        delay_s = math.ceil(delay_s * 1000) / 1000
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._release)

    def _release(self) -> None:
        self._timer = None
        self._ledger.flush()
        waiting, now = self._waiting, time.monotonic()
        while waiting and waiting[0].at <= now:
            due = waiting.popleft()
            due.connection.send(due.handled)
        if waiting:
            self._set_timer(waiting[0].at - now)


class _Connection(asyncio.Protocol):
    """One client connection: reads requests, plays replies, closes calls on the ledger."""

    def __init__(self, provider: Provider, queue: _ReplyQueue, peers: "set[_Connection]") -> None:
        self._provider = provider
        self._queue = queue
        self._peers = peers
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._replying = False
        self._keep_alive = True
        self._call: Call | None = None
        self._play_task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, since the transports of uvloop do not inherit from those of asyncio.
        self._transport = cast(asyncio.Transport, transport)
        self._peers.add(self)
        if self._provider.refuses_connection():
            self.reset()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._serve_next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._peers.discard(self)
        if self._play_task:
            self._play_task.cancel()
        self._finish_call(client_gone=True)
        self._closed.set_result(None)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def send(self, handled: Handled) -> None:
        """Play a reply: at once if it is one piece of bytes, else by a task."""
        if self._transport.is_closing():
            return
        steps = handled.reply.steps
        if len(steps) == 1 and isinstance(steps[0], bytes):
            self._transport.write(steps[0])
            self._finish_reply()
        else:
            self._play_task = self._loop.create_task(self._play(steps))

    def reset(self) -> None:
        """Tear the connection down with RST."""
        connection = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self._transport.abort()

    async def stop(self) -> None:
        """Drop the connection, and return when nothing of it is left."""
        self._transport.abort()
        await self._closed
        if self._play_task:
            await asyncio.wait([self._play_task])

    def _serve_next(self) -> None:
        if self._replying or not self._buffer:
            return
        try:
            request = next_request(self._buffer)
        except ProtocolError as error:
            self._refuse(error)
            return
        if request is None:
            return
        del self._buffer[: request.size]
        self._replying = True
        self._keep_alive = request.keep_alive
        self._answer(request)

    def _answer(self, request: Request) -> None:
        handled = self._provider.handle(request)
        self._call = handled.call
        if handled.call:
            self._queue.put(self, handled)
        else:
            self.send(handled)

    def _refuse(self, error: ProtocolError) -> None:
        reply = error_reply(OpenAI(), error.status, ErrorBody(str(error)), {})
        self._replying, self._keep_alive = True, False
        self._buffer.clear()
        self.send(Handled(reply))

    async def _play(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            match step:
                case bytes():
                    self._transport.write(step)
                    await self._writable.wait()
                case Wait():
                    await asyncio.sleep(step.seconds)
                case Drip():
                    await self._drip(step)
                case Flood():
                    await self._flood(step)
                case Hang():
                    await asyncio.Event().wait()
                case Close():
                    self._keep_alive = False
                case Reset():
                    self._finish_call(client_gone=False)
                    self.reset()
                    return
        self._finish_reply()

    async def _drip(self, drip: Drip) -> None:
        while True:
            self._transport.write(drip.data)
            await self._writable.wait()
            await asyncio.sleep(drip.interval_s)

    async def _flood(self, flood: Flood) -> None:
        for _ in range(flood.times):
            self._transport.write(flood.data)
            await self._writable.wait()

    def _finish_reply(self) -> None:
        self._finish_call(client_gone=False)
        self._play_task = None
        self._replying = False
        if not self._keep_alive:
            self._transport.close()
        elif self._buffer:
            self._loop.call_soon(self._serve_next)

    def _finish_call(self, *, client_gone: bool) -> None:
        if self._call:
            self._provider.ledger.finish(self._call, client_gone=client_gone)
            self._call = None


class FakeProvider:
    """A fake provider in this process: `async with FakeProvider(options) as server`.

    Listens on `host` (loopback) and `port` (0 lets the operating system choose) until the block
    ends; then every open connection is dropped. `base_url` is for OpenAI clients, `ollama_url` for
    Ollama clients, `ledger` is the live ledger.
    """

    def __init__(
        self, options: ProviderOptions | None = None, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._options = options or ProviderOptions()
        self._host = host
        self._port = port
        self._peers: set[_Connection] = set()

    async def __aenter__(self) -> Self:
        self.ledger = Ledger(self._options.ledger)
        self._provider = Provider(self._options, self.ledger)
        self._queue = _ReplyQueue(self._options.latency_ms / 1000, self.ledger)
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: _Connection(self._provider, self._queue, self._peers),
                self._host,
                self._port,
                backlog=_BACKLOG,
            )
        except BaseException:
            self.ledger.close()
            raise
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        self._queue.close()
        await asyncio.gather(*(connection.stop() for connection in self._peers))
        await self._server.wait_closed()
        self.ledger.close()

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return self._port

    @property
    def ollama_url(self) -> str:
        """The host URL for Ollama clients, without a trailing slash."""
        return f"http://{self._host}:{self._port}"

    @property
    def base_url(self) -> str:
        """The base URL for OpenAI clients."""
        return f"{self.ollama_url}/v1"

    async def until(self, condition: Callable[[Ledger], bool]) -> None:
        """Return as soon as the ledger meets `condition`: asked now, and at each arrival or end.

        So a test acts on what the provider has seen, without sleeping:
        `await server.until(lambda ledger: ledger.in_flight == 50)`.
        """
        changed = asyncio.Event()
        self.ledger.watchers.append(changed.set)
        try:
            while not condition(self.ledger):
                changed.clear()
                await changed.wait()
        finally:
            self.ledger.watchers.remove(changed.set)

    def set_script(self, script: FaultScript) -> None:
        """Follow another fault script from the next call on."""
        self._provider.set_script(script)

    def reset(self) -> None:
        """Forget all calls and begin the script again."""
        self._provider.reset()
