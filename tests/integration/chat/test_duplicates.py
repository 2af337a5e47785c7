"""Requests sent twice with one idempotency key: one effect, and the same answer for everybody."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from app.core.clock import SystemClock
from app.core.errors import InFlight, KeyReused, LimitReached
from app.core.permissions import Actor, ActorKind, Permission
from app.core.settings import ChatSettings
from app.llm.errors import ServerError
from app.llm.types import FinishReason, Message
from app.schemas.chat import ChatResult
from app.schemas.limits import LimitValues
from tests.fake_provider import FakeProvider, ProviderOptions
from tests.integration.chat.conftest import MakeWorld
from tests.integration.chat.support import ALIAS, World, ask, read

KEYED = ask(idempotency_key="key-1")
SLOW = ProviderOptions(latency_ms=150)


def _said(result: ChatResult) -> list[tuple[Message, FinishReason]]:
    return [(choice.message, choice.finish_reason) for choice in result.response.choices]


@pytest.mark.parametrize("stream", [False, True])
async def test_fifty_identical_requests_at_once_are_one_call_and_one_answer(
    make_world: MakeWorld, stream: bool
) -> None:
    request = replace(KEYED, stream=stream)
    async with FakeProvider(SLOW) as server:
        world = make_world(server)
        await world.serve(await world.variant())

        async def send() -> tuple[str, bool]:
            call = await world.chat.begin(world.actor, request)
            text, events = await read(call)
            result = events[-1].result
            assert result is not None
            whole = result.response.choices[0].message.text
            assert text == whole or not (stream or result.replayed)
            return f"{result.generation_id} {whole}", result.replayed

        answers = await asyncio.gather(*(send() for _ in range(50)))
        assert server.ledger.summary()["received"] == 1
    assert len({answer for answer, _ in answers}) == 1
    assert sorted(replayed for _, replayed in answers) == [False] + [True] * 49
    assert len(await world.records()) == 1


async def test_a_duplicate_on_another_server_waits_for_the_first(make_world: MakeWorld) -> None:
    async with FakeProvider(SLOW) as server:
        first, second = make_world(server), make_world(server)
        await first.serve(await first.variant())
        one = await first.chat.begin(first.actor, KEYED)
        other = await second.chat.begin(second.actor, KEYED)
        answers = [await one.result(), await other.result()]
        assert server.ledger.summary()["received"] == 1
    assert _said(answers[0]) == _said(answers[1])
    assert [answer.replayed for answer in answers] == [False, True]
    assert answers[0].served == answers[1].served


async def test_an_answer_is_given_again_from_the_record(
    make_world: MakeWorld, provider: FakeProvider
) -> None:
    first, second = make_world(provider), make_world(provider)
    await first.serve(await first.variant())
    given = await (await first.chat.begin(first.actor, KEYED)).result()
    text, events = await read(
        await second.chat.begin(second.actor, replace(KEYED, stream=True, request_id="another"))
    )
    again = events[-1].result
    assert again is not None and again.replayed
    assert text == given.response.choices[0].message.text
    assert _said(again) == _said(given)
    assert again.response.usage == given.response.usage
    assert (again.generation_id, again.served) == (given.generation_id, given.served)


async def test_a_failure_is_given_again_as_well(world: World, provider: FakeProvider) -> None:
    await world.serve(await world.variant("openai/fault-500"))
    for _ in range(2):
        with pytest.raises(ServerError) as caught:
            await (await world.chat.begin(world.actor, KEYED)).result()
        assert caught.value.http_status == 500
    assert provider.ledger.summary()["received"] == 1


async def test_who_does_not_want_to_wait_is_told_to_come_back(make_world: MakeWorld) -> None:
    async with FakeProvider(SLOW) as server:
        world = make_world(server)
        await world.serve(await world.variant())
        first = await world.chat.begin(world.actor, KEYED)
        with pytest.raises(InFlight) as caught:
            await world.chat.begin(world.actor, replace(KEYED, on_duplicate="refuse"))
        assert caught.value.retry_after_s
        await first.result()
        again = await world.chat.begin(world.actor, replace(KEYED, on_duplicate="refuse"))
        assert (await again.result()).replayed


async def test_a_key_stands_for_one_request_only(world: World) -> None:
    await world.serve(await world.variant())
    await (await world.chat.begin(world.actor, KEYED)).result()
    with pytest.raises(KeyReused):
        await world.chat.begin(world.actor, replace(KEYED, request_hash="sha256:" + "1" * 64))
    assert len(await world.records()) == 1


async def test_a_key_is_its_actors_own(world: World) -> None:
    await world.serve(await world.variant())
    other = Actor(ActorKind.USER, "else", frozenset(Permission))
    results = [
        await (await world.chat.begin(actor, KEYED)).result() for actor in (world.actor, other)
    ]
    assert [result.replayed for result in results] == [False, False]
    assert len(await world.records()) == 2


async def test_a_request_that_is_refused_leaves_its_key_free(world: World) -> None:
    await world.serve(await world.variant())
    await world.limits.set(
        world.actor, "alias", ALIAS, LimitValues(requests_per_minute=1, on_reach="stop")
    )
    await (await world.chat.begin(world.actor, ask())).result()
    with pytest.raises(LimitReached):
        await world.chat.begin(world.actor, KEYED)
    await world.limits.remove(world.actor, "alias", ALIAS)
    assert not (await (await world.chat.begin(world.actor, KEYED)).result()).replayed


async def test_a_key_whose_time_is_over_is_free(
    make_world: MakeWorld, provider: FakeProvider
) -> None:
    class LaterClock(SystemClock):
        late = timedelta(0)

        def now(self) -> datetime:
            return super().now() + self.late

    clock = LaterClock()
    world = make_world(provider, clock=clock, settings=ChatSettings(keep_keys_s=60))
    await world.serve(await world.variant())
    await (await world.chat.begin(world.actor, KEYED)).result()
    clock.late = timedelta(seconds=61)
    assert not (await (await world.chat.begin(world.actor, KEYED)).result()).replayed


async def test_leaving_a_duplicate_leaves_the_first_alone(make_world: MakeWorld) -> None:
    async with FakeProvider(SLOW) as server:
        world = make_world(server)
        await world.serve(await world.variant())
        first = await world.chat.begin(world.actor, KEYED)
        second = await world.chat.begin(world.actor, KEYED)
        second.leave()
        assert (await first.result()).ending == "completed"
