"""How many calls at once, and how many a minute: per endpoint, which is one provider account.

- `Slots` bounds the calls in flight. Slots that become free go to retries first, then to first
  attempts, each in order of arrival: work that was begun is finished before more is begun.
- `AdaptiveLimit` finds the number of slots: up while they are all used and nothing complains,
  down when the provider says 429.
- `Quota` keeps requests and tokens a minute below what the account allows. Whoever has to wait
  for it holds no slot.

What the quota counts lives behind `LimitStore`, so that several processes can share an account
through a database.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import orjson

from app.core.clock import Clock
from app.core.errors import ConfigurationError
from app.core.parameters import ASSUMED_MAX_OUTPUT_TOKENS
from app.core.settings import EndpointSettings
from app.llm.errors import BadRequest, CallNotStarted
from app.llm.pricing import choice_count, output_token_bound
from app.llm.types import LLMRequest, Usage

__all__ = [
    "AccountLimits",
    "AdaptiveLimit",
    "InMemoryLimitStore",
    "LimitStore",
    "Quota",
    "Slots",
]

_DRAINING = "The client is draining: this call was not started."
_USED = 0.8
_DECREASE = 0.7
_BYTES_PER_TOKEN = 4
_BURST_S = 6.0


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """The limits of one account.

    `concurrency` is a fixed number of calls at once; None lets it adapt, up to
    `max_concurrency`, which is the size of the connection pool. None for a quota is no limit
    of ours. Raises `ConfigurationError` for a concurrency that the pool cannot hold.
    """

    max_concurrency: int = 200
    concurrency: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None

    def __post_init__(self) -> None:
        if self.concurrency is not None and not 1 <= self.concurrency <= self.max_concurrency:
            raise ConfigurationError(
                f"A concurrency of {self.concurrency} is not possible: the endpoint allows 1 to "
                f"{self.max_concurrency}. Raise its max_concurrency for more.",
                path="concurrency",
            )

    @classmethod
    def of(
        cls,
        settings: EndpointSettings,
        concurrency: int | None = None,
        *,
        keeps_chat_share: bool = False,
    ) -> AccountLimits:
        """Return the limits that an endpoint's settings name.

        With `keeps_chat_share` the part of the quota that is kept for chats is not in them.
        """
        part = 1 - settings.chat_share if keeps_chat_share else 1.0
        rpm, tpm = settings.requests_per_minute, settings.tokens_per_minute
        return cls(
            settings.max_concurrency,
            concurrency,
            None if rpm is None else rpm * part,
            None if tpm is None else tpm * part,
        )

    def shared(self, share: float) -> AccountLimits:
        """Return the part of one of several processes: `share` is 1/N; at least one slot."""
        if share == 1:
            return self
        fixed, rpm, tpm = self.concurrency, self.requests_per_minute, self.tokens_per_minute
        return AccountLimits(
            max(1, int(self.max_concurrency * share)),
            None if fixed is None else max(1, int(fixed * share)),
            None if rpm is None else rpm * share,
            None if tpm is None else tpm * share,
        )


class Slots:
    """A bounded number of calls in flight, handed out by urgency, then by order of arrival.

    `limit` may change at any time; lowering it takes effect as calls end. Cancelling a waiter
    loses no slot.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._in_flight = 0
        self._refused = False
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        return self._limit

    @property
    def in_flight(self) -> int:
        return self._in_flight

    async def acquire(self, *, urgent: bool = False) -> None:
        """Take a slot, waiting for one if need be.

        Raises `CallNotStarted` once `refuse` was called.
        """
        if self._refused:
            raise CallNotStarted(_DRAINING)
        if self._in_flight < self._limit:
            # Nobody waits: what becomes free is handed out at once.
            self._in_flight += 1
            return
        queue = self._urgent if urgent else self._waiting
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in queue:
                queue.remove(turn)
            elif not turn.cancelled() and turn.exception() is None:
                self.release()  # the slot came in the very moment of the cancellation
            raise

    def release(self) -> None:
        """Give a slot back."""
        self._in_flight -= 1
        self._hand_out()

    def resize(self, limit: int) -> None:
        """Allow `limit` calls at once from now on."""
        self._limit = limit
        self._hand_out()

    def refuse(self) -> None:
        """Send everyone who waits away, and everyone who comes: `CallNotStarted`."""
        self._refused = True
        for queue in (self._urgent, self._waiting):
            for turn in queue:
                if not turn.done():
                    turn.set_exception(CallNotStarted(_DRAINING))
            queue.clear()

    def _hand_out(self) -> None:
        while self._in_flight < self._limit and (queue := self._urgent or self._waiting):
            turn = queue.popleft()
            if not turn.done():
                self._in_flight += 1
                turn.set_result(None)


class AdaptiveLimit:
    """The number of calls at once that a provider seems to bear; pure, between 1 and `maximum`.

    It grows only while it is used (at least 80 % in flight): from `start`, by one for every call
    that succeeds, so doubling with every round, until the first 429; afterwards by one a round.
    A 429 takes it to 70 %, once an episode: calls that were sent before the last decrease say
    nothing new. A provider's failure (5xx) stops growth for `pause_s` seconds.

    This is TCP's congestion control (slow start, then additive increase and multiplicative
    decrease, RFC 5681) with 429 in the place of loss. Times are of a monotonic clock, seconds.
    """

    def __init__(self, *, maximum: int, start: int = 10, pause_s: float = 5.0) -> None:
        self._maximum = maximum
        self._limit = float(min(start, maximum))
        self._pause_s = pause_s
        self._slow_start = True
        self._decreased_at = float("-inf")
        self._paused_until = float("-inf")

    @property
    def value(self) -> int:
        """The limit now."""
        return int(self._limit)

    def succeeded(self, *, in_flight: int, now: float) -> None:
        """Note a call that was answered; `in_flight` counts it."""
        if in_flight < _USED * self.value or now < self._paused_until:
            return
        step = 1.0 if self._slow_start else 1.0 / self._limit
        self._limit = min(self._limit + step, float(self._maximum))

    def rate_limited(self, *, started_at: float, now: float) -> None:
        """Note a 429 for a call that was sent at `started_at`."""
        if started_at <= self._decreased_at:
            return
        self._slow_start = False
        self._decreased_at = now
        self._limit = max(1.0, self._limit * _DECREASE)

    def failed(self, *, now: float) -> None:
        """Note a failure of the provider that is no 429."""
        self._paused_until = now + self._pause_s


class LimitStore(Protocol):
    """What is left of a quota, by key; shared by all who pass the same store."""

    async def take(self, key: str, per_minute: float, amount: float) -> float:
        """Take `amount` of the quota; return 0.0, or the seconds to wait if nothing was taken."""
        ...

    async def settle(self, key: str, per_minute: float, difference: float) -> None:
        """Charge `difference` more for what was taken already; give back if it is negative."""
        ...


class InMemoryLimitStore:
    """Quotas of one process.

    Each key is a leaky bucket kept as one time, the moment when all that was taken will have
    been earned (GCRA's theoretical arrival time). An amount is granted when that moment is at
    most six seconds away, so at most a tenth of a minute's quota goes out in a burst, and a
    request bigger than that is paid off afterwards by those who come next. pyrate-limiter has
    the same algorithm but cannot charge the difference between estimate and usage.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._earned_at: dict[str, float] = {}

    async def take(self, key: str, per_minute: float, amount: float) -> float:
        now = self._clock.monotonic()
        earned_at = max(self._earned_at.get(key, now), now)
        if earned_at - now > _BURST_S:
            return earned_at - now - _BURST_S
        self._earned_at[key] = earned_at + amount * 60.0 / per_minute
        return 0.0

    async def settle(self, key: str, per_minute: float, difference: float) -> None:
        if key in self._earned_at:
            self._earned_at[key] += difference * 60.0 / per_minute


class Quota:
    """Requests and tokens a minute of one account; waiting for it holds no slot.

    A call's tokens are estimated before (a quarter of the request's bytes, and all the output
    it may have) and settled with the reported usage after it. `pause` waits for so many seconds
    unless the client drains.
    """

    def __init__(
        self,
        account: str,
        limits: AccountLimits,
        store: LimitStore,
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self._account = account
        self._requests = limits.requests_per_minute
        self._tokens = limits.tokens_per_minute
        self._store = store
        self._pause = pause
        # One at a time asks the store, the others queue: first come, first served.
        self._turn = Slots(1)

    def estimate(self, request: LLMRequest) -> int:
        """Return the tokens to reserve for a request; 0 if tokens are not limited.

        Raises `BadRequest` if the request is larger than a whole minute's quota.
        """
        if self._tokens is None:
            return 0
        size = len(orjson.dumps(request.request_shape))
        output = output_token_bound(request) or ASSUMED_MAX_OUTPUT_TOKENS
        tokens = -(-size // _BYTES_PER_TOKEN) + output * choice_count(request)
        if tokens > self._tokens:
            raise BadRequest(
                f"This request needs about {tokens} tokens, and endpoint {self._account!r} may use "
                f"{self._tokens:g} a minute. Lower max_tokens or raise tokens_per_minute."
            )
        return tokens

    async def admit(self, tokens: int, *, urgent: bool) -> None:
        """Wait until one request of so many tokens may be sent, and take it from the quota.

        Raises `CallNotStarted` if the client drains meanwhile.
        """
        await self._turn.acquire(urgent=urgent)
        try:
            if self._requests is not None:
                await self._take("requests", self._requests, 1)
            if self._tokens is not None:
                await self._take("tokens", self._tokens, tokens)
        finally:
            self._turn.release()

    async def settle(self, tokens: int, usage: Usage | None) -> None:
        """Correct an estimate: `usage` is what was consumed, None if the call was not served.

        An answer without reported usage keeps its estimate.
        """
        if self._tokens is None:
            return
        if usage is None:
            used = 0
        elif usage.input_tokens is None or usage.output_tokens is None:
            return
        else:
            used = usage.input_tokens + usage.output_tokens
        await self._store.settle(f"{self._account}:tokens", self._tokens, used - tokens)

    def refuse(self) -> None:
        """Send everyone who waits away: the client drains."""
        self._turn.refuse()

    async def _take(self, unit: str, per_minute: float, amount: int) -> None:
        key = f"{self._account}:{unit}"
        while wait := await self._store.take(key, per_minute, amount):
            await self._pause(wait)
