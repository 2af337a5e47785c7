"""An answer in production: what the client gets, and what is on record of it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.integration.chat.support import PRICE, World, ask, read


async def test_an_answer_is_on_record_with_its_whole_provenance_when_it_is_given(
    world: World,
) -> None:
    variant = await world.variant(prices=PRICE)
    alias = await world.serve(variant)
    call = await world.chat.begin(world.actor, ask("Hello?", subject="user-7", tags={"a": "b"}))
    result = await call.result()
    found = await world.only_record()
    row = found.generation
    assert result.response.choices[0].message.text == found.output["content"]
    assert result.generation_id == row.id
    assert (row.status, found.call.ending, row.finish_reason) == ("completed", "completed", "stop")
    assert (row.variant_id, row.provider) == (variant.id, "openai")
    assert row.prompt_version_id == variant.prompt_version_id
    assert row.model_version_id == variant.model_version_id
    assert (row.usage_source, row.input_tokens is None) == ("provider", False)
    assert row.cost is not None and row.cost > Decimal(0)
    assert row.latency_ms is not None and row.subject == "user-7"
    assert (found.call.alias_id, found.call.deployment_id) == (alias.id, alias.current.id)
    assert (found.call.role, found.call.is_exact) == ("primary", True)
    assert [message["role"] for message in found.request["messages"]] == ["system", "user"]
    assert [attempt.outcome for attempt in found.attempts] == ["ok"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stream_gives_the_text_in_pieces_and_then_the_same_result(
    world: World, stream: bool
) -> None:
    await world.serve(await world.variant())
    text, events = await read(await world.chat.begin(world.actor, ask(stream=stream)))
    result = events[-1].result
    assert result is not None
    whole = result.response.choices[0].message.text
    assert whole
    assert text == (whole if stream else "")
    assert [event.result for event in events[:-1]] == [None] * (len(events) - 1)
    assert (await world.only_record()).call.is_stream is stream
