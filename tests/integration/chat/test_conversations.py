"""Conversations: only their owner sees them, answers say what gave them, erased is erased."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from app.core.clock import SystemClock
from app.core.errors import Conflict, NotFound, Retired
from app.core.permissions import Actor, ActorKind, Grant, Permission
from app.llm.errors import ServerError
from app.models import AuditEvent, Content
from app.repositories.content import ContentRepository
from app.repositories.conversations import ConversationRepository
from app.schemas.conversations import NewConversation, NewMessage
from app.services.conversations import ConversationService
from tests.fake_provider import FakeProvider, ProviderOptions
from tests.integration.chat.conftest import MakeWorld
from tests.integration.chat.support import ALIAS, World, until

CHATTER = frozenset({Permission.CHAT_WRITE})


def person(name: str, *permissions: Permission, prefix: str = "") -> Actor:
    return Actor.of(ActorKind.USER, name, [Grant(CHATTER | set(permissions), prefix)])


ANN, BOB = person("ann"), person("bob")
AUDITOR = person("eve", Permission.PRODUCTION_CONTENT_READ, Permission.CHAT_READ)


@pytest.fixture
def conversations(world: World) -> ConversationService:
    return ConversationService(world.database, SystemClock(), world.serving, world.chat)


async def say(
    conversations: ConversationService, conversation_id: UUID, text: str, actor: Actor = ANN
) -> Any:
    answering = await conversations.say(
        actor, conversation_id, NewMessage(content=text), request_id="request-1"
    )
    return await answering.message()


async def test_an_answer_is_stored_behind_its_question_with_what_gave_it(
    world: World, conversations: ConversationService
) -> None:
    variant = await world.variant()
    await world.serve(variant)
    begun = await conversations.begin(ANN, NewConversation(alias=ALIAS, title="A parcel"))
    answer = await say(conversations, begun.id, "Where is it?")
    assert (answer.sequence, answer.role) == (2, "assistant")
    assert answer.answer is not None
    assert answer.answer.variant_hash == variant.content_hash
    assert (answer.answer.prompt, answer.answer.model) == ("support-bot@1", "openai/fake-model@1")
    assert (answer.answer.alias, answer.answer.ending) == (ALIAS, "completed")
    page = await conversations.messages(ANN, begun.id, cursor=None, limit=10)
    assert [(it.sequence, it.role) for it in page.items] == [(1, "user"), (2, "assistant")]
    assert page.items[0].message is not None
    assert page.items[0].message["content"] == "Where is it?"
    assert all(it.tokens for it in page.items)
    assert (await conversations.get(ANN, begun.id)).message_count == 2


async def test_the_model_gets_the_whole_conversation(
    world: World, conversations: ConversationService
) -> None:
    await world.serve(await world.variant())
    begun = await conversations.begin(ANN, NewConversation(alias=ALIAS))
    first = await say(conversations, begun.id, "Where is it?")
    await say(conversations, begun.id, "And when?")
    sent = (await world.records())[-1].request["messages"]
    assert [it["role"] for it in sent] == ["system", "user", "assistant", "user"]
    assert first.message is not None
    assert sent[2]["content"] == first.message["content"]


async def test_messages_come_in_pages(world: World, conversations: ConversationService) -> None:
    await world.serve(await world.variant())
    begun = await conversations.begin(ANN, NewConversation(alias=ALIAS))
    for text in ("one", "two"):
        await say(conversations, begun.id, text)
    seen: list[int | None] = []
    cursor: str | None = None
    while True:
        page = await conversations.messages(ANN, begun.id, cursor=cursor, limit=3)
        seen += [it.sequence for it in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert seen == [1, 2, 3, 4]


async def test_nobody_else_sees_a_conversation(
    world: World, conversations: ConversationService
) -> None:
    await world.serve(await world.variant())
    begun = await conversations.begin(ANN, NewConversation(alias=ALIAS))
    for attempt in (
        conversations.get(BOB, begun.id),
        conversations.messages(BOB, begun.id, cursor=None, limit=5),
        conversations.rename(BOB, begun.id, "mine"),
        conversations.delete(BOB, begun.id),
        conversations.say(BOB, begun.id, NewMessage(content="hi"), request_id="r"),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert (await conversations.page(BOB, cursor=None, limit=5)).items == []
    assert len((await conversations.page(ANN, cursor=None, limit=5)).items) == 1


async def test_that_an_auditor_opens_a_conversation_is_on_record(
    world: World, conversations: ConversationService
) -> None:
    await world.serve(await world.variant())
    begun = await conversations.begin(ANN, NewConversation(alias=ALIAS, title="secret"))
    await say(conversations, begun.id, "Where is it?")
    (listed,) = (await conversations.page(AUDITOR, owner=str(ANN), cursor=None, limit=5)).items
    assert listed.title is None
    assert len((await conversations.messages(AUDITOR, begun.id, cursor=None, limit=5)).items) == 2
    async with world.database.read_session() as session:
        statement = select(AuditEvent.actor, AuditEvent.object_id).where(
            AuditEvent.action == "production_content.opened"
        )
        assert list(await session.execute(statement)) == [(str(AUDITOR), str(begun.id))]
    elsewhere = person("pat", Permission.PRODUCTION_CONTENT_READ, prefix="payments/")
    with pytest.raises(NotFound):
        await conversations.get(elsewhere, begun.id)


async def test_whoever_may_read_facts_below_a_name_gets_full_pages_of_those_alone(
    world: World, conversations: ConversationService
) -> None:
    variant = await world.variant()
    for alias in (ALIAS, "payments/bot@production"):
        await world.serve(variant, name=alias)
    for _ in range(3):
        for alias in ("payments/bot@production", ALIAS):
            await conversations.begin(ANN, NewConversation(alias=alias))
    pat = person("pat", Permission.CHAT_READ, prefix="payments/")
    page = await conversations.page(pat, owner=str(ANN), cursor=None, limit=2)
    rest = await conversations.page(pat, owner=str(ANN), cursor=page.next_cursor, limit=2)
    assert [len(page.items), len(rest.items)] == [2, 1]
    assert {it.alias for it in (*page.items, *rest.items)} == {"payments/bot@production"}
    assert (page.total_estimate, rest.next_cursor) == (3, None)


async def test_deleting_erases_what_a_provider_said_of_its_failure(
    world: World, conversations: ConversationService
) -> None:
    await world.serve(await world.variant("openai/fault-500"))
    begun = await conversations.begin(ANN, NewConversation(alias=ALIAS))
    before = await world.texts()
    with pytest.raises(ServerError):
        await say(conversations, begun.id, "Where is it?")
    await conversations.delete(ANN, begun.id)
    assert await world.texts() == before


async def test_of_a_conversation_that_is_gone_only_the_facts_of_an_answer_are_written(
    make_world: MakeWorld,
) -> None:
    async with FakeProvider(ProviderOptions(latency_ms=300)) as slow:
        world = make_world(slow)
        conversations = ConversationService(
            world.database, SystemClock(), world.serving, world.chat
        )
        await world.serve(await world.variant())
        begun = await conversations.begin(ANN, NewConversation(alias=ALIAS))
        before = await world.texts()
        answering = await conversations.say(
            ANN, begun.id, NewMessage(content="Where is it?"), request_id="request-1"
        )
        async with world.database.write_session() as session:
            now, gone = SystemClock().now(), ConversationRepository(session)
            await ContentRepository(session).erase(await gone.content_ids(begun.id), now)
            await gone.hide(begun.id, now)
            await session.commit()
        with pytest.raises(NotFound):
            await answering.message()
    assert await world.texts() == before
    record = await world.only_record()
    assert record.call.ending == "completed" and record.generation.output_tokens


async def test_a_message_and_a_deletion_at_once_leave_no_text(
    world: World, conversations: ConversationService
) -> None:
    await world.serve(await world.variant())
    for turns in range(40):
        begun = await conversations.begin(ANN, NewConversation(alias=ALIAS))
        saying = asyncio.create_task(say(conversations, begun.id, "my street is Elm Street"))
        for _ in range(turns):  # a little later each time
            await asyncio.sleep(0)
        try:
            await conversations.delete(ANN, begun.id)
        except Conflict:
            await saying
            await conversations.delete(ANN, begun.id)
        else:
            await asyncio.wait([saying])
            assert isinstance(saying.exception(), NotFound)
    assert not [text for text in await world.texts() if "Elm Street" in str(text)]


async def test_deleting_hides_at_once_and_erases_every_text(
    world: World, conversations: ConversationService
) -> None:
    await world.serve(await world.variant())
    begun = await conversations.begin(ANN, NewConversation(alias=ALIAS, title="A parcel"))
    await say(conversations, begun.id, "my street is Elm Street")
    await conversations.rename(ANN, begun.id, "Another title")
    await conversations.delete(ANN, begun.id)
    with pytest.raises(NotFound):
        await conversations.get(ANN, begun.id)
    async with world.database.read_session() as session:
        bodies = [body for (body,) in await session.execute(select(Content.body)) if body]
    for text in ("Elm Street", "A parcel", "Another title"):
        assert not [body for body in bodies if text in body]
    record = await world.only_record()
    assert record.output is None
    assert record.generation.output_tokens is not None  # the facts stay


async def test_a_conversation_follows_its_alias_unless_it_is_pinned(
    world: World, conversations: ConversationService, make_world: MakeWorld, provider: FakeProvider
) -> None:
    old = await world.variant()
    await world.serve(old)
    following = await conversations.begin(ANN, NewConversation(alias=ALIAS))
    pinned = await conversations.begin(ANN, NewConversation(alias=ALIAS, pin=True))
    assert pinned.pinned_variant_hash == old.content_hash
    new = await world.variant(content=_other_prompt())
    await world.serve(new)
    fresh = make_world(provider)  # what was resolved before may be served for some seconds
    there = ConversationService(fresh.database, SystemClock(), fresh.serving, fresh.chat)
    moved, kept = await say(there, following.id, "hi"), await say(there, pinned.id, "hi")
    assert moved.answer.variant_hash == new.content_hash
    assert kept.answer.variant_hash == old.content_hash


async def test_a_pin_passes_over_a_model_that_is_retired(
    world: World, conversations: ConversationService
) -> None:
    spare = await world.variant("openai/spare-model")
    await world.serve(await world.variant(), spare)
    await world.models.retire(world.actor, "openai/fake-model@1")
    begun = await conversations.begin(ANN, NewConversation(alias=ALIAS, pin=True))
    assert begun.pinned_variant_hash == spare.content_hash


async def test_nothing_is_pinned_where_every_model_is_retired(
    world: World, conversations: ConversationService
) -> None:
    await world.serve(await world.variant())
    await world.models.retire(world.actor, "openai/fake-model@1", successor="openai/newer-model")
    with pytest.raises(Retired) as caught:
        await conversations.begin(ANN, NewConversation(alias=ALIAS, pin=True))
    assert caught.value.successor == "openai/newer-model"
    assert (await conversations.page(ANN, cursor=None, limit=5)).items == []


async def test_the_text_of_a_disabled_alias_comes_before_the_end_of_a_pinned_model(
    world: World, conversations: ConversationService, make_world: MakeWorld, provider: FakeProvider
) -> None:
    await world.serve(await world.variant())
    begun = await conversations.begin(ANN, NewConversation(alias=ALIAS, pin=True))
    await world.models.retire(world.actor, "openai/fake-model@1")
    later = make_world(provider)  # what was resolved before may be served for some seconds
    there = ConversationService(later.database, SystemClock(), later.serving, later.chat)
    with pytest.raises(Retired):
        await say(there, begun.id, "hi")
    await world.deploy(kind="disable", message="We are back at noon.")
    later = make_world(provider)
    there = ConversationService(later.database, SystemClock(), later.serving, later.chat)
    answer = await say(there, begun.id, "hi")
    assert answer.message["content"] == "We are back at noon."


def _other_prompt() -> Mapping[str, Any]:
    return {
        "messages": [{"role": "system", "content": "Be brief."}, {"placeholder": "history"}],
        "parameters": {"temperature": 0, "max_tokens": 32},
    }


async def test_a_second_message_while_an_answer_is_under_way_is_refused(
    make_world: MakeWorld,
) -> None:
    async with FakeProvider(ProviderOptions(latency_ms=60_000)) as slow:
        world = make_world(slow)
        conversations = ConversationService(
            world.database, SystemClock(), world.serving, world.chat
        )
        await world.serve(await world.variant())
        begun = await conversations.begin(ANN, NewConversation(alias=ALIAS))
        call = await conversations.say(
            ANN, begun.id, NewMessage(content="one"), request_id="request-1"
        )
        await until(lambda: bool(slow.ledger.calls))
        with pytest.raises(Conflict):
            await conversations.say(
                ANN, begun.id, NewMessage(content="two"), request_id="request-2"
            )
        with pytest.raises(Conflict):
            await conversations.delete(ANN, begun.id)
        call.leave()
        await world.chat.stop(drain_s=0)


async def test_the_same_message_sent_twice_with_one_key_is_answered_once(
    world: World, conversations: ConversationService, provider: FakeProvider
) -> None:
    await world.serve(await world.variant())
    begun = await conversations.begin(ANN, NewConversation(alias=ALIAS))
    new = NewMessage(content="Where is it?")

    async def once() -> UUID | None:
        answering = await conversations.say(
            ANN, begun.id, new, request_id="request-1", idempotency_key="key-1"
        )
        return (await answering.message()).id

    first = await once()
    assert list(await asyncio.gather(once(), once())) == [first, first]
    assert len(provider.ledger.calls) == 1
    assert (await conversations.get(ANN, begun.id)).message_count == 2
