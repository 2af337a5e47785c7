"""Server-sent events as a response, for clients that may leave and proxies that may sleep.

The response starts with its first piece, so that what fails before is an ordinary error with its
own status; if nothing comes for `keep_alive_s` it starts all the same, with a comment, and goes on
with one whenever as much time passes in silence. What fails after the start is one last event: a
stream never ends as if it were whole. When the client is gone, `leave` is called at once and
nothing more is written. https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

__all__ = ["EventStream", "StreamFaults", "unless_gone"]

AnswerT = TypeVar("AnswerT")

_KEEP_ALIVE_S: Final = 15.0
_PING: Final = b": keep-alive\n\n"
_HEADERS: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}


async def unless_gone(
    receive: Receive, answer: Awaitable[AnswerT], leave: Callable[[], None]
) -> AnswerT | None:
    """Wait for an answer; if the client goes first, call `leave` and return None.

    `receive` must have given the whole body before.
    """
    answering = asyncio.ensure_future(answer)
    watching = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({answering, watching}, return_when=asyncio.FIRST_COMPLETED)
        return answering.result() if answering.done() else None
    finally:
        if not answering.done():
            leave()
        await _end(answering, watching)


@dataclass(frozen=True, slots=True)
class StreamFaults:
    """How errors after the start are told: `write` makes the last event of each one.

    Those of the `expected` classes end there; any other is raised too, so that it is logged.
    """

    write: Callable[[Exception], bytes]
    expected: tuple[type[Exception], ...]


class EventStream(Response):
    """A response that writes pieces as they come.

    `headers` is asked when the response starts; `leave` is called if the client goes before the
    end, or the server stops.
    """

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        *,
        headers: Callable[[], Mapping[str, str]],
        faults: StreamFaults,
        leave: Callable[[], None],
        keep_alive_s: float = _KEEP_ALIVE_S,
    ) -> None:
        super().__init__()
        self._pieces = pieces
        self._more_headers = headers
        self._faults = faults
        self._leave = leave
        self._keep_alive_s = keep_alive_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write the stream; raises what fails before its start."""
        output = _Output(send, self._more_headers)
        writing = asyncio.ensure_future(self._write(output))
        others = [
            asyncio.ensure_future(_gone(receive)),
            asyncio.ensure_future(self._keep_alive(output)),
        ]
        try:
            done, _ = await asyncio.wait({writing, *others}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except _ClientGone:
            pass
        finally:
            if not output.ended:
                self._leave()
            await _end(writing, *others)

    async def _write(self, output: _Output) -> None:
        try:
            async for piece in self._pieces:
                await output.write(piece)
        except _ClientGone:
            raise
        except Exception as error:
            if not output.started:
                raise
            await output.write(self._faults.write(error))
            await output.end()
            if not isinstance(error, self._faults.expected):
                raise
            return
        await output.end()

    async def _keep_alive(self, output: _Output) -> None:
        while True:
            silent_s = time.monotonic() - output.written_at
            if silent_s >= self._keep_alive_s:
                await output.write(_PING)
            else:
                await asyncio.sleep(self._keep_alive_s - silent_s)


class _ClientGone(Exception):
    """The server could not write: some raise `OSError` then, others go on without a word."""


class _Output:
    """The client's side of a stream; several tasks write to it, one at a time."""

    def __init__(self, send: Send, headers: Callable[[], Mapping[str, str]]) -> None:
        self._send = send
        self._headers = headers
        self._turn = asyncio.Lock()
        self.started = False
        self.ended = False
        self.written_at = time.monotonic()

    async def write(self, piece: bytes) -> None:
        async with self._turn:
            if self.ended:
                return
            if not self.started:
                self.started = True
                await self._pass_on(_start({**_HEADERS, **self._headers()}))
            await self._pass_on(_body(piece, more=True))
            self.written_at = time.monotonic()

    async def end(self) -> None:
        async with self._turn:
            self.ended = True
            await self._pass_on(_body(b"", more=False))

    async def _pass_on(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError as error:
            raise _ClientGone from error


def _body(piece: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": piece, "more_body": more}


def _start(headers: Mapping[str, str]) -> Message:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": 200, "headers": raw}


async def _gone(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(*tasks: asyncio.Future[AnswerT] | asyncio.Future[None]) -> None:
    """Cancel what is still running and wait for it; what it raises has been seen or matters not."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
