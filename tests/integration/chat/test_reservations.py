"""What limits hold for a call while it is under way, and are charged when it has ended."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from app.core.clock import SystemClock
from app.core.errors import Abandoned, Unavailable
from app.core.settings import ChatSettings
from app.models import UsageWindow
from app.schemas.limits import LimitValues
from tests.fake_provider import FakeProvider, ProviderOptions
from tests.integration.chat.conftest import MakeWorld
from tests.integration.chat.support import ALIAS, NEVER_OPENS, PRICE, World, ask

SLOW = ProviderOptions(latency_ms=60_000)


class LeapingClock(SystemClock):
    """Every look at it finds another hour, so every two are in windows of their own."""

    def __init__(self) -> None:
        self._at = datetime(2026, 11, 22, tzinfo=UTC)

    def now(self) -> datetime:
        self._at += timedelta(hours=1)
        return self._at


async def _windows(world: World) -> list[UsageWindow]:
    async with world.database.read_session() as session:
        return list((await session.execute(select(UsageWindow))).scalars())


async def test_what_is_reserved_in_another_window_than_the_call_began_in_is_given_back(
    make_world: MakeWorld, provider: FakeProvider
) -> None:
    world = make_world(provider, clock=LeapingClock())
    await world.serve(await world.variant(prices=PRICE))
    await world.limit(tokens_per_minute=10_000, dollars_per_day="1")
    result = await (await world.chat.begin(world.actor, ask())).result()
    for window in await _windows(world):
        assert not window.reserved_tokens and not window.reserved
        assert window.spent == result.response.cost


async def test_a_lost_call_is_charged_in_the_windows_that_hold_it(make_world: MakeWorld) -> None:
    async with FakeProvider(SLOW) as server:
        clock = LeapingClock()
        world, other = make_world(server, clock=clock), make_world(server, clock=clock)
        await world.serve(await world.variant(prices=PRICE))
        await world.limit(tokens_per_minute=10_000, dollars_per_day="1")
        await world.chat.begin(world.actor, ask())
        held = {it.span: (it.reserved_tokens, it.reserved) for it in await _windows(world)}
        assert await other.chat.sweep() == 1
        charged = {it.span: (it.tokens, it.spent) for it in await _windows(world)}
        assert charged["day"] == held["day"]  # the minute is over and was forgotten
        assert not any(it.reserved_tokens or it.reserved for it in await _windows(world))
        await world.chat.stop(drain_s=0)


async def test_a_limit_that_is_set_while_a_call_is_under_way_keeps_what_others_hold(
    make_world: MakeWorld,
) -> None:
    async with FakeProvider(ProviderOptions(latency_ms=700)) as server:
        world = make_world(server)
        await world.serve(await world.variant(prices=PRICE))
        await world.limit(requests_per_minute=100)
        early = await world.chat.begin(world.actor, ask())
        await world.limit(dollars_per_day="1")
        await asyncio.sleep(0.3)
        late = await world.chat.begin(world.actor, ask("another"))
        held = (await world.used()).reserved
        await early.result()
        assert not late.is_settled
        assert (await world.used()).reserved == held > 0
        await late.result()
        assert (await world.used()).reserved == 0


async def test_what_nobody_reported_is_estimated_on_record_and_charged_at_worst(
    make_world: MakeWorld,
) -> None:
    async with FakeProvider(SLOW) as server:
        world = make_world(server, settings=ChatSettings(most_draining=0))
        await world.serve(await world.variant(prices=PRICE))
        await world.limit(dollars_per_day="1")
        call = await world.chat.begin(world.actor, ask())
        held = await world.used()
        while server.ledger.summary()["received"] == 0:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)
        call.leave()
        with pytest.raises(Abandoned):
            await call.result()
    used, row = await world.used(), (await world.only_record()).generation
    assert (used.spent, used.tokens) == (held.reserved, held.reserved_tokens)
    assert row.usage_source == "estimated" and row.cost is not None and row.cost < used.spent


async def test_the_tokens_of_targets_that_failed_are_charged_too(
    make_world: MakeWorld, provider: FakeProvider
) -> None:
    world = make_world(provider, breaker=NEVER_OPENS)
    await world.serve(
        await world.variant("openai/fault-500", prices=PRICE),
        await world.variant("openai/fake-model", prices=PRICE),
    )
    await world.limit(dollars_per_day="1")
    result = await (await world.chat.begin(world.actor, ask())).result()
    usage = result.response.usage
    assert (await world.used()).tokens > (usage.input_tokens or 0) + (usage.output_tokens or 0)


async def test_a_limit_that_only_warns_tells_whoever_passes_it(world: World) -> None:
    await world.serve(await world.variant())
    values = LimitValues(requests_per_minute=1, on_reach="warn")
    await world.limits.set(world.actor, "alias", ALIAS, values)
    told = []
    for _ in range(2):
        result = await (await world.chat.begin(world.actor, ask())).result()
        told.append(result.limits.get("x-workbench-limit-warning"))
    assert told == [None, f"The alias {ALIAS} may make 1 requests a minute."]


async def test_a_request_that_meets_the_stop_on_its_way_begins_nothing(world: World) -> None:
    await world.serve(await world.variant())
    beginning = asyncio.create_task(world.chat.begin(world.actor, ask()))
    await asyncio.sleep(0)  # it looks the alias up
    await world.chat.stop(drain_s=0)
    with pytest.raises(Unavailable, match="stopping"):
        await beginning
    assert await world.records() == []
