"""LLMClient: the only way to a model.

Every generation goes through the same steps: quota, slot, one call to the provider, record, and
on a passing failure a wait and the next call (`app.llm.retry`; the providers themselves never
retry). The invariants:

- Whoever waits, for quota, slot or the next try, holds no slot; a retry gets the next free slot
  before any first attempt.
- Every call that ended is told to the `on_attempt` observer at once, before anything else
  happens, also if it failed or was cancelled.
- A stream is tried again only as long as no event was passed on.
- After `drain`, nothing new is sent: whoever waits gets `CallNotStarted`; calls in flight end
  as they would.
- With a budget, the worst case of every call is reserved before it is sent and settled when it
  has ended (`app.llm.budget`); what has no bound is not sent.
- A 429 is told to all who use the account, and a client that gives way sends nothing new while
  the account wants to be left alone (`app.llm.account_signals`).

One client serves one process. It is made at the composition root and closed there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from opentelemetry.trace import Span, Tracer

from app.core.clock import Clock, SystemClock
from app.core.errors import ConfigurationError
from app.core.telemetry import current_trace_id
from app.llm.account_signals import PATIENCE_S, AccountSignals
from app.llm.budget import BudgetStore, charge_of_error
from app.llm.errors import (
    BadRequest,
    CallNotStarted,
    LLMError,
    QuotaExhausted,
    RateLimited,
    ServerError,
    TruncatedStream,
)
from app.llm.limits import (
    AccountLimits,
    AdaptiveLimit,
    InMemoryLimitStore,
    LimitStore,
    Quota,
    Slots,
)
from app.llm.observation import CallObserver
from app.llm.pricing import CostBound, cost, cost_bound
from app.llm.providers import ModelReport, Provider, ProviderReply
from app.llm.retry import RetryPolicy, RetryState
from app.llm.types import (
    CANCELLED,
    NO_USAGE,
    OK,
    AttemptObserver,
    AttemptRecord,
    LLMRequest,
    LLMResponse,
    ModelTarget,
    StreamEvent,
)

if TYPE_CHECKING:  # the logging library costs every command a tenth of its start
    from app.core.logging import Logger

__all__ = ["LLMClient", "ProviderFactory"]

_NOTHING = Decimal(0)
_ASKED_AGAIN_S = 1.0
_DRAINING = "The client is draining: the next call was not started."

ProviderFactory = Callable[[], Provider]
"""Makes the provider of an endpoint when it is first used: SDKs take a second to import."""


class LLMClient:
    """Generates with any model of any endpoint.

    `providers` has a factory for every endpoint; `limits` what an account allows (defaults:
    `AccountLimits()`). `share` is this process's part of every limit, 1/N of N processes.
    `limit_store` holds what quotas count, in memory if none is given. `budget` bounds what all
    calls together may cost; without one nothing does. `signals` carries word of 429s to and from
    others on the same accounts, and with `gives_way` this client waits for what they heard.
    `random` decides the jitter of retries.
    Without `tracer` and `logger` nothing is traced and logged.
    """

    def __init__(
        self,
        providers: Mapping[str, ProviderFactory],
        *,
        limits: Mapping[str, AccountLimits] | None = None,
        limit_store: LimitStore | None = None,
        budget: BudgetStore | None = None,
        signals: AccountSignals | None = None,
        gives_way: bool = False,
        share: float = 1.0,
        retry: RetryPolicy | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        tracer: Tracer | None = None,
        logger: Logger | None = None,
    ) -> None:
        self._factories = providers
        self._limits = limits or {}
        self._share = share
        self._policy = retry or RetryPolicy()
        self._clock = clock or SystemClock()
        self._store = limit_store or InMemoryLimitStore(self._clock)
        self._budget = budget
        self._signals = signals
        self._gives_way = gives_way
        self._unpaid: set[asyncio.Future[None]] = set()
        self._random = random or Random()
        self._observer = CallObserver(tracer, logger)
        self._accounts: dict[str, _Account] = {}
        self._draining = asyncio.Event()

    async def generate(
        self, request: LLMRequest, *, on_attempt: AttemptObserver | None = None
    ) -> LLMResponse:
        """Return the answer to a request.

        Raises the `LLMError` of the last attempt, `CallNotStarted` if the client drained before
        one could be made, `BudgetReached` if none can be paid any more, `ConfigurationError` if
        the endpoint is not known.
        """
        work = self._work(request, on_attempt)
        wait = 0.0
        while True:
            call = await self._begin(work, wait, stream=False)
            try:
                reply = await work.account.provider.generate(request)
            except LLMError as error:
                call.failed(error)
                wait = await work.next_wait(error)
            except BaseException:
                call.cancelled()
                raise
            else:
                response = call.succeeded(reply)
                await work.settle(response)
                return response

    async def stream(
        self, request: LLMRequest, *, on_attempt: AttemptObserver | None = None
    ) -> AsyncGenerator[StreamEvent, None]:
        """Yield the answer as it grows, then one event that carries the whole `LLMResponse`.

        Raises as `generate` does; an error after the first event is final and has the text so
        far as `partial_text`. Close the iterator to cut the call off.
        """
        work = self._work(request, on_attempt)
        wait = 0.0
        while True:
            call = await self._begin(work, wait, stream=True)
            passed_on = False
            try:
                async with aclosing(work.account.provider.stream(request)) as events:
                    async for event in events:
                        if isinstance(event, ProviderReply):
                            response = call.succeeded(event)
                            break
                        call.first_event()
                        passed_on = True
                        yield event
                    else:
                        raise TruncatedStream("The stream ended without an answer.")
            except LLMError as error:
                call.failed(error)
                wait = await work.next_wait(error, final=passed_on)
            except BaseException:
                call.cancelled()
                raise
            else:
                await work.settle(response)
                yield StreamEvent(response=response)
                return

    async def probe(self, target: ModelTarget) -> ModelReport:
        """Ask the provider about a model without generating; `UnknownModel` if it has none."""
        return await self._account(target.endpoint).provider.probe(target.provider_model)

    def concurrency(self, endpoint: str) -> int:
        """Return how many calls the endpoint may have in flight now."""
        return self._account(endpoint).slots.limit

    def drain(self) -> None:
        """Send nothing new from now on; return at once, calls in flight go on."""
        self._draining.set()
        for account in self._accounts.values():
            account.refuse()
        for turn in self._unpaid:
            if not turn.done():
                turn.set_exception(CallNotStarted(_DRAINING))

    async def close(self) -> None:
        """Drain, and close all connections: calls in flight break."""
        self.drain()
        for account in self._accounts.values():
            await account.provider.close()

    # --- the steps of an attempt ------------------------------------------------------------

    def _work(self, request: LLMRequest, on_attempt: AttemptObserver | None) -> _Work:
        account = self._account(request.target.endpoint)
        state = RetryState(self._policy, self._random)
        tokens = account.quota.estimate(request) if account.quota else 0
        return _Work(request, account, on_attempt, state, tokens, self._bill(request))

    def _bill(self, request: LLMRequest) -> _Bill | None:
        """Return what the calls of a request are charged to; `BadRequest` if nothing bounds it."""
        if self._budget is None:
            return None
        bound = cost_bound(request, request.target.price)
        if bound is None:
            raise BadRequest(
                f"Nothing bounds what a call to {request.target.provider_model} costs, and the "
                "experiment has a budget: the model needs a price, the request max_tokens, and "
                "images cannot be priced before the call."
            )
        return _Bill(self._budget, bound)

    async def _begin(self, work: _Work, wait: float, *, stream: bool) -> _Call:
        """Wait `wait` seconds, for quota, slot and money; start the clock of an attempt."""
        account, urgent = work.account, work.attempts > 0
        try:
            if wait > 0:
                await self._pause(wait)
            if account.quota is not None:
                await account.quota.admit(work.tokens, urgent=urgent)
            await self._give_way(work.request.target.endpoint)
            await account.slots.acquire(urgent=urgent)
            if work.bill is not None and not work.bill.take():
                await self._wait_for_money(work.bill, account.slots, urgent=urgent)
        except CallNotStarted as error:
            error.attempts = work.attempts
            raise
        work.attempts += 1
        return _Call(work, self._clock, self._observer, stream=stream)

    async def _give_way(self, endpoint: str) -> None:
        """Wait while others have heard that the account wants to be left alone.

        Those who waited go on one after the other: all at once they would be told to wait again.
        """
        if self._signals is None or not self._gives_way:
            return
        while (wait := await self._signals.wait_s(endpoint)) > 0:
            asked_again = min(wait, _ASKED_AGAIN_S)  # by then others may have heard something else
            await self._pause(asked_again * (1 + self._random.random()))

    async def _wait_for_money(self, bill: _Bill, slots: Slots, *, urgent: bool) -> None:
        """Give the slot back, wait until the call can be paid, and take the next slot.

        Money is reserved after the slot, so that only calls about to be sent hold any.
        """
        slots.release()
        turn = bill.wait(urgent=urgent)
        self._unpaid.add(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                bill.settle(_NOTHING)  # the money came in the very moment of the cancellation
            raise
        finally:
            self._unpaid.discard(turn)
        try:
            await slots.acquire(urgent=True)
        except BaseException:
            bill.settle(_NOTHING)
            raise

    async def _pause(self, seconds: float) -> None:
        """Sleep; raises `CallNotStarted` as soon as the client drains."""
        try:
            async with asyncio.timeout(seconds):
                await self._draining.wait()
        except TimeoutError:
            return
        raise CallNotStarted(_DRAINING)

    def _tell(self, endpoint: str, error: RateLimited) -> None:
        """Pass on that the account wants patience; one that is used up is helped by none."""
        if self._signals is not None and not isinstance(error, QuotaExhausted):
            asked = error.retry_after_s
            self._signals.rate_limited(endpoint, PATIENCE_S if asked is None else asked)

    def _account(self, endpoint: str) -> _Account:
        account = self._accounts.get(endpoint)
        if account is None:
            account = self._accounts[endpoint] = self._open_account(endpoint)
        return account

    def _open_account(self, endpoint: str) -> _Account:
        factory = self._factories.get(endpoint)
        if factory is None:
            raise ConfigurationError(
                f"There is no endpoint {endpoint!r}; the settings have "
                f"{', '.join(sorted(self._factories)) or 'none'}.",
                path=f"endpoints.{endpoint}",
            )
        limits = self._limits.get(endpoint, AccountLimits()).shared(self._share)
        is_limited = limits.requests_per_minute or limits.tokens_per_minute
        quota = Quota(endpoint, limits, self._store, self._pause) if is_limited else None
        account = _Account(factory(), limits, quota, partial(self._tell, endpoint))
        if self._draining.is_set():
            account.refuse()
        return account


class _Account:
    """One endpoint in use: its provider and what bounds the calls to it; `tell` hears its 429s."""

    def __init__(
        self,
        provider: Provider,
        limits: AccountLimits,
        quota: Quota | None,
        tell: Callable[[RateLimited], None],
    ) -> None:
        self.provider = provider
        self.quota = quota
        self._tell = tell
        self.answered = False
        self._adaptive: AdaptiveLimit | None = None
        if limits.concurrency is None:
            self._adaptive = AdaptiveLimit(maximum=limits.max_concurrency)
            self.slots = Slots(self._adaptive.value)
        else:
            self.slots = Slots(limits.concurrency)

    def refuse(self) -> None:
        self.slots.refuse()
        if self.quota is not None:
            self.quota.refuse()

    def ended(self, error: BaseException | None, *, started_at: float, now: float) -> None:
        """Learn from a call that ended and give its slot back."""
        if error is None or (isinstance(error, LLMError) and error.http_status is not None):
            self.answered = True
        if isinstance(error, RateLimited):
            self._tell(error)
        if self._adaptive is not None:
            self._adapt(self._adaptive, error, started_at=started_at, now=now)
        self.slots.release()

    def _adapt(
        self,
        adaptive: AdaptiveLimit,
        error: BaseException | None,
        *,
        started_at: float,
        now: float,
    ) -> None:
        if error is None:
            adaptive.succeeded(in_flight=self.slots.in_flight, now=now)
        elif isinstance(error, RateLimited):
            adaptive.rate_limited(started_at=started_at, now=now)
        elif isinstance(error, ServerError):
            adaptive.failed(now=now)
        if adaptive.value != self.slots.limit:
            self.slots.resize(adaptive.value)


@dataclass(frozen=True, slots=True)
class _Bill:
    """Where the calls of one generation are charged, and the most that each can cost."""

    budget: BudgetStore
    bound: CostBound

    def take(self) -> bool:
        return self.budget.take(self.bound.total)

    def wait(self, *, urgent: bool) -> asyncio.Future[None]:
        return self.budget.wait_for(self.bound.total, urgent=urgent)

    def settle(self, spent: Decimal | None) -> None:
        """Charge what a call cost; None is not known, hence its worst case."""
        worst = self.bound.total
        self.budget.settle(worst, worst if spent is None else spent)


@dataclass(slots=True)
class _Work:
    """One generation on its way: who asked for what, and how often it was tried."""

    request: LLMRequest
    account: _Account
    on_attempt: AttemptObserver | None
    state: RetryState
    tokens: int
    bill: _Bill | None = None
    attempts: int = 0

    async def settle(self, response: LLMResponse | None) -> None:
        """Correct what the quota charged for the last attempt."""
        if self.account.quota is not None:
            await self.account.quota.settle(self.tokens, response.usage if response else None)

    async def next_wait(self, error: LLMError, *, final: bool = False) -> float:
        """Return the seconds until the next attempt is due; raise the error if there is none."""
        await self.settle(None)
        answered = self.account.answered
        wait = None if final else self.state.next_wait(error, endpoint_answered=answered)
        if wait is None:
            error.attempts = self.attempts
            raise error
        return wait


class _Call:
    """One attempt, from the moment it has its slot to its record.

    Exactly one of `succeeded`, `failed` and `cancelled` counts, the first one.
    """

    __slots__ = (
        "_begun_at",
        "_clock",
        "_ended",
        "_first_ms",
        "_number",
        "_observer",
        "_span",
        "_started_at",
        "_work",
    )

    def __init__(self, work: _Work, clock: Clock, observer: CallObserver, *, stream: bool) -> None:
        self._work = work
        self._clock = clock
        self._observer = observer
        self._number = work.attempts
        self._ended = False
        self._first_ms: float | None = None
        self._span: Span | None = observer.begin(work.request, work.attempts, stream=stream)
        self._started_at = clock.now()
        self._begun_at = clock.monotonic()

    def first_event(self) -> None:
        """Note the time of an event, if it is the first one."""
        if self._first_ms is None:
            self._first_ms = (self._clock.monotonic() - self._begun_at) * 1000

    def succeeded(self, reply: ProviderReply) -> LLMResponse:
        """Record the answer and return it."""
        price = cost(reply.usage, self._work.request.target.price)
        now = self._clock.monotonic()
        record = AttemptRecord(
            number=self._number,
            started_at=self._started_at,
            latency_ms=(now - self._begun_at) * 1000,
            outcome=OK,
            http_status=reply.http_status,
            provider_request_id=reply.provider_request_id,
            usage=reply.usage,
            cost=price,
        )
        trace_id = self._end(record, now, spent=price, error=None, reply=reply)
        return LLMResponse(
            choices=reply.choices,
            usage=reply.usage,
            cost=price,
            latency_ms=record.latency_ms,
            time_to_first_token_ms=reply.time_to_first_token_ms or self._first_ms,
            started_at=self._started_at,
            attempts=self._number,
            reported_model=reply.reported_model,
            reported_fingerprint=reply.reported_fingerprint,
            provider_request_id=reply.provider_request_id,
            trace_id=trace_id,
        )

    def failed(self, error: LLMError) -> None:
        """Record the error."""
        usage = error.usage or NO_USAGE
        now = self._clock.monotonic()
        record = AttemptRecord(
            number=self._number,
            started_at=self._started_at,
            latency_ms=(now - self._begun_at) * 1000,
            outcome=error.code,
            http_status=error.http_status,
            provider_request_id=error.provider_request_id,
            usage=usage,
            cost=cost(usage, self._work.request.target.price) if error.usage else None,
            error_message=error.message,
            error_body=error.body,
            retry_after_s=error.retry_after_s,
        )
        self._end(record, now, spent=self._charge(error), error=error, reply=None)

    def cancelled(self) -> None:
        """Record that the caller gave up."""
        if self._ended:
            return
        now = self._clock.monotonic()
        latency_ms = (now - self._begun_at) * 1000
        record = AttemptRecord(self._number, self._started_at, latency_ms, CANCELLED)
        self._end(record, now, spent=None, error=asyncio.CancelledError(), reply=None)

    def _charge(self, error: LLMError) -> Decimal | None:
        bill = self._work.bill
        return charge_of_error(error, bill.bound, self._work.request.target.price) if bill else None

    def _end(
        self,
        record: AttemptRecord,
        now: float,
        *,
        spent: Decimal | None,
        error: BaseException | None,
        reply: ProviderReply | None,
    ) -> str | None:
        """Settle the bill, give the slot back and tell everyone; return the trace's id."""
        self._ended = True
        if self._work.bill is not None:
            self._work.bill.settle(spent)
        self._work.account.ended(error, started_at=self._begun_at, now=now)
        context = self._span.get_span_context() if self._span is not None else None
        trace_id = format(context.trace_id, "032x") if context else current_trace_id()
        self._observer.end(self._span, self._work.request, record, reply, trace_id, self._first_ms)
        if self._work.on_attempt is not None:
            self._work.on_attempt(record)
        return trace_id
