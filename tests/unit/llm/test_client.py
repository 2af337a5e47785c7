"""The client's promises, with a scripted provider in place of a network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from decimal import Decimal
from random import Random

import pytest

from app.core.errors import ConfigurationError
from app.llm.client import LLMClient
from app.llm.errors import (
    AuthenticationFailed,
    CallNotStarted,
    ConnectionFailed,
    ContentFiltered,
    EndpointUnreachable,
    LLMError,
    RateLimited,
    ServerError,
    TruncatedStream,
)
from app.llm.limits import AccountLimits
from app.llm.providers import Provider, ProviderReply
from app.llm.retry import RetryPolicy
from app.llm.types import AttemptRecord, LLMRequest, ModelTarget, Price, StreamEvent, Usage
from tests.unit.llm.support import ManualClock, ScriptedProvider, request

AT_ONCE = RetryPolicy(base_s=0.0, spread=0.0)
LATER = RateLimited("slow down", http_status=429, retry_after_s=30)


def client(
    provider: Provider,
    *,
    retry: RetryPolicy = AT_ONCE,
    clock: ManualClock | None = None,
    share: float = 1.0,
    limits: AccountLimits | None = None,
) -> LLMClient:
    return LLMClient(
        {"lab": lambda: provider},
        limits={"lab": limits or AccountLimits(concurrency=1)},
        retry=retry,
        random=Random(1),
        clock=clock,
        share=share,
    )


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


# --- answers and attempts --------------------------------------------------------------------


async def test_an_answer_carries_everything_that_a_generation_records() -> None:
    clock = ManualClock()
    seen: list[AttemptRecord] = []
    price = Price("p1", Decimal("2.50"), Decimal(10))
    one = client(ScriptedProvider(["fine"]), clock=clock)

    response = await one.generate(request(price=price), on_attempt=seen.append)

    assert response.choices[0].message.text == "fine"
    assert response.usage == Usage(10, 2)
    assert response.cost == Decimal("0.000045")
    assert (response.reported_model, response.reported_fingerprint) == ("model-1-2026", "fp")
    assert response.started_at == clock.now()
    assert response.attempts == 1
    assert seen == [
        AttemptRecord(1, clock.now(), 0.0, "ok", 200, "req-1", Usage(10, 2), Decimal("0.000045"))
    ]


async def test_every_call_that_ended_is_told_at_once_and_in_order() -> None:
    provider = ScriptedProvider([ServerError("no", http_status=500), LATER, "fine"])
    told: list[tuple[str, int]] = []
    one = client(provider, retry=RetryPolicy(base_s=0.0, spread=0.0, budget_s=0.0))

    def observe(record: AttemptRecord) -> None:
        told.append((record.outcome, len(provider.calls)))

    with pytest.raises(RateLimited) as caught:  # 30 s is more than the budget
        await one.generate(request(), on_attempt=observe)

    assert told == [("server_error", 1), ("rate_limited", 2)]
    assert caught.value.attempts == 2


async def test_a_failure_that_passes_is_tried_again() -> None:
    provider = ScriptedProvider([ServerError("no"), ConnectionFailed("no"), "fine"])

    response = await client(provider).generate(request())

    assert response.attempts == 3


async def test_a_final_failure_is_one_call() -> None:
    provider = ScriptedProvider([AuthenticationFailed("no", http_status=401)])
    seen: list[AttemptRecord] = []

    with pytest.raises(AuthenticationFailed) as caught:
        await client(provider).generate(request(), on_attempt=seen.append)

    assert len(provider.calls) == len(seen) == caught.value.attempts == 1


async def test_a_wrong_address_is_not_tried_again_and_a_server_that_went_away_is() -> None:
    refused = EndpointUnreachable("refused")
    never = ScriptedProvider([refused, "fine"])
    with pytest.raises(EndpointUnreachable):
        await client(never).generate(request())
    assert len(never.calls) == 1

    restarted = client(ScriptedProvider(["fine", refused, "fine"]))
    await restarted.generate(request())
    assert (await restarted.generate(request())).attempts == 2


async def test_a_filtered_answer_is_recorded_with_what_it_cost() -> None:
    price = Price("p1", Decimal("2.50"), Decimal(10))
    filtered = ContentFiltered("no", http_status=200, usage=Usage(100, 10))
    seen: list[AttemptRecord] = []

    with pytest.raises(ContentFiltered):
        await client(ScriptedProvider([filtered])).generate(
            request(price=price), on_attempt=seen.append
        )

    assert (seen[0].usage, seen[0].cost) == (Usage(100, 10), Decimal("0.00035"))


async def test_a_cancelled_call_is_recorded_and_its_slot_is_free() -> None:
    provider = ScriptedProvider(hold=True)
    one = client(provider)
    seen: list[AttemptRecord] = []
    task = asyncio.create_task(one.generate(request(), on_attempt=seen.append))
    await turns()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [record.outcome for record in seen] == ["cancelled"]
    provider.let_go()
    assert (await one.generate(request())).attempts == 1


async def test_an_observer_that_fails_stops_the_generation_and_frees_the_slot() -> None:
    one = client(ScriptedProvider())

    def observe(record: AttemptRecord) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await one.generate(request(), on_attempt=observe)
    await one.generate(request())


async def test_an_unknown_endpoint_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="the settings have lab"):
        await client(ScriptedProvider()).generate(request(endpoint="other"))


async def test_a_provider_is_made_when_it_is_first_used() -> None:
    made = []

    def factory() -> Provider:
        made.append("lab")
        return ScriptedProvider()

    one = LLMClient({"lab": factory})
    assert made == []
    await one.generate(request())
    await one.generate(request())
    assert made == ["lab"]


async def test_a_model_is_probed() -> None:
    report = await client(ScriptedProvider()).probe(ModelTarget("openai", "lab", "m"))

    assert report.digest == "d1"


# --- slots -----------------------------------------------------------------------------------


async def test_a_waiting_attempt_gives_its_slot_back() -> None:
    provider = ScriptedProvider([LATER, "fine"])
    one = client(provider)
    waiting = asyncio.create_task(one.generate(request("first")))
    await turns()

    response = await one.generate(request("second"))  # the only slot is free

    assert response.attempts == 1
    assert not waiting.done()
    one.drain()
    with pytest.raises(CallNotStarted):
        await waiting


async def test_a_retry_gets_the_next_slot_before_new_work() -> None:
    provider = ScriptedProvider([ServerError("no"), "fine"])
    one = client(provider)

    async with asyncio.TaskGroup() as tasks:
        for name in ("a", "b", "c"):
            tasks.create_task(one.generate(request(name)))

    # a fails; b already holds the slot when a comes back; then a, before c
    assert [call.messages[0].text for call in provider.calls] == ["a", "b", "a", "c"]


async def test_no_more_calls_are_in_flight_than_slots() -> None:
    provider = ScriptedProvider(hold=True)
    one = client(provider, limits=AccountLimits(max_concurrency=8, concurrency=4), share=0.5)

    async with asyncio.TaskGroup() as tasks:
        for n in range(10):
            tasks.create_task(one.generate(request(str(n))))
        await turns()
        assert provider.in_flight == 2  # half of four: this is one of two processes
        provider.let_go()

    assert provider.most_in_flight == 2


async def test_concurrency_adapts_to_a_provider_that_copes() -> None:
    provider = ScriptedProvider()
    one = client(provider, limits=AccountLimits(max_concurrency=64))
    before = one.concurrency("lab")

    async with asyncio.TaskGroup() as tasks:
        for n in range(300):
            tasks.create_task(one.generate(request(str(n))))

    assert before == 10
    assert one.concurrency("lab") > 20


async def test_concurrency_adapts_to_a_provider_that_complains() -> None:
    provider = ScriptedProvider([RateLimited("no", http_status=429), "fine"])
    one = client(provider, limits=AccountLimits(max_concurrency=64), clock=ManualClock())

    await one.generate(request())

    assert one.concurrency("lab") == 7


async def test_a_quota_holds_calls_back() -> None:
    provider = ScriptedProvider()
    one = client(provider, limits=AccountLimits(concurrency=5, requests_per_minute=60))
    waiting = [asyncio.create_task(one.generate(request(str(n)))) for n in range(12)]
    await turns()

    assert sum(task.done() for task in waiting) == 7  # six seconds' worth, and one
    one.drain()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert sum(isinstance(outcome, CallNotStarted) for outcome in outcomes) == 5


# --- draining --------------------------------------------------------------------------------


async def test_draining_sends_waiters_away_and_lets_calls_in_flight_end() -> None:
    provider = ScriptedProvider([LATER, "fine"], hold=True)
    one = client(provider)
    backing_off = asyncio.create_task(one.generate(request("backs off")))
    await turns()
    provider.let_go()
    await turns()
    held = ScriptedProvider(hold=True)
    two = client(held)
    in_flight = asyncio.create_task(two.generate(request("in flight")))
    await turns()
    queued = asyncio.create_task(two.generate(request("queued")))
    await turns()

    one.drain()
    two.drain()
    await turns()

    for task, attempts in ((backing_off, 1), (queued, 0)):
        assert task.done()
        error = task.exception()
        assert isinstance(error, CallNotStarted)
        assert error.attempts == attempts
    with pytest.raises(CallNotStarted):
        await two.generate(request("late"))
    held.let_go()
    assert (await in_flight).choices[0].message.text == "fine"
    assert len(held.calls) == 1


async def test_a_call_that_fails_while_draining_is_not_tried_again() -> None:
    provider = ScriptedProvider([ServerError("no", http_status=500)], hold=True)
    one = client(provider)
    seen: list[AttemptRecord] = []
    task = asyncio.create_task(one.generate(request(), on_attempt=seen.append))
    await turns()

    one.drain()
    provider.let_go()

    with pytest.raises(CallNotStarted):
        await task
    assert [record.outcome for record in seen] == ["server_error"]


async def test_a_drained_client_opens_no_new_endpoint() -> None:
    one = client(ScriptedProvider())
    one.drain()

    with pytest.raises(CallNotStarted):
        await one.generate(request())


async def test_closing_closes_the_providers_in_use() -> None:
    provider = ScriptedProvider()
    one = client(provider)
    await one.generate(request())

    await one.close()

    assert provider.closed


# --- streams ---------------------------------------------------------------------------------


async def collect(one: LLMClient, text: str = "hello") -> list[StreamEvent]:
    return [event async for event in one.stream(request(text))]


async def test_a_stream_passes_text_on_and_ends_with_the_answer() -> None:
    events = await collect(client(ScriptedProvider(["so it is"])))

    assert [event.text for event in events[:-1]] == ["so", "it", "is"]
    response = events[-1].response
    assert response is not None
    assert response.choices[0].message.text == "so it is"
    assert response.time_to_first_token_ms is not None


async def test_a_stream_that_failed_before_its_first_event_is_tried_again() -> None:
    events = await collect(client(ScriptedProvider([TruncatedStream("no"), "fine"])))

    assert [event.text for event in events[:-1]] == ["fine"]
    assert events[-1].response is not None
    assert events[-1].response.attempts == 2


async def test_a_stream_that_broke_after_an_event_is_final() -> None:
    broken = TruncatedStream("no", partial_text="some")
    provider = ScriptedProvider(["some BREAK", broken])
    seen: list[AttemptRecord] = []
    got: list[str] = []

    with pytest.raises(TruncatedStream) as caught:
        async for event in client(provider).stream(request(), on_attempt=seen.append):
            got.append(event.text)

    assert got == ["some"]
    assert caught.value.partial_text == "some"
    assert [record.outcome for record in seen] == ["truncated_stream"]


async def test_a_stream_that_ends_without_an_answer_is_no_success() -> None:
    class Silent(ScriptedProvider):
        async def stream(
            self, request: LLMRequest
        ) -> AsyncGenerator[StreamEvent | ProviderReply, None]:
            yield StreamEvent("half")

    with pytest.raises(TruncatedStream):
        await collect(client(Silent()))


async def test_a_reader_that_leaves_ends_the_call_and_frees_the_slot() -> None:
    provider = ScriptedProvider(["one two three"])
    one = client(provider)
    seen: list[AttemptRecord] = []

    async with aclosing(one.stream(request(), on_attempt=seen.append)) as events:
        async for _ in events:
            break

    assert provider.streams_closed == 1
    assert [record.outcome for record in seen] == ["cancelled"]
    assert (await collect(one))[-1].response is not None


async def test_a_stream_holds_its_slot_until_it_ends() -> None:
    provider = ScriptedProvider(["one two"])
    one = client(provider)
    async with aclosing(one.stream(request("a"))) as events:
        await anext(events)
        other = asyncio.create_task(one.generate(request("b")))
        await turns()
        assert len(provider.calls) == 1

    await other


@pytest.mark.parametrize("error", [LLMError("x"), RateLimited("x", retry_after_s=999)])
async def test_errors_of_streams_say_how_often_it_was_tried(error: LLMError) -> None:
    with pytest.raises(LLMError) as caught:
        await collect(client(ScriptedProvider([error])))

    assert caught.value.attempts == 1
