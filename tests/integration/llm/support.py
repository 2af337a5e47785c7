"""Clients for the fake provider, and a server of a few lines for what it does not show."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from random import Random
from types import TracebackType
from typing import Self

import orjson
from pydantic import SecretStr

from app.core.clock import Clock, SystemClock
from app.core.hashing import JSON
from app.core.settings import CallLimits, EndpointSettings
from app.llm.client import LLMClient
from app.llm.limits import AccountLimits
from app.llm.ollama_provider import OllamaProvider
from app.llm.openai_provider import OpenAIProvider
from app.llm.providers import Provider
from app.llm.retry import RetryPolicy
from app.llm.types import LLMRequest, Message, ModelTarget
from tests.fake_provider import FakeProvider

KEY = "sk-canary-7Qx9Lm2Tz5Rw8Yb1Nc4"
QUICK = CallLimits(connect_s=2, first_byte_s=0.3, idle_s=0.25, total_s=0.7, max_bytes=1 << 20)
PATIENT = CallLimits(connect_s=5, first_byte_s=10, idle_s=10, total_s=30)
ONCE = RetryPolicy(max_attempts=1, budget_s=0.0)
ONCE_MORE = RetryPolicy(max_attempts=2, base_s=0.001, budget_s=30)

COMPLETION = {
    "id": "c1",
    "model": "m-2026",
    "choices": [{"index": 0, "message": {"content": "fine"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1},
}


def settings(url: str, dialect: str = "openai", **changes: object) -> EndpointSettings:
    values = {
        "provider": dialect,
        "base_url": url,
        "api_key": SecretStr(KEY),
        "limits": PATIENT,
        **changes,
    }
    return EndpointSettings.model_validate(values)


def provider(chosen: EndpointSettings, clock: Clock | None = None) -> Provider:
    kind = OllamaProvider if chosen.provider == "ollama" else OpenAIProvider
    return kind("lab", chosen, clock=clock or SystemClock())


@asynccontextmanager
async def provider_for(chosen: EndpointSettings) -> AsyncIterator[Provider]:
    """A provider on its own; closed when the block ends."""
    one = provider(chosen)
    try:
        yield one
    finally:
        await one.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that the server knows and cannot announce."""
    while not condition():  # noqa: ASYNC110 - the ledger has no event to wait for
        await asyncio.sleep(0.01)


def url_of(server: FakeProvider, dialect: str) -> str:
    return server.ollama_url if dialect == "ollama" else server.base_url


@asynccontextmanager
async def client_for(
    chosen: EndpointSettings,
    *,
    retry: RetryPolicy = ONCE,
    concurrency: int = 10,
    clock: Clock | None = None,
) -> AsyncIterator[LLMClient]:
    """A client with one endpoint, `lab`; closed when the block ends."""
    client = LLMClient(
        {"lab": lambda: provider(chosen, clock)},
        limits={"lab": AccountLimits.of(chosen, concurrency)},
        retry=retry,
        random=Random(1),
    )
    try:
        yield client
    finally:
        await client.close()


def request(
    model: str = "fake-model", text: str = "hello ☃ world", dialect: str = "openai", **fields: JSON
) -> LLMRequest:
    parameters = {"temperature": 0.2, "top_p": 0.6, "max_tokens": 8, **fields}
    return LLMRequest(ModelTarget(dialect, "lab", model), (Message("user", text),), parameters)


Handler = Callable[["Exchange"], Awaitable[None]]


class Exchange:
    """One request as the tiny server read it, and the connection to answer on."""

    def __init__(self, head: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        self.line, *fields = head.split("\r\n")
        pairs = (field.partition(":") for field in fields if field)
        self.headers = {name.lower(): value.strip() for name, _, value in pairs}
        self.body = body
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def answer(
        self, body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a whole reply."""
        fields = {
            "Content-Type": "application/json",
            "Content-Length": len(body),
            **(headers or {}),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        await self.send(f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode() + body)

    async def complete(self) -> None:
        """Answer with a good completion."""
        await self.answer(orjson.dumps(COMPLETION))


class TinyServer:
    """Calls `handler` for each request, keeps what it saw in `seen`, counts its connections."""

    def __init__(
        self, handler: Handler = Exchange.complete, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self._handler = handler
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self.seen: list[Exchange] = []
        self.connections = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        scheme = "https" if self._tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                exchange = Exchange(head, b"", writer)
                exchange.body = await reader.readexactly(
                    int(exchange.headers.get("content-length", 0))
                )
                self.seen.append(exchange)
                await self._handler(exchange)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
