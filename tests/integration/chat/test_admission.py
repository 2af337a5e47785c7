"""Who may call what, with which wishes, within which limits: decided before anything is sent."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from app.core.errors import (
    Forbidden,
    Invalid,
    LimitReached,
    NotFound,
    Retired,
)
from app.core.guards import GuardRefused
from app.core.observers import EndedChat
from app.core.permissions import Actor, ActorKind, Grant, Permission
from app.llm.types import Message, ToolCall
from tests.fake_provider import FakeProvider, ProviderOptions
from tests.integration.chat.conftest import MakeWorld
from tests.integration.chat.support import ALIAS, BOT, PRICE, World, ask, read

CHAT = frozenset({Permission.CHAT_WRITE})
FORM = {
    "type": "json_schema",
    "json_schema": {"name": "answer", "schema": {"type": "object", "properties": {}}},
}


def somebody(prefix: str = "", aliases: frozenset[str] | None = None) -> Actor:
    return Actor.of(ActorKind.KEY, "shop", [Grant(CHAT, prefix)], aliases=aliases)


# --- who -----------------------------------------------------------------------------------------


async def test_a_key_may_use_the_aliases_that_it_is_bound_to(world: World) -> None:
    await world.serve(await world.variant())
    await (await world.chat.begin(somebody(aliases=frozenset({ALIAS})), ask())).result()
    assert (await world.only_record()).call.actor == "key:shop"


@pytest.mark.parametrize(
    "caller",
    [somebody("payments/"), somebody(aliases=frozenset({"other@production"}))],
    ids=["another prefix", "another alias"],
)
async def test_what_an_actor_may_not_call_does_not_exist_for_it(
    world: World, caller: Actor
) -> None:
    await world.serve(await world.variant())
    with pytest.raises(NotFound) as mine:
        await world.chat.begin(caller, ask())
    with pytest.raises(NotFound) as missing:
        await world.chat.begin(world.actor, ask(target="no-bot@production"))
    told = mine.value.message.replace(ALIAS, "X")
    assert told == missing.value.message.replace("no-bot@production", "X")
    assert await world.records() == []


async def test_who_may_not_chat_is_told_so(world: World) -> None:
    await world.serve(await world.variant())
    with pytest.raises(Forbidden):
        await world.chat.begin(Actor(ActorKind.USER, "viewer"), ask())


async def test_a_model_is_called_directly_by_whoever_may(world: World) -> None:
    await world.variant()
    request = ask(target="openai/fake-model", parameters={"temperature": 0.9, "n": 2})
    result = await (await world.chat.begin(world.actor, request)).result()
    assert result.served.prompt == "passthrough@1"
    assert (result.served.alias, result.served.role, result.served.is_exact) == (None, None, False)
    assert len(result.response.choices) == 2
    found = await world.only_record()
    assert found.generation.applied_parameters is not None
    assert found.generation.applied_parameters["temperature"] == 0.9
    assert found.request["messages"] == [{"role": "user", "content": "Where is my parcel?"}]
    for actor in (somebody(), somebody(aliases=frozenset({ALIAS}))):
        with pytest.raises(NotFound):
            await world.chat.begin(actor, request)


# --- with what -----------------------------------------------------------------------------------


async def test_wishes_that_an_alias_does_not_grant_are_ignored_and_named(world: World) -> None:
    await world.serve(await world.variant())
    wishes = {"temperature": 1.5, "max_tokens": 16, "stop": ["."]}
    result = await (await world.chat.begin(world.actor, ask(parameters=wishes))).result()
    assert (result.served.ignored, result.served.is_exact) == (("temperature",), False)
    found = await world.only_record()
    assert found.call.asked["parameters"] == {**wishes, "stop": {"texts": 1}}
    assert found.call.ignored == ["temperature"]
    applied = found.generation.applied_parameters
    assert applied is not None
    assert (applied["temperature"], applied["max_tokens"]) == (0, 16)
    assert (applied["stop"], found.request["stop"]) == ({"texts": 1}, ["."])


async def test_no_text_of_a_caller_becomes_a_fact(world: World) -> None:
    await world.serve(await world.variant())
    await world.serve(await world.variant(), overrides=[], name="closed@production")
    for target in (ALIAS, "closed@production"):  # one takes the wish, the other ignores it
        wishes = {"stop": ["Elm Street", "Oak Street"]}
        await (await world.chat.begin(world.actor, ask(target=target, parameters=wishes))).result()
    for found in await world.records():
        facts = f"{found.call.asked} {found.generation.applied_parameters}"
        assert "Street" not in facts and "{'texts': 2}" in facts


@pytest.mark.parametrize(
    ("settings", "changes", "path"),
    [
        ({"strict": True}, {"parameters": {"temperature": 1.5}}, "parameters.temperature"),
        ({"strict": True}, {"asked_besides": ("logit_bias",)}, "logit_bias"),
        ({}, {"parameters": {"stop": 7}}, "parameters.stop"),
        ({}, {"parameters": {"max_tokens": 0}}, "parameters.max_tokens"),
        ({"overrides": []}, {"stream": True}, "stream"),
        ({}, {"messages": (Message("system", "Obey."),)}, "messages[0].role"),
        ({}, {"messages": (Message("user", "a\0b"),)}, "messages[0].content"),
        ({}, {"messages": (Message("user", "\ud800"),)}, "messages[0].content"),
        ({}, {"messages": (Message("user", "x" * 200_001),)}, "messages[0].content"),
        ({}, {"messages": (Message("user", "x"),) * 2_001}, "messages"),
        ({}, {"subject": "x" * 201}, "user"),
        ({}, {"idempotency_key": "x" * 256}, "Idempotency-Key"),
    ],
)
async def test_what_is_refused_is_refused_with_its_path(
    world: World, settings: dict[str, Any], changes: dict[str, Any], path: str
) -> None:
    await world.serve(await world.variant(), **settings)
    with pytest.raises(Invalid) as caught:
        await world.chat.begin(world.actor, ask(**changes))
    assert caught.value.path == path
    assert await world.records() == []


async def test_an_alias_may_allow_system_messages(world: World) -> None:
    await world.serve(await world.variant(), allow_system=True)
    request = ask(messages=(Message("system", "Obey."), Message("user", "Hello")))
    await (await world.chat.begin(world.actor, request)).result()
    roles = [message["role"] for message in (await world.only_record()).request["messages"]]
    assert roles == ["system", "system", "user"]


async def test_tools_are_the_variants_or_else_the_callers(world: World) -> None:
    def tool(name: str) -> dict[str, Any]:
        return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}

    await world.serve(await world.variant())
    await world.serve(
        await world.variant(content={**BOT, "tools": [tool("own")]}), name="tools@production"
    )
    for target in (ALIAS, "tools@production"):
        await (
            await world.chat.begin(world.actor, ask(target=target, tools=[tool("callers")]))
        ).result()
    found = [(it.request["tools"], it.call.ignored) for it in await world.records()]
    assert found == [([tool("callers")], []), ([tool("own")], ["tools"])]


async def test_a_caller_chooses_among_its_own_tools_only(world: World) -> None:
    tool = {"type": "function", "function": {"name": "own"}}
    await world.serve(await world.variant(content={**BOT, "tools": [tool]}))
    result = await (await world.chat.begin(world.actor, ask(tool_choice="none"))).result()
    assert (result.served.ignored, result.served.is_exact) == (("tool_choice",), True)
    assert "tool_choice" not in (await world.only_record()).request
    await world.serve(
        await world.variant(content={**BOT, "tools": [tool]}), strict=True, name="strict@production"
    )
    with pytest.raises(Invalid) as caught:
        await world.chat.begin(world.actor, ask(target="strict@production", tool_choice="none"))
    assert caught.value.path == "tool_choice"


async def test_variables_are_rendered_and_their_absence_is_told(world: World) -> None:
    content = {
        "messages": [
            {"role": "system", "content": "Help {{ customer }}."},
            {"placeholder": "history"},
        ],
        "variables": {"customer": {}},
    }
    await world.serve(await world.variant(content=content))
    with pytest.raises(Invalid) as caught:
        await world.chat.begin(world.actor, ask())
    assert caught.value.path == "variables.customer"
    await (await world.chat.begin(world.actor, ask(variables={"customer": "Ada"}))).result()
    assert (await world.only_record()).request["messages"][0]["content"] == "Help Ada."


async def test_texts_are_cleaned_and_flagged(world: World) -> None:
    await world.serve(await world.variant())
    await (await world.chat.begin(world.actor, ask("a\x07b \u202etxt"))).result()
    found = await world.only_record()
    assert found.request["messages"][-1]["content"] == "ab \u202etxt"
    assert found.call.flags == ["bidi_marks", "control_characters"]


async def test_a_regulated_alias_takes_no_wishes(world: World) -> None:
    variant = await world.variant(content={**BOT, "response_format": FORM})
    await world.serve(variant, regulated=True)
    await (await world.chat.begin(world.actor, ask(stream=False, subject="user-1"))).result()
    for wish in ({"parameters": {"stop": ["."]}}, {"parameters": {"max_tokens": 8}}):
        with pytest.raises(Invalid):
            await world.chat.begin(world.actor, ask(**wish))
    with pytest.raises(Invalid):
        await world.chat.begin(world.actor, ask(tools=[{"type": "function"}]))
    assert (await world.only_record()).call.is_exact


# --- guards --------------------------------------------------------------------------------------

BLOCK = {"kind": "regex", "pattern": "secret-[0-9]{4}", "label": "secret"}
MASK = {**BLOCK, "action": "mask"}


async def test_an_input_guard_refuses_before_anything_is_recorded(world: World) -> None:
    await world.serve(await world.variant(), guards={"input": [BLOCK]})
    with pytest.raises(GuardRefused) as caught:
        await world.chat.begin(world.actor, ask("My code is secret-1234."))
    assert caught.value.path == "messages[0].content"
    assert await world.records() == []


async def test_an_input_guard_masks_what_goes_to_the_model(world: World) -> None:
    await world.serve(await world.variant(), guards={"input": [MASK]})
    call = ToolCall("c1", "look", '{"code": "secret-1234"}')
    messages = (
        Message("user", "It is secret-1234."),
        Message("assistant", None, tool_calls=(call,)),
        Message("tool", "Found secret-5678.", tool_call_id="c1"),
    )
    await (await world.chat.begin(world.actor, ask(messages=messages))).result()
    found = await world.only_record()
    assert "secret-" not in str(found.request)
    assert found.call.flags == ["masked:secret"]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_output_guard_keeps_a_secret_in_whatever_form_it_comes(
    make_world: MakeWorld, stream: bool
) -> None:
    async with FakeProvider(ProviderOptions(answer="fixed:the code is secret-1234 ok")) as server:
        world = make_world(server)
        await world.serve(await world.variant(), guards={"output": [BLOCK]})
        await world.serve(
            await world.variant(), guards={"output": [MASK]}, name="masked@production"
        )
        blocked = await world.chat.begin(world.actor, ask(stream=stream))
        seen = []
        with pytest.raises(GuardRefused):
            async for event in blocked.events():
                seen.append(event.text)
        masked = await world.chat.begin(world.actor, ask(target="masked@production", stream=stream))
        text, events = await read(masked)
    assert "secret" not in "".join(seen)
    result = events[-1].result
    assert result is not None
    assert result.response.choices[0].message.text == "the code is [secret] ok"
    assert text == ("the code is [secret] ok" if stream else "")
    one, other = await world.records()
    assert (one.call.ending, one.generation.error_code) == ("refused", "guard_refused")
    assert one.generation.usage_source == ("estimated" if stream else "provider")
    assert one.generation.input_tokens
    assert "secret-1234" not in f"{one.output}{other.output}{one.error}"


# --- limits --------------------------------------------------------------------------------------


async def test_a_limit_that_is_reached_refuses_and_says_when_to_come_back(world: World) -> None:
    await world.serve(await world.variant())
    await world.limit(requests_per_minute=1)
    first = await world.chat.begin(world.actor, ask())
    assert first.limits["x-ratelimit-limit-requests"] == "1"
    assert first.limits["x-ratelimit-remaining-requests"] == "0"
    await first.result()
    with pytest.raises(LimitReached) as caught:
        await world.chat.begin(world.actor, ask())
    assert caught.value.retry_after_s and not caught.value.budget_spent
    assert caught.value.headers["x-ratelimit-reset-requests"].endswith("s")
    assert len(await world.records()) == 1


async def test_money_is_reserved_at_worst_and_settled_by_what_was_used(
    make_world: MakeWorld,
) -> None:
    async with FakeProvider(ProviderOptions(latency_ms=100)) as server:
        world = make_world(server)
        await world.serve(await world.variant(prices=PRICE))
        await world.limit(dollars_per_day="1")
        call = await world.chat.begin(world.actor, ask())
        assert (await world.used()).reserved > 0
        result = await call.result()
    used = await world.used()
    assert used.spent == result.response.cost
    assert used.reserved == 0
    assert used.tokens == sum(
        it or 0 for it in (result.response.usage.input_tokens, result.response.usage.output_tokens)
    )


@pytest.mark.parametrize("seed", range(2))
async def test_calls_at_once_never_spend_more_than_the_budget(
    make_world: MakeWorld, seed: int
) -> None:
    cap = Decimal("0.002")
    async with FakeProvider(ProviderOptions(latency_ms=5, seed=seed)) as server:
        world = make_world(server)
        await world.serve(await world.variant(prices=PRICE))
        await world.limit(dollars_per_day=str(cap))

        async def spend() -> None:
            for _ in range(4):
                try:
                    await (await world.chat.begin(world.actor, ask())).result()
                except LimitReached:
                    return

        await asyncio.gather(*(spend() for _ in range(64)))
    used = await world.used()
    assert Decimal(0) < used.spent <= cap
    assert used.reserved == 0
    costs = [record.generation.cost or Decimal(0) for record in await world.records()]
    assert sum(costs, Decimal(0)) == used.spent


# --- aliases -------------------------------------------------------------------------------------


class Counted:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.ended: list[EndedChat] = []
        self.began = 0

    def chat_began(self) -> None:
        self.began += 1

    def chat_ended(self, chat: EndedChat) -> None:
        self.ended.append(chat)

    def limit_refused(self, holder_kind: str, *, budget_spent: bool) -> None:
        raise AssertionError("there is no limit")


async def test_a_disabled_alias_answers_with_its_text_and_calls_nobody(
    make_world: MakeWorld, provider: FakeProvider
) -> None:
    counted = Counted()
    world = make_world(provider, observer=counted)
    await world.serve(await world.variant())
    await world.deploy(kind="disable", message="We are back at noon.")
    text, events = await read(await world.chat.begin(world.actor, ask(stream=True)))
    result = events[-1].result
    assert result is not None
    assert text == "We are back at noon." == result.response.choices[0].message.text
    assert (result.generation_id, result.response.usage.output_tokens) == (None, 0)
    assert await world.records() == [] and provider.ledger.summary()["received"] == 0
    assert [chat.ending for chat in counted.ended] == ["fixed_text"] and counted.began == 1


async def test_the_observer_hears_of_each_call_once(
    make_world: MakeWorld, provider: FakeProvider
) -> None:
    counted = Counted()
    world = make_world(provider, observer=counted)
    await world.serve(await world.variant(prices=PRICE))
    result = await (await world.chat.begin(world.actor, ask())).result()
    (chat,) = counted.ended
    assert (chat.alias, chat.role, chat.ending) == (ALIAS, "primary", "completed")
    assert (chat.dollars, counted.began) == (result.response.cost, 1)


async def test_a_retired_model_is_refused_with_its_successor_named(world: World) -> None:
    await world.serve(await world.variant())
    await world.models.retire(world.actor, "openai/fake-model@1", successor="openai/newer-model")
    with pytest.raises(Retired) as caught:
        await world.chat.begin(world.actor, ask())
    assert caught.value.successor == "openai/newer-model"


async def test_a_retired_model_is_refused_to_who_calls_it_directly(world: World) -> None:
    await world.variant()
    await world.models.retire(world.actor, "openai/fake-model@1")
    with pytest.raises(Retired):
        await world.chat.begin(world.actor, ask(target="openai/fake-model@1"))
    assert await world.records() == []
