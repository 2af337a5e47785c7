"""Targets one after the other, and endpoints that are left alone for a while."""

from __future__ import annotations

import pytest

from app.core.errors import Unavailable
from app.core.settings import CallLimits
from app.llm.breaker import BreakerPolicy
from app.llm.errors import (
    BadRequest,
    EndpointUnreachable,
    LLMError,
    RateLimited,
    ServerError,
)
from tests.fake_provider import FakeProvider, ProviderOptions
from tests.integration.chat.conftest import MakeWorld
from tests.integration.chat.support import NEVER_OPENS, PRICE, World, ask, endpoint, read

TERSE = {
    "messages": [{"role": "system", "content": "Be terse."}, {"placeholder": "history"}],
    "parameters": {"max_tokens": 32},
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["500", "429-quota", "404-model", "401"])
async def test_a_fallback_answers_and_is_what_stands_on_record(
    world: World, provider: FakeProvider, fault: str, stream: bool
) -> None:
    primary = await world.variant(f"openai/fault-{fault}", prices=PRICE)
    fallback = await world.variant("openai/fake-model", TERSE, prices=PRICE)
    await world.serve(primary, fallback)
    call = await world.chat.begin(world.actor, ask(stream=stream))
    result = (await read(call))[1][-1].result
    assert result is not None
    assert (result.served.role, result.served.variant_id) == ("fallback", fallback.id)
    assert call.served == result.served
    found = await world.only_record()
    row = found.generation
    assert (found.call.ending, found.call.role) == ("completed", "fallback")
    assert (row.variant_id, row.model_version_id) == (fallback.id, fallback.model_version_id)
    assert found.request["messages"][0]["content"] == "Be terse."
    assert [attempt.number for attempt in found.attempts] == [1, 2]
    assert [attempt.outcome == "ok" for attempt in found.attempts] == [False, True]
    assert row.attempt_count == 2 == provider.ledger.summary()["received"]


async def test_what_was_rendered_for_the_target_that_failed_is_erased(world: World) -> None:
    await world.serve(
        await world.variant("openai/fault-500"), await world.variant("openai/fake-model", TERSE)
    )
    await (await world.chat.begin(world.actor, ask())).result()
    texts = [str(body) for body in (await world.texts()) if body]
    assert not any("Help politely" in text for text in texts)


async def test_the_last_targets_error_is_the_calls(world: World) -> None:
    await world.serve(
        await world.variant("openai/fault-404-model"), await world.variant("openai/fault-500")
    )
    with pytest.raises(ServerError):
        await (await world.chat.begin(world.actor, ask())).result()
    found = await world.only_record()
    assert found.generation.error_code == "server_error"
    assert [attempt.outcome for attempt in found.attempts] == ["unknown_model", "server_error"]


async def test_no_fallback_is_asked_what_the_request_itself_is_refused_for(world: World) -> None:
    await world.serve(await world.variant("openai/fault-400"), await world.variant())
    with pytest.raises(BadRequest):
        await (await world.chat.begin(world.actor, ask())).result()
    assert (await world.only_record()).call.role == "primary"


async def test_no_fallback_takes_over_once_text_was_passed_on(world: World) -> None:
    await world.serve(await world.variant("openai/fault-stream-error-event"), await world.variant())
    call = await world.chat.begin(world.actor, ask(stream=True))
    with pytest.raises(LLMError):
        await read(call)
    found = await world.only_record()
    assert (found.call.role, found.call.ending) == ("primary", "failed")
    assert len(found.attempts) == 1


async def test_a_canary_that_fails_hands_over_to_the_primary(world: World) -> None:
    primary, canary = await world.variant(), await world.variant("openai/fault-500")
    await world.deploy(
        kind="move",
        variant=str(primary.id),
        canaries=[{"variant": str(canary.id), "weight": 0.9999}],
    )
    result = await (await world.chat.begin(world.actor, ask(sticky="someone"))).result()
    assert result.served.role == "primary"
    found = await world.only_record()
    assert found.call.bucket == result.served.bucket
    assert len(found.attempts) == 2


async def test_an_endpoint_that_keeps_failing_is_passed_over_at_once(
    make_world: MakeWorld, provider: FakeProvider
) -> None:
    async with FakeProvider() as other:
        endpoints = {"openai": endpoint(provider.base_url), "spare": endpoint(other.base_url)}
        world = make_world(
            provider, endpoints=endpoints, breaker=BreakerPolicy(in_a_row=2, pause_s=3600)
        )
        await world.serve(
            await world.variant("openai/fault-500"),
            await world.variant("openai/fake-model", endpoint="spare"),
        )
        for _ in range(5):
            assert (await (await world.chat.begin(world.actor, ask())).result()).served.role
        assert provider.ledger.summary()["received"] == 2
        assert other.ledger.summary()["received"] == 5


async def test_with_every_circuit_open_nothing_begins(
    make_world: MakeWorld, provider: FakeProvider
) -> None:
    world = make_world(provider, breaker=BreakerPolicy(in_a_row=1, pause_s=20))
    await world.serve(await world.variant("openai/fault-500"))
    with pytest.raises(ServerError):
        await (await world.chat.begin(world.actor, ask())).result()
    with pytest.raises(Unavailable) as caught:
        await world.chat.begin(world.actor, ask())
    assert caught.value.retry_after_s == pytest.approx(20, abs=2)
    assert len(await world.records()) == 1


async def test_refusals_of_a_request_open_no_circuit(
    make_world: MakeWorld, provider: FakeProvider
) -> None:
    world = make_world(provider, breaker=BreakerPolicy(in_a_row=1, pause_s=3600))
    await world.serve(await world.variant("openai/fault-400"))
    for _ in range(3):
        with pytest.raises(BadRequest):
            await (await world.chat.begin(world.actor, ask())).result()
    assert len(await world.records()) == 3


async def test_the_limits_are_charged_for_every_target_that_may_have_worked(
    make_world: MakeWorld, provider: FakeProvider
) -> None:
    world = make_world(provider, breaker=NEVER_OPENS)
    await world.serve(
        await world.variant("openai/fault-500", prices=PRICE),
        await world.variant("openai/fake-model", prices=PRICE),
    )
    await world.limit(dollars_per_day="1")
    await (await world.chat.begin(world.actor, ask())).result()
    answer = (await world.only_record()).generation.cost
    used = await world.used()
    assert answer is not None and used.spent > answer
    assert used.reserved == 0


async def test_a_target_that_takes_all_its_time_is_followed_by_another_and_left_alone_later(
    make_world: MakeWorld, provider: FakeProvider
) -> None:
    hasty = CallLimits(connect_s=5, first_byte_s=5, idle_s=5, total_s=0.3)
    async with FakeProvider(ProviderOptions(latency_ms=60_000)) as slow:
        world = make_world(
            provider,
            endpoints={
                "openai": endpoint(slow.base_url, hasty),
                "spare": endpoint(provider.base_url),
            },
            breaker=BreakerPolicy(in_a_row=1, pause_s=3600),
        )
        await world.serve(
            await world.variant(), await world.variant("openai/spare-model", endpoint="spare")
        )
        for _ in range(2):
            result = await (await world.chat.begin(world.actor, ask())).result()
            assert result.served.role == "fallback"
        assert slow.ledger.summary()["received"] == 1
    first, second = await world.records()
    assert [attempt.outcome for attempt in first.attempts] == ["timeout", "ok"]
    assert [attempt.outcome for attempt in second.attempts] == ["ok"]


async def test_a_rate_limit_opens_no_circuit(make_world: MakeWorld, provider: FakeProvider) -> None:
    world = make_world(provider, breaker=BreakerPolicy(in_a_row=1, pause_s=3600))
    await world.serve(await world.variant("openai/fault-429-seconds"))
    for _ in range(2):
        with pytest.raises(RateLimited):
            await (await world.chat.begin(world.actor, ask())).result()
    assert len(await world.records()) == 2


async def _serve_by_two_endpoints(world: World) -> None:
    await world.serve(
        await world.variant(), await world.variant("openai/spare-model", endpoint="spare")
    )


async def test_an_endpoint_that_this_server_does_not_know_is_a_failure_of_its_target(
    make_world: MakeWorld, provider: FakeProvider
) -> None:
    known = {"openai": endpoint(provider.base_url), "spare": endpoint(provider.base_url)}
    await _serve_by_two_endpoints(make_world(provider, endpoints=known))
    lesser = make_world(provider, endpoints={"spare": known["spare"]})
    result = await (await lesser.chat.begin(lesser.actor, ask())).result()
    assert result.served.role == "fallback"


async def test_what_is_wrong_with_our_settings_is_told_to_no_caller(
    make_world: MakeWorld, provider: FakeProvider
) -> None:
    known = {"openai": endpoint(provider.base_url), "spare": endpoint(provider.base_url)}
    await _serve_by_two_endpoints(make_world(provider, endpoints=known))
    none = make_world(provider, endpoints={"unused-name": known["spare"]})
    with pytest.raises(EndpointUnreachable) as caught:
        await (await none.chat.begin(none.actor, ask())).result()
    assert "unused-name" not in str(caught.value) and "spare" not in str(caught.value)
    found = await none.only_record()
    assert (found.call.ending, found.generation.usage_source) == ("failed", "unreported")
