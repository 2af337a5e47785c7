"""Every call that began has exactly one ending, with its tokens and what they are worth."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress

import httpx2
import pytest

from app.core.errors import Abandoned, Unavailable
from app.core.settings import CallLimits, ChatSettings
from app.llm.errors import LLMError, Timeout
from tests.fake_provider import FakeProvider, FaultScript, ProviderOptions
from tests.integration.chat.conftest import MakeWorld
from tests.integration.chat.support import (
    NEVER_OPENS,
    PRICE,
    World,
    ask,
    endpoint,
    read,
    until,
)


@pytest.mark.parametrize(
    ("fault", "ending", "status", "code"),
    [
        ("500", "failed", "failed", "server_error"),
        ("429-no-header", "failed", "failed", "rate_limited"),
        ("401", "failed", "failed", "authentication"),
        ("404-model", "failed", "failed", "unknown_model"),
        ("400-content-filter", "refused", "refused", "content_filtered"),
    ],
)
async def test_a_failure_is_stored_with_its_kind_and_raised(
    world: World, provider: FakeProvider, fault: str, ending: str, status: str, code: str
) -> None:
    await world.serve(await world.variant(f"openai/fault-{fault}", prices=PRICE))
    call = await world.chat.begin(world.actor, ask())
    with pytest.raises(LLMError) as caught:
        await call.result()
    found = await world.only_record()
    assert caught.value.code == code == found.generation.error_code
    assert (found.call.ending, found.generation.status) == (ending, status)
    assert found.generation.usage_source == "estimated"
    assert found.generation.latency_ms is not None
    assert found.error["message"] == caught.value.message
    # A rate limit is waited for, if it is short; nothing else is tried again.
    assert {attempt.outcome for attempt in found.attempts} == {code}
    assert len(found.attempts) == provider.ledger.summary()["received"]


@pytest.mark.parametrize("stream", [False, True])
async def test_nothing_is_reported_of_an_endpoint_that_nothing_was_sent_to(
    make_world: MakeWorld, provider: FakeProvider, stream: bool
) -> None:
    world = make_world(provider, endpoints={"openai": endpoint("http://127.0.0.1:9/v1")})
    await world.serve(await world.variant())
    call = await world.chat.begin(world.actor, ask(stream=stream))
    with pytest.raises(LLMError):
        await read(call)
    row = (await world.only_record()).generation
    assert (row.usage_source, row.input_tokens) == ("unreported", None)


async def test_a_stream_that_ends_too_early_is_incomplete_and_keeps_its_text(
    world: World,
) -> None:
    await world.serve(await world.variant("openai/fault-stream-cut-before-done"))
    call = await world.chat.begin(world.actor, ask(stream=True))
    pieces: list[str] = []
    with pytest.raises(LLMError, match="ended before the answer did"):
        async for event in call.events():
            pieces.append(event.text)
    found = await world.only_record()
    assert (found.call.ending, found.generation.status) == ("upstream_cut", "incomplete")
    assert found.output == {"role": "assistant", "content": "".join(pieces)}
    assert found.generation.output_tokens and found.generation.usage_source == "estimated"


async def _raw_stream(server: FakeProvider) -> bytes:
    async with httpx2.AsyncClient(trust_env=False) as client:
        reply = await client.post(
            f"{server.base_url}/chat/completions",
            json={
                "model": "fake-model",
                "messages": [{"role": "user", "content": "Hi"}],
                "stream": True,
                "stream_options": {"include_usage": True},
            },
        )
        return reply.content


async def test_a_stream_cut_at_any_byte_before_its_end_is_never_completed(
    make_world: MakeWorld,
) -> None:
    """The end is that of the line `data: [DONE]`, its line break included."""
    async with FakeProvider(ProviderOptions(answer="fixed:Hi")) as server:
        raw = await _raw_stream(server)
    end = raw.index(b"data: [DONE]") + len(b"data: [DONE]\n")
    script = FaultScript(sequence=tuple(f"stream-cut-at-{size}" for size in range(end + 1)))
    async with FakeProvider(ProviderOptions(answer="fixed:Hi", script=script)) as server:
        world = make_world(server, breaker=NEVER_OPENS)
        await world.serve(await world.variant(content={"messages": [{"placeholder": "history"}]}))
        places = asyncio.Semaphore(32)

        async def read_one(number: int) -> None:
            async with places:
                # Each request differs: the fake numbers repetitions, which would lengthen replies.
                call = await world.chat.begin(world.actor, ask(f"n{number}", stream=True))
                with suppress(LLMError):
                    await read(call)

        await asyncio.gather(*(read_one(number) for number in range(end + 1)))
        endings = Counter(record.call.ending for record in await world.records())
    assert end > 300
    assert endings == {"upstream_cut": end - 1, "failed": 1, "completed": 1}


SLOW = ProviderOptions(latency_ms=20, stream_interval_ms=30, answer="fixed:" + "word " * 12)


async def test_an_answer_whose_client_left_is_read_to_its_end(make_world: MakeWorld) -> None:
    async with FakeProvider(SLOW) as server:
        world = make_world(server)
        await world.serve(await world.variant(prices=PRICE))
        call = await world.chat.begin(world.actor, ask(stream=True))
        async for _ in call.events():
            break
        call.leave()
        result = await call.result()
    found = await world.only_record()
    assert (found.call.ending, found.generation.status) == ("client_gone", "completed")
    assert found.output["content"] == result.response.choices[0].message.text
    assert found.generation.usage_source == "provider"


@pytest.mark.parametrize("settings", [ChatSettings(drain_s=0), ChatSettings(most_draining=0)])
async def test_an_answer_that_is_not_read_on_is_cut_off_and_estimated(
    make_world: MakeWorld, settings: ChatSettings
) -> None:
    async with FakeProvider(SLOW) as server:
        world = make_world(server, settings=settings)
        await world.serve(await world.variant(prices=PRICE))
        call = await world.chat.begin(world.actor, ask(stream=True))
        seen = ""
        async for event in call.events():
            seen += event.text
            break
        call.leave()
        with pytest.raises(Abandoned, match="left"):
            await call.result()
        await until(lambda: server.ledger.calls[0].time_out is not None)
        assert server.ledger.calls[0].client_gone
    found = await world.only_record()
    row = found.generation
    assert (found.call.ending, row.status) == ("client_gone", "cancelled")
    assert row.usage_source == "estimated" and row.input_tokens and row.output_tokens
    assert row.cost
    assert found.output["content"].startswith(seen)
    (attempt,) = found.attempts
    assert (attempt.outcome, attempt.usage_source) == ("cancelled", "estimated")
    assert attempt.output_tokens == row.output_tokens


async def test_leaving_a_call_that_is_settled_changes_nothing(world: World) -> None:
    await world.serve(await world.variant())
    call = await world.chat.begin(world.actor, ask())
    result = await call.result()
    call.leave()
    assert await call.result() is result
    assert (await world.only_record()).call.ending == "completed"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_takes_too_long_in_all_ends_as_timeout(
    make_world: MakeWorld, stream: bool
) -> None:
    hasty = CallLimits(connect_s=5, first_byte_s=5, idle_s=5, total_s=0.2)
    async with FakeProvider(ProviderOptions(latency_ms=2_000)) as server:
        world = make_world(server, endpoints={"openai": endpoint(server.base_url, hasty)})
        await world.serve(await world.variant())
        call = await world.chat.begin(world.actor, ask(stream=stream))
        with pytest.raises(Timeout):
            await read(call)
    found = await world.only_record()
    assert (found.call.ending, found.generation.status) == ("timeout", "failed")
    assert found.generation.error_code == "timeout"
    assert found.generation.usage_source == "estimated"


async def test_a_server_that_stops_lets_calls_end_and_begins_none(make_world: MakeWorld) -> None:
    async with FakeProvider(SLOW) as server:
        world = make_world(server)
        await world.serve(await world.variant())
        call = await world.chat.begin(world.actor, ask(stream=True))
        stopping = asyncio.create_task(world.chat.stop(drain_s=10))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="stopping"):
            await world.chat.begin(world.actor, ask())
        await read(call)
        await stopping
    assert (await world.only_record()).call.ending == "completed"


async def test_a_call_that_outlives_the_stop_is_abandoned_with_its_estimate(
    make_world: MakeWorld,
) -> None:
    async with FakeProvider(ProviderOptions(latency_ms=10_000)) as server:
        world = make_world(server)
        await world.serve(await world.variant())
        call = await world.chat.begin(world.actor, ask())
        await until(lambda: server.ledger.summary()["received"] == 1)
        await world.chat.stop(drain_s=0.01)
        with pytest.raises(Abandoned):
            await call.result()
    found = await world.only_record()
    assert (found.call.ending, found.generation.status) == ("abandoned", "abandoned")
    assert found.generation.usage_source == "estimated"
