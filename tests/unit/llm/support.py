"""Stand-ins at the edge of the client: a clock that is set by hand, a provider that is scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta

from app.core.hashing import JSON
from app.core.redaction import Redactor
from app.llm.errors import LLMError
from app.llm.http_errors import ErrorContext
from app.llm.providers import ModelReport, ProviderReply
from app.llm.types import (
    Choice,
    FinishReason,
    LLMRequest,
    Message,
    ModelTarget,
    Price,
    StreamEvent,
    Usage,
)

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CONTEXT = ErrorContext("lab", Redactor(), ("temperature", "top_p", "max_tokens"))


class ManualClock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds - 1000.0)

    def monotonic(self) -> float:
        return self.seconds


def request(
    text: str = "hello",
    *,
    endpoint: str = "lab",
    price: Price | None = None,
    repetition: int = 0,
    request_id: str | None = None,
    **parameters: JSON,
) -> LLMRequest:
    target = ModelTarget("openai", endpoint, "model-1", price)
    return LLMRequest(
        target,
        (Message("user", text),),
        parameters,
        repetition=repetition,
        request_id=request_id,
    )


def reply(text: str = "fine", usage: Usage | None = None) -> ProviderReply:
    choice = Choice(Message("assistant", text), FinishReason.STOP, "stop")
    return ProviderReply(
        (choice,), usage or Usage(10, 2), "model-1-2026", "fp", "req-1", http_status=200
    )


class ScriptedProvider:
    """Answers each call by the next entry of its script; the last entry is used for ever.

    An error is raised, text is answered, and with `hold` every call waits for `let_go`. `calls`
    are the requests received; `in_flight` those not yet answered.
    """

    def __init__(self, script: Sequence[str | LLMError] = ("fine",), *, hold: bool = False) -> None:
        self._script = list(script)
        self._gate = asyncio.Event()
        if not hold:
            self._gate.set()
        self.calls: list[LLMRequest] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.streams_closed = 0
        self.closed = False

    def let_go(self) -> None:
        self._gate.set()

    async def generate(self, request: LLMRequest) -> ProviderReply:
        return reply(await self._next(request))

    async def stream(
        self, request: LLMRequest
    ) -> AsyncGenerator[StreamEvent | ProviderReply, None]:
        try:
            text = await self._next(request)
            for word in text.split():
                if word == "BREAK":
                    raise self._error()
                yield StreamEvent(word)
            yield reply(text)
        finally:
            self.streams_closed += 1

    async def probe(self, provider_model: str) -> ModelReport:
        return ModelReport(provider_model, digest="d1")

    async def close(self) -> None:
        self.closed = True

    def _error(self) -> LLMError:
        return next(entry for entry in self._script if isinstance(entry, LLMError))

    async def _next(self, request: LLMRequest) -> str:
        self.calls.append(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)  # a call takes a turn of the loop at least
            await self._gate.wait()
            entry = self._script.pop(0) if len(self._script) > 1 else self._script[0]
            if isinstance(entry, LLMError):
                raise entry
            return entry
        finally:
            self.in_flight -= 1
