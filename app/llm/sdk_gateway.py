"""How the official SDKs go through the guard.

openai speaks httpx2 and ollama its predecessor httpx; the two have the same API and different
classes. What both need is here; each provider module adds the few lines that bind it to its
library. An error status becomes our error in here, so no SDK ever words one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import closing

from yarl import URL

from app.llm.errors import LLMError
from app.llm.transport import GuardedTransport, Reply, StreamedReply

__all__ = ["ReplyBytes", "SDKGateway"]

_OWN_HEADERS = frozenset({"host", "connection", "content-length", "accept-encoding"})
_BODY_HEADERS = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class SDKGateway:
    """Sends an SDK's requests; `to_error` words a reply whose status is not 200."""

    def __init__(self, guard: GuardedTransport, to_error: Callable[[Reply], LLMError]) -> None:
        self._guard = guard
        self._to_error = to_error

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> StreamedReply:
        """Return the reply, to be read as an SDK likes; it is closed by `ReplyBytes.aclose`."""
        sent = {name: v for name, v in headers.items() if name.lower() not in _OWN_HEADERS}
        reply = await self._guard.start(
            method, URL(url, encoded=True), body=body or None, headers=sent
        )
        if reply.status == 200:
            return reply
        with closing(reply):
            raise self._to_error(Reply(reply.status, reply.headers, await reply.read_all()))


class ReplyBytes:
    """The decompressed bytes of a reply as both libraries' `AsyncByteStream` wants them."""

    def __init__(self, reply: StreamedReply) -> None:
        self._reply = reply

    @property
    def headers(self) -> dict[str, str]:
        """The reply's headers, as far as they are true of its decompressed body."""
        own = self._reply.headers.items()
        return {name: value for name, value in own if name.lower() not in _BODY_HEADERS}

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await self._reply.read():
            yield chunk

    async def aclose(self) -> None:
        self._reply.close()
