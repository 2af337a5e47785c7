"""Requests sent twice with one idempotency key: one effect, and the same answer for everybody."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from app.core.clock import SystemClock
from app.core.errors import Abandoned, InFlight, KeyReused, LimitReached, Unavailable
from app.core.ids import new_id
from app.core.permissions import Actor, ActorKind, Permission
from app.core.settings import ChatSettings
from app.database import Database
from app.llm.breaker import BreakerPolicy
from app.llm.errors import RateLimited, ServerError
from app.llm.types import FinishReason, Message
from app.repositories.idempotency_keys import IdempotencyKeyRepository
from app.schemas.chat import ChatResult
from app.schemas.idempotency_keys import KeyClaim
from app.schemas.limits import LimitValues
from app.services.idempotency import KEPT, Effect, IdempotencyService, Reply
from tests.fake_provider import FakeProvider, ProviderOptions
from tests.integration.chat.conftest import MakeWorld
from tests.integration.chat.support import ALIAS, NEVER_OPENS, World, ask, read

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


@pytest.mark.parametrize("change", ["disabled", "retired"])
async def test_an_answer_is_given_again_whatever_has_become_of_its_alias(
    make_world: MakeWorld, provider: FakeProvider, change: str
) -> None:
    first = make_world(provider)
    await first.serve(await first.variant())
    given = await (await first.chat.begin(first.actor, KEYED)).result()
    if change == "disabled":
        await first.deploy(kind="disable", message="We are back at noon.")
    else:
        await first.models.retire(first.actor, "openai/fake-model@1")
    later = make_world(provider)  # what was resolved before may be served for some seconds
    again = await (await later.chat.begin(later.actor, KEYED)).result()
    assert again.replayed and _said(again) == _said(given)
    assert again.generation_id == given.generation_id


async def test_an_answer_is_given_again_while_its_provider_fails(
    make_world: MakeWorld, provider: FakeProvider
) -> None:
    world = make_world(provider, breaker=BreakerPolicy(in_a_row=1, pause_s=3600))
    await world.serve(await world.variant())
    await world.serve(await world.variant("openai/fault-500"), name="broken@production")
    given = await (await world.chat.begin(world.actor, KEYED)).result()
    with pytest.raises(ServerError):
        await (await world.chat.begin(world.actor, ask(target="broken@production"))).result()
    with pytest.raises(Unavailable):
        await world.chat.begin(world.actor, ask())
    again = await (await world.chat.begin(world.actor, KEYED)).result()
    assert again.generation_id == given.generation_id


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


async def test_identical_requests_over_a_limit_are_all_told_of_the_limit(world: World) -> None:
    await world.serve(await world.variant())
    await world.limits.set(
        world.actor, "alias", ALIAS, LimitValues(requests_per_minute=1, on_reach="stop")
    )
    await (await world.chat.begin(world.actor, ask())).result()
    refused = await asyncio.gather(
        *(world.chat.begin(world.actor, KEYED) for _ in range(20)), return_exceptions=True
    )
    assert {type(error) for error in refused} == {LimitReached}
    assert len(await world.records()) == 1


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


async def test_the_reply_of_a_key_whose_time_is_over_is_erased(
    make_world: MakeWorld, provider: FakeProvider
) -> None:
    class LaterClock(SystemClock):
        late = timedelta(0)

        def now(self) -> datetime:
            return super().now() + self.late

    clock = LaterClock()
    world = make_world(provider, clock=clock)
    effect = await IdempotencyService(world.database, clock).begin(world.actor, "key-1", "hash")
    assert isinstance(effect, Effect)
    await effect.keep(Reply(201, {}, {"title": "A parcel"}))
    clock.late = KEPT
    await world.chat.sweep()
    assert not [text for text in await world.texts() if "A parcel" in str(text)]


async def test_leaving_a_duplicate_leaves_the_first_alone(make_world: MakeWorld) -> None:
    async with FakeProvider(SLOW) as server:
        world = make_world(server)
        await world.serve(await world.variant())
        first = await world.chat.begin(world.actor, KEYED)
        second = await world.chat.begin(world.actor, KEYED)
        second.leave()
        assert (await first.result()).ending == "completed"


async def test_a_duplicate_that_waits_keeps_a_call_alive_whose_client_left(
    make_world: MakeWorld,
) -> None:
    async with FakeProvider(ProviderOptions(latency_ms=600)) as server:
        world = make_world(server, settings=ChatSettings(drain_s=0.2))
        await world.serve(await world.variant())
        first = await world.chat.begin(world.actor, KEYED)
        first.leave()
        second = await world.chat.begin(world.actor, KEYED)
        assert (await second.result()).replayed
    assert (await world.only_record()).call.ending == "completed"


async def test_a_call_is_cut_off_when_the_last_who_waited_has_left(make_world: MakeWorld) -> None:
    async with FakeProvider(ProviderOptions(latency_ms=60_000)) as server:
        world = make_world(server, settings=ChatSettings(drain_s=0))
        await world.serve(await world.variant())
        first = await world.chat.begin(world.actor, KEYED)
        second = await world.chat.begin(world.actor, KEYED)
        first.leave()
        second.leave()
        with pytest.raises(Abandoned):
            await first.result()
    assert (await world.only_record()).call.ending == "client_gone"


async def test_a_failure_that_is_given_again_says_when_to_try_again(
    make_world: MakeWorld, provider: FakeProvider
) -> None:
    world = make_world(provider, breaker=NEVER_OPENS)
    await world.serve(await world.variant("openai/fault-429-quota"))
    told = []
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            await (await world.chat.begin(world.actor, KEYED)).result()
        told.append((caught.value.retry_after_s, caught.value.parameter))
    assert told[0] == told[1]


async def test_a_claim_locks_no_key_of_somebody_else(database: Database) -> None:
    """So whoever finishes a key never waits for one who claims it, who may wait for him."""
    now = SystemClock().now()

    def claim() -> KeyClaim:
        return KeyClaim(new_id(), "key:shop", "k", "sha256:0", now, now + timedelta(days=1))

    first = claim()
    async with database.write_session() as session:
        assert await IdempotencyKeyRepository(session).claim(first)
        await session.commit()
    async with database.write_session() as claiming:
        assert not await IdempotencyKeyRepository(claiming).claim(claim())
        if database.is_sqlite:  # it has one writer at a time
            await claiming.rollback()
        async with asyncio.timeout(5), database.write_session() as finishing:
            await IdempotencyKeyRepository(finishing).finish([first.id], 200)
            await finishing.commit()
