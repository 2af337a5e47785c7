"""Whose turn it is in a conversation, and in which order replicas lock what they write."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from app.core.clock import SystemClock
from app.core.errors import Conflict
from app.models import Conversation, UsageWindow
from app.schemas.chat import ConversationLink
from app.schemas.conversations import NewConversation
from app.services.conversations import ConversationService
from tests.fake_provider import FakeProvider, ProviderOptions
from tests.integration.chat.conftest import MakeWorld
from tests.integration.chat.support import ALIAS, World, ask


async def _conversation(world: World) -> ConversationLink:
    service = ConversationService(world.database, SystemClock(), world.serving, world.chat)
    begun = await service.begin(world.actor, NewConversation(alias=ALIAS))
    return ConversationLink(begun.id, 1)


async def test_who_read_a_conversation_before_it_went_on_is_told_so(world: World) -> None:
    await world.serve(await world.variant())
    link = await _conversation(world)
    await (await world.chat.begin(world.actor, ask("one", conversation=link))).result()
    with pytest.raises(Conflict, match="gone on"):
        await world.chat.begin(world.actor, ask("two", conversation=link))
    assert len(await world.records()) == 1


async def test_of_two_who_speak_at_once_one_has_the_turn(world: World) -> None:
    await world.serve(await world.variant())
    link = await _conversation(world)
    begun = await asyncio.gather(
        *(world.chat.begin(world.actor, ask(text, conversation=link)) for text in ("one", "two")),
        return_exceptions=True,
    )
    assert sorted(type(it).__name__ for it in begun) == ["ChatCall", "Conflict"]


@pytest.mark.parametrize("database_kind", ["postgresql"])  # SQLite has one writer at a time
async def test_an_end_that_waits_for_its_conversation_holds_no_windows(
    make_world: MakeWorld,
) -> None:
    async with FakeProvider(ProviderOptions(latency_ms=300)) as server:
        world = make_world(server)
        await world.serve(await world.variant())
        await world.limit(requests_per_minute=1_000)
        link = await _conversation(world)
        call = await world.chat.begin(world.actor, ask(conversation=link))
        async with world.database.write_session() as other:
            await other.execute(
                select(Conversation.id).where(Conversation.id == link.id).with_for_update()
            )
            await asyncio.sleep(1)
            assert not call.is_settled
            async with asyncio.timeout(5):
                await other.execute(select(UsageWindow.span).with_for_update())
            await other.rollback()
        assert (await call.result()).ending == "completed"
