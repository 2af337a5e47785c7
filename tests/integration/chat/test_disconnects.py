"""Clients that leave at any point: everything stays on record, and nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random

import pytest

from app.core.errors import Abandoned
from app.core.settings import ChatSettings
from app.schemas.chat import ChatEvent
from tests.fake_provider import FakeProvider, ProviderOptions
from tests.integration.chat.conftest import MakeWorld
from tests.integration.chat.support import PRICE, World, ask, until

AT_ONCE = 50
PROVIDER = ProviderOptions(latency_ms=10, stream_interval_ms=4, answer="fixed:" + "word " * 30)
# Some answers are read to their end after the client left, some are cut off in the middle.
SETTINGS = ChatSettings(drain_s=0.05, most_draining=16)


async def _leave_somewhere(world: World, random: Random, stream: bool) -> None:
    """Begin a call and leave it after some of its events, or after none of them."""
    call = await world.chat.begin(world.actor, ask(stream=stream))
    reading = asyncio.create_task(_read_some(call.events(), random.randrange(45)))
    await asyncio.wait([reading], timeout=random.uniform(0, 0.3))
    reading.cancel()
    await asyncio.wait([reading])
    call.leave()


async def _read_some(events: AsyncIterator[ChatEvent], count: int) -> None:
    async for _ in events:
        count -= 1
        if count < 0:
            return


@pytest.mark.parametrize("calls", [AT_ONCE, pytest.param(4 * AT_ONCE, marks=pytest.mark.nightly)])
async def test_clients_that_leave_leave_whole_records_and_nothing_else(
    make_world: MakeWorld, calls: int
) -> None:
    random = Random(calls)
    async with FakeProvider(PROVIDER) as server:
        world = make_world(server, settings=SETTINGS)
        await world.serve(await world.variant(prices=PRICE))
        await (await world.chat.begin(world.actor, ask())).result()  # the writer is up
        tasks = asyncio.all_tasks()
        for _ in range(calls // AT_ONCE):
            async with asyncio.TaskGroup() as group:
                for number in range(AT_ONCE):
                    group.create_task(_leave_somewhere(world, random, number % 4 > 0))
        await until(lambda: world.chat.under_way == 0)
        await until(lambda: all(call.time_out is not None for call in server.ledger.calls))
        left = {task for task in asyncio.all_tasks() - tasks if not task.done()}
    found = (await world.records())[1:]
    assert len(found) == calls == server.ledger.summary()["received"] - 1
    assert {it.call.ending for it in found} <= {"completed", "client_gone"}
    assert len({it.generation.status for it in found}) == 2  # both ways of ending were met
    for it in found:
        row = it.generation
        assert row.usage_source in ("provider", "estimated")
        assert row.input_tokens and row.output_tokens is not None
        assert row.latency_ms is not None and row.cost is not None
        assert row.model_version_id and row.prompt_version_id and row.provider == "openai"
        assert row.status in ("completed", "cancelled") and row.finished_at is not None
        assert len(it.attempts) == row.attempt_count == 1
    assert not [task for task in left if task.get_name().startswith(("chat", "write"))]


async def test_no_database_connection_is_held_while_streams_idle(make_world: MakeWorld) -> None:
    async with FakeProvider(ProviderOptions(stream_interval_ms=30_000)) as server:
        world = make_world(server, settings=ChatSettings(drain_s=0))
        await world.serve(await world.variant())
        calls = [await world.chat.begin(world.actor, ask(stream=True)) for _ in range(AT_ONCE)]
        await until(lambda: server.ledger.summary()["received"] == AT_ONCE)
        assert world.chat.under_way == AT_ONCE
        assert not any(world.database.connections().values())
        for call in calls:
            call.leave()
        for call in calls:
            with pytest.raises(Abandoned):
                await call.result()
    assert [it.call.ending for it in await world.records()] == ["client_gone"] * AT_ONCE


async def test_a_request_cancelled_while_it_is_admitted_leaves_no_open_call(
    world: World,
) -> None:
    await world.serve(await world.variant())
    await (await world.chat.begin(world.actor, ask())).result()
    for turns in range(12):
        begin = asyncio.create_task(world.chat.begin(world.actor, ask()))
        for _ in range(turns):
            await asyncio.sleep(0)
        begin.cancel()
        await asyncio.wait([begin])
    await until(lambda: world.chat.under_way == 0)
    assert None not in {it.call.ending for it in await world.records()}
