"""The targets of one call, asked one after the other until one answers.

A target is passed over while its endpoint's circuit is open. The next one is asked only as long as
nothing of an answer came, and only for failures of a target: what the request itself brought about,
another target would meet too, and a filter is not to be walked round.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

from app.core.errors import ConfigurationError
from app.core.guards import Guard
from app.llm.breaker import Breaker, CircuitOpen
from app.llm.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    EndpointUnreachable,
    LLMError,
    MalformedResponse,
    RateLimited,
    ServerError,
    Timeout,
    TruncatedStream,
    UnknownModel,
)
from app.llm.types import OK, AttemptRecord, LLMResponse, Usage
from app.schemas.chat import ChatEvent
from app.services.chat.call import ChatCall
from app.services.chat.guarding import AnswerGuard
from app.services.chat.outcome import Received
from app.services.chat.preparation import Try
from app.services.chat.tools import ChatTools

__all__ = ["Asking"]

_ASK_THE_NEXT: Final = (
    AuthenticationFailed,
    ConnectionFailed,
    MalformedResponse,
    RateLimited,
    ServerError,
    Timeout,
    TruncatedStream,
    UnknownModel,
)


class Asking:
    """Asks, and remembers what came of it.

    `current` is the target that was asked last, `attempts` are all calls that ended, `failed` the
    errors of targets before the last, `received` what came of an answer and `first_ms` when its
    first piece did.
    """

    def __init__(
        self,
        tools: ChatTools,
        call: ChatCall,
        tries: Sequence[Try],
        guards: Sequence[Guard],
        *,
        stream: bool,
    ) -> None:
        self._tools = tools
        self._call = call
        self._tries = tries
        self._guards = guards
        self._stream = stream
        self._begun_at = tools.clock.monotonic()
        self.current = tries[0]
        self.received = Received()
        self.first_ms: float | None = None
        self.attempts: list[AttemptRecord] = []
        self.failed: list[tuple[Try, LLMError]] = []

    @property
    def fell_back(self) -> bool:
        """Whether another target than the first was asked last."""
        return self.current is not self._tries[0]

    @property
    def reported_usage(self) -> Usage | None:
        """The tokens of an answer that came whole, whatever became of it afterwards."""
        if self.attempts and self.attempts[-1].outcome == OK:
            return self.attempts[-1].usage
        return None

    @property
    def elapsed_ms(self) -> float:
        return (self._tools.clock.monotonic() - self._begun_at) * 1000

    def wait_s(self) -> float:
        """Return in how many seconds one of the targets may be asked; 0 for now."""
        now = self._tools.clock.monotonic()
        return min(self._breaker(one).wait_s(now) for one in self._tries)

    async def answer(self) -> LLMResponse:
        """Return the answer of the first target that gives one.

        Raises the `LLMError` of the last target that was asked, `CircuitOpen` if none may be, and
        `GuardRefused`.
        """
        last: LLMError | None = None
        for one in self._tries:
            breaker = self._breaker(one)
            permit = breaker.admit(self._tools.clock.monotonic())
            if permit is None:
                continue
            if last is not None:
                self.failed.append((self.current, last))
            self.current = one
            self._call.served = one.served
            try:
                response = await self._configured(one)
            except LLMError as error:
                self._tell(breaker, permit, error)
                if self.received.has_begun or not isinstance(error, _ASK_THE_NEXT):
                    raise
                last = error
            except BaseException:
                breaker.released(permit)
                raise
            else:
                breaker.succeeded(permit, self._tools.clock.monotonic())
                return response
        if last is not None:
            raise last
        endpoints = sorted({one.request.target.endpoint for one in self._tries})
        raise CircuitOpen(
            f"{', '.join(endpoints)} failed too often lately: nothing was sent.",
            retry_after_s=self.wait_s(),
        )

    async def _configured(self, one: Try) -> LLMResponse:
        """Make one call; what this server is not set up for is a failure of the target too."""
        try:
            return await self._ask(one)
        except ConfigurationError as error:
            if self._tools.logger is not None:
                self._tools.logger.error("chat_endpoint_misconfigured", exc_info=error)
            raise EndpointUnreachable("This server cannot call the model.") from error

    async def _ask(self, one: Try) -> LLMResponse:
        """Make one call to one target, passing on what may be passed on."""
        client, guard = self._tools.client, AnswerGuard(self._guards)
        if not self._stream:
            return guard.whole(await client.generate(one.request, on_attempt=self.attempts.append))
        stream = client.stream(one.request, on_attempt=self.attempts.append)
        async with aclosing(stream) as events:
            async for event in events:
                if event.response is not None:
                    seen, late = guard.finish(event.response)
                    self._pass_on(late)
                    return seen
                if self.first_ms is None:
                    self.first_ms = self.elapsed_ms
                self.received.came(event)
                self._pass_on(guard.feed(event))
        raise TruncatedStream("The stream ended without an answer.")

    def _pass_on(self, event: ChatEvent | None) -> None:
        if event is not None:
            self.received.passed_on(event.text)
            self._call.pass_on(event)

    def _breaker(self, one: Try) -> Breaker:
        return self._tools.breakers.of(one.request.target.endpoint)

    def _tell(self, breaker: Breaker, permit: int, error: LLMError) -> None:
        now = self._tools.clock.monotonic()
        if error.retryable and not isinstance(error, RateLimited):
            breaker.failed(permit, now)
        elif error.http_status is not None:  # it refuses, so it is there
            breaker.succeeded(permit, now)
        else:
            breaker.released(permit)
