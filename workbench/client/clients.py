"""The two clients."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import cache
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import httpx2

from workbench.client.calls import Call, Listing, Page
from workbench.client.errors import StreamBroken
from workbench.client.protocol import (
    ChatAnswer,
    Deltas,
    Protocol,
    Published,
    Received,
    Steps,
    chat_body,
    error_of,
    headers_of,
)

__all__ = ["AsyncClient", "Client"]

AnswerT = TypeVar("AnswerT")

_RETRIES: Final = 2
_PAGE: Final = 200  # items
_TIMEOUT: Final = httpx2.Timeout(60, connect=5)


@cache
def _certificates() -> ssl.SSLContext:
    """Return the authorities that are trusted. Reading them takes 45 ms and 0.8 MB, which a program
    with many clients pays once."""
    return httpx2.create_ssl_context()


class Client:
    """Waits for each answer. Close it when done, or use it in a `with`."""

    def __init__(
        self,
        base_url: str,
        key: str | None = None,
        *,
        retries: int = _RETRIES,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._http = httpx2.Client(
            base_url=base_url,
            headers=headers_of(key),
            timeout=_TIMEOUT,
            transport=transport,
            verify=_certificates(),
        )
        self._protocol = Protocol(self._http, retries)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def send(self, call: Call[AnswerT]) -> AnswerT:
        """Return the answer of one call."""
        return self._run(self._protocol.send(call))

    def page(
        self, listing: Listing[AnswerT], cursor: str | None = None, limit: int = _PAGE
    ) -> Page[AnswerT]:
        """Return one page of a list: the first, or the one that a cursor of it names."""
        return self._run(self._protocol.page(listing, cursor, limit))

    def all(self, listing: Listing[AnswerT]) -> Iterator[AnswerT]:
        """Yield a whole list, page by page."""
        cursor: str | None = None
        while True:
            page = self.page(listing, cursor)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def published(self, prompt: str, alias: str) -> Published:
        """Return what an alias stands for; the last good copy while the server is away."""
        return self._run(self._protocol.published(prompt, alias))

    def chat(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        variables: Mapping[str, Any] | None = None,
        key: str | None = None,
        **parameters: Any,
    ) -> ChatAnswer:
        """Return the answer of `support-bot@production`; with a `key` it is answered once."""
        body = chat_body(model, messages, variables, parameters, stream=False)
        return self._run(self._protocol.chat(body, key))

    def stream_chat(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        variables: Mapping[str, Any] | None = None,
        key: str | None = None,
        **parameters: Any,
    ) -> Iterator[str]:
        """Yield the answer's text as it grows; `StreamBroken` if it does not come to its end."""
        body = chat_body(model, messages, variables, parameters, stream=True)
        deltas = Deltas()
        try:
            response = self._http.send(self._protocol.chat_request(body, key), stream=True)
            try:
                if response.status_code >= 400:
                    response.read()
                    raise error_of(response)
                for line in response.iter_lines():
                    if text := deltas.text(line):
                        yield text
            finally:
                response.close()
        except httpx2.TransportError as error:
            raise _broken(error) from error
        deltas.check()

    def _run(self, steps: Steps[AnswerT]) -> AnswerT:
        received: Received = None
        while True:
            try:
                step = steps.send(received)
            except StopIteration as done:
                answer: AnswerT = done.value
                return answer
            received = None
            if isinstance(step, float):
                time.sleep(step)
                continue
            try:
                received = self._http.send(step)
            except httpx2.TransportError as error:
                received = error


class AsyncClient:
    """As `Client`, awaited. Close it when done, or use it in an `async with`."""

    def __init__(
        self,
        base_url: str,
        key: str | None = None,
        *,
        retries: int = _RETRIES,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx2.AsyncClient(
            base_url=base_url,
            headers=headers_of(key),
            timeout=_TIMEOUT,
            transport=transport,
            verify=_certificates(),
        )
        self._protocol = Protocol(self._http, retries)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def send(self, call: Call[AnswerT]) -> AnswerT:
        """Return the answer of one call."""
        return await self._run(self._protocol.send(call))

    async def page(
        self, listing: Listing[AnswerT], cursor: str | None = None, limit: int = _PAGE
    ) -> Page[AnswerT]:
        """Return one page of a list: the first, or the one that a cursor of it names."""
        return await self._run(self._protocol.page(listing, cursor, limit))

    async def all(self, listing: Listing[AnswerT]) -> AsyncIterator[AnswerT]:
        """Yield a whole list, page by page."""
        cursor: str | None = None
        while True:
            page = await self.page(listing, cursor)
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def published(self, prompt: str, alias: str) -> Published:
        """Return what an alias stands for; the last good copy while the server is away."""
        return await self._run(self._protocol.published(prompt, alias))

    async def chat(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        variables: Mapping[str, Any] | None = None,
        key: str | None = None,
        **parameters: Any,
    ) -> ChatAnswer:
        """Return the answer of `support-bot@production`; with a `key` it is answered once."""
        body = chat_body(model, messages, variables, parameters, stream=False)
        return await self._run(self._protocol.chat(body, key))

    async def stream_chat(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        variables: Mapping[str, Any] | None = None,
        key: str | None = None,
        **parameters: Any,
    ) -> AsyncIterator[str]:
        """Yield the answer's text as it grows; `StreamBroken` if it does not come to its end."""
        body = chat_body(model, messages, variables, parameters, stream=True)
        deltas = Deltas()
        try:
            response = await self._http.send(self._protocol.chat_request(body, key), stream=True)
            try:
                if response.status_code >= 400:
                    await response.aread()
                    raise error_of(response)
                async for line in response.aiter_lines():
                    if text := deltas.text(line):
                        yield text
            finally:
                await response.aclose()
        except httpx2.TransportError as error:
            raise _broken(error) from error
        deltas.check()

    async def _run(self, steps: Steps[AnswerT]) -> AnswerT:
        received: Received = None
        while True:
            try:
                step = steps.send(received)
            except StopIteration as done:
                answer: AnswerT = done.value
                return answer
            received = None
            if isinstance(step, float):
                await asyncio.sleep(step)
                continue
            try:
                received = await self._http.send(step)
            except httpx2.TransportError as error:
                received = error


def _broken(error: httpx2.TransportError) -> StreamBroken:
    return StreamBroken(f"The answer broke off: {error or type(error).__name__}.")
