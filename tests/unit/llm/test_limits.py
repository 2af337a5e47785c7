"""Slots, adaptive concurrency and quotas, without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import ConfigurationError
from app.core.settings import EndpointSettings
from app.llm.errors import BadRequest, CallNotStarted
from app.llm.limits import AccountLimits, AdaptiveLimit, InMemoryLimitStore, Quota, Slots
from app.llm.types import NO_USAGE, Usage
from tests.unit.llm.support import ManualClock, request


async def turns() -> None:
    """Let every task that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


# --- slots -----------------------------------------------------------------------------------


async def test_waiters_get_slots_urgent_first_and_then_in_order_of_arrival() -> None:
    slots, order = Slots(1), []

    async def work(name: str, *, urgent: bool) -> None:
        await slots.acquire(urgent=urgent)
        order.append(name)
        slots.release()

    await slots.acquire()
    async with asyncio.TaskGroup() as tasks:
        for name, urgent in [("a", False), ("b", False), ("A", True), ("B", True)]:
            tasks.create_task(work(name, urgent=urgent))
            await turns()
        slots.release()

    assert order == ["A", "B", "a", "b"]
    assert slots.in_flight == 0


async def test_a_higher_limit_lets_waiters_in_and_a_lower_one_holds_them_back() -> None:
    slots = Slots(1)
    await slots.acquire()
    waiters = [asyncio.create_task(slots.acquire()) for _ in range(3)]
    await turns()

    slots.resize(3)
    await turns()
    assert [waiter.done() for waiter in waiters] == [True, True, False]

    slots.resize(1)
    slots.release()
    slots.release()
    await turns()
    assert (slots.in_flight, waiters[2].done()) == (1, False)

    slots.release()
    await waiters[2]
    assert slots.in_flight == 1


async def test_whoever_waits_when_the_client_drains_is_sent_away() -> None:
    slots = Slots(1)
    await slots.acquire()
    waiters = [asyncio.create_task(slots.acquire(urgent=urgent)) for urgent in (True, False)]
    await turns()

    slots.refuse()

    for waiter in waiters:
        with pytest.raises(CallNotStarted):
            await waiter
    with pytest.raises(CallNotStarted):
        await slots.acquire()
    slots.release()
    assert slots.in_flight == 0


async def test_a_slot_given_in_the_moment_of_a_cancellation_is_not_lost() -> None:
    slots = Slots(1)
    await slots.acquire()
    waiter = asyncio.create_task(slots.acquire())
    await turns()

    slots.release()  # hands the slot to the waiter, which has not run yet
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter

    assert slots.in_flight == 0


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["start", "urgent", "end", "cancel", "resize"]), st.integers(0, 9)
        ),
        max_size=40,
    )
)
def test_no_slot_is_lost_or_given_twice(steps: list[tuple[str, int]]) -> None:
    async def play() -> None:
        slots = Slots(2)
        waiting: list[asyncio.Task[None]] = []
        for step, number in steps:
            if step in ("start", "urgent"):
                waiting.append(asyncio.create_task(slots.acquire(urgent=step == "urgent")))
            elif step == "resize":
                slots.resize(1 + number % 4)
            elif step == "cancel":
                unserved = [task for task in waiting if not task.done()]
                if unserved:
                    waiting.remove(unserved[number % len(unserved)])
                    unserved[number % len(unserved)].cancel()
            elif step == "end":
                done = [task for task in waiting if task.done()]
                if done:
                    waiting.remove(done[0])
                    slots.release()
            if number % 2:
                await turns()
        await turns()
        holders = sum(task.done() for task in waiting)
        assert slots.in_flight == holders
        assert holders == len(waiting) or slots.in_flight >= slots.limit
        slots.refuse()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(play())


# --- adaptive concurrency --------------------------------------------------------------------


def full_round(limit: AdaptiveLimit, now: float = 0.0) -> None:
    """Every slot is used and every call succeeds."""
    for _ in range(limit.value):
        limit.succeeded(in_flight=limit.value, now=now)


def test_the_limit_doubles_each_round_until_the_first_429() -> None:
    limit = AdaptiveLimit(maximum=200, start=10)
    seen = []
    for _ in range(6):
        seen.append(limit.value)
        full_round(limit)

    assert seen[:3] == [10, 20, 40]
    assert seen[-1] == 200


def test_after_a_429_it_grows_by_one_a_round() -> None:
    limit = AdaptiveLimit(maximum=200, start=100)
    limit.rate_limited(started_at=1.0, now=2.0)
    assert limit.value == 70

    full_round(limit)
    full_round(limit)

    assert limit.value == 71  # 70 + 2 rounds of just under one


def test_the_429s_of_one_episode_decrease_once() -> None:
    limit = AdaptiveLimit(maximum=200, start=100)
    limit.rate_limited(started_at=1.0, now=2.0)

    for _ in range(30):
        limit.rate_limited(started_at=1.5, now=2.1)  # sent before the decrease
    assert limit.value == 70

    limit.rate_limited(started_at=2.5, now=3.0)
    assert limit.value == 49


def test_it_does_not_grow_while_it_is_not_used() -> None:
    limit = AdaptiveLimit(maximum=200, start=10)

    for _ in range(100):
        limit.succeeded(in_flight=7, now=0.0)

    assert limit.value == 10


def test_a_failing_provider_stops_growth_for_a_while_and_takes_nothing_away() -> None:
    limit = AdaptiveLimit(maximum=200, start=10, pause_s=5)
    limit.failed(now=100.0)

    full_round(limit, now=104.9)
    assert limit.value == 10
    full_round(limit, now=105.0)
    assert limit.value == 20


@given(
    st.integers(1, 50),
    st.lists(st.tuples(st.sampled_from(["ok", "429", "500"]), st.floats(0, 10)), max_size=200),
)
def test_it_stays_between_one_and_the_maximum(
    maximum: int, events: list[tuple[str, float]]
) -> None:
    limit, now = AdaptiveLimit(maximum=maximum), 0.0
    for event, passed in events:
        now += passed
        if event == "ok":
            limit.succeeded(in_flight=limit.value, now=now)
        elif event == "429":
            limit.rate_limited(started_at=now, now=now)
        else:
            limit.failed(now=now)
        assert 1 <= limit.value <= maximum


# --- account limits --------------------------------------------------------------------------


def test_processes_share_every_limit_evenly() -> None:
    whole = AccountLimits(200, 50, 600, 90_000)

    assert whole.shared(0.5) == AccountLimits(100, 25, 300, 45_000)
    assert AccountLimits(1, 1).shared(0.25) == AccountLimits(1, 1)
    assert AccountLimits().shared(0.5) == AccountLimits(100)


def test_more_calls_at_once_than_the_pool_holds_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="max_concurrency"):
        AccountLimits(max_concurrency=50, concurrency=51)


def test_limits_are_read_from_an_endpoints_settings() -> None:
    settings = EndpointSettings(provider="openai", max_concurrency=60, tokens_per_minute=9)

    assert AccountLimits.of(settings, 40) == AccountLimits(60, 40, None, 9)


# --- quotas ----------------------------------------------------------------------------------


class Waiting:
    """A pause that sets the clock forward and remembers how long it took."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.waits: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)
        self._clock.seconds += seconds


def quota(clock: ManualClock, pause: Callable[[float], Awaitable[None]], **limits: float) -> Quota:
    return Quota("lab", AccountLimits(**limits), InMemoryLimitStore(clock), pause)  # type: ignore[arg-type] # only the float fields are given


@settings(deadline=None)
@given(st.integers(6, 600), st.integers(1, 200))
def test_requests_a_minute_are_never_exceeded_by_more_than_a_tenth(rpm: int, count: int) -> None:
    async def play() -> list[float]:
        clock = ManualClock()
        gate = quota(clock, Waiting(clock), requests_per_minute=rpm)
        sent = []
        for _ in range(count):
            await gate.admit(0, urgent=False)
            sent.append(clock.seconds)
        return sent

    sent = asyncio.run(play())
    for start in sent:
        within_a_minute = sum(start <= moment < start + 60 for moment in sent)
        assert within_a_minute <= rpm * 1.1 + 2


async def test_a_quota_below_its_limit_waits_for_nobody() -> None:
    clock = ManualClock()
    pause = Waiting(clock)
    gate = quota(clock, pause, requests_per_minute=60, tokens_per_minute=6000)

    for _ in range(5):
        await gate.admit(100, urgent=False)

    assert pause.waits == []


async def test_tokens_that_were_not_used_are_given_back() -> None:
    clock = ManualClock()
    pause = Waiting(clock)
    gate = quota(clock, pause, tokens_per_minute=6000)
    await gate.admit(3000, urgent=False)  # 30 s of quota

    await gate.settle(3000, Usage(50, 50))  # 1 s of it was used
    await gate.admit(3000, urgent=False)

    assert pause.waits == []


async def test_tokens_that_were_used_beyond_the_estimate_are_charged() -> None:
    clock = ManualClock()
    pause = Waiting(clock)
    gate = quota(clock, pause, tokens_per_minute=6000)
    await gate.admit(100, urgent=False)

    await gate.settle(100, Usage(2000, 600))  # 26 s of quota
    await gate.admit(100, urgent=False)

    assert pause.waits == [pytest.approx(20)]  # all but the burst of 6 s


async def test_a_call_that_was_not_served_costs_no_tokens_and_an_unreported_one_its_estimate() -> (
    None
):
    clock = ManualClock()
    pause = Waiting(clock)
    gate = quota(clock, pause, tokens_per_minute=6000)
    await gate.admit(3000, urgent=False)
    await gate.settle(3000, None)
    await gate.admit(3000, urgent=False)
    assert pause.waits == []

    await gate.settle(3000, NO_USAGE)
    await gate.admit(1, urgent=False)
    assert pause.waits == [pytest.approx(24)]


async def test_a_request_larger_than_a_minutes_quota_is_refused_before_it_waits() -> None:
    clock = ManualClock()
    gate = quota(clock, Waiting(clock), tokens_per_minute=500)

    assert gate.estimate(request("hi", max_tokens=400)) < 500
    with pytest.raises(BadRequest, match="tokens_per_minute"):
        gate.estimate(request("hi", max_tokens=500))


async def test_the_estimate_counts_every_choice_and_is_free_without_a_token_limit() -> None:
    clock = ManualClock()
    gate = quota(clock, Waiting(clock), tokens_per_minute=10_000)

    one, three = (gate.estimate(request("hi", max_tokens=100, n=n)) for n in (1, 3))

    assert three - one == 200
    assert quota(clock, Waiting(clock), requests_per_minute=1).estimate(request("hi")) == 0


async def test_retries_pass_first_attempts_in_the_queue_for_the_quota() -> None:
    clock, order = ManualClock(), []
    released = asyncio.Event()

    async def pause(seconds: float) -> None:
        await released.wait()
        clock.seconds += seconds

    gate = quota(clock, pause, requests_per_minute=6)

    async def work(name: str, *, urgent: bool) -> None:
        await gate.admit(0, urgent=urgent)
        order.append(name)

    async with asyncio.TaskGroup() as tasks:
        for name, urgent in [("1", False), ("2", False), ("3", False), ("again", True)]:
            tasks.create_task(work(name, urgent=urgent))
            await turns()
        released.set()

    assert order == ["1", "2", "again", "3"]


async def test_whoever_waits_for_the_quota_is_sent_away_when_the_client_drains() -> None:
    clock = ManualClock()
    draining = asyncio.Event()

    async def pause(seconds: float) -> None:
        await draining.wait()
        raise CallNotStarted("draining")

    gate = quota(clock, pause, requests_per_minute=6)
    await gate.admit(0, urgent=False)
    waiters = [asyncio.create_task(gate.admit(0, urgent=False)) for _ in range(3)]
    await turns()

    gate.refuse()
    draining.set()

    for waiter in waiters:
        with pytest.raises(CallNotStarted):
            await waiter
