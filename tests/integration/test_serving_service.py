"""What is served: resolved from the database, at most so old, also while that is down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from app.core.errors import Invalid, NotFound, Unavailable
from app.core.permissions import Actor
from app.database import Database
from app.schemas.aliases import read_deployment_request
from app.schemas.models import ModelDeclaration, PriceDeclaration
from app.services.builtin_prompts import register_builtin_prompts
from app.services.fresh_values import FreshValues, Staleness
from app.services.serving import ServingService
from app.services.variants import VariantService
from tests.integration.alias_world import NAME, AliasWorld, SteppingClock


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def world(database: Database, actor: Actor, clock: SteppingClock) -> AliasWorld:
    return AliasWorld(database, actor, clock)


@pytest.fixture
async def replicas(
    database: Database, database_url: str, clock: SteppingClock
) -> AsyncIterator[tuple[ServingService, ServingService]]:
    """Two processes' services over one database, each with connections of its own."""
    other = Database(database_url)
    services = tuple(
        ServingService(each, clock, VariantService(each, clock)) for each in (database, other)
    )
    yield services[0], services[1]
    for service in services:
        await service.close()
    await other.close()


@pytest.fixture
def serving(replicas: tuple[ServingService, ServingService]) -> ServingService:
    return replicas[0]


async def test_an_alias_is_resolved_to_all_that_a_call_needs(
    world: AliasWorld, serving: ServingService, actor: Actor
) -> None:
    price = PriceDeclaration.model_validate({"from": "2026-01-01", "input": 2, "output": 8})
    await world.models.declare(
        actor,
        ModelDeclaration(model="openai/some-model", context_window=8_000, prices=(price,)),
    )
    variant = await world.variant(1)
    await world.aliases.move(actor, NAME, variant.id, reason="first")
    served = await serving.resolve(NAME)
    _, (target,) = served.targets_for("ada")
    assert (served.name, served.number, served.message, target.role) == (NAME, 1, None, "primary")
    found = target.variant
    assert (found.variant_id, found.variant_hash) == (variant.id, variant.content_hash)
    assert (found.prompt, found.model, found.provider) == (
        "hello@1", "openai/some-model@1", "openai",
    )  # fmt: skip
    assert found.renderer.render({})[0].text == "Say hello 1 times."
    assert dict(found.parameters.applied) == variant.applied
    assert (found.context_window, found.status) == (8_000, "active")
    assert found.target.price is not None
    assert (found.target.price.output, found.target.price.id) == (Decimal(8), str(found.price_id))


async def test_a_moved_alias_is_served_by_every_process_within_five_seconds(
    world: AliasWorld,
    replicas: tuple[ServingService, ServingService],
    actor: Actor,
    clock: SteppingClock,
) -> None:
    await world.aliases.move(actor, NAME, (await world.variant(1)).id, reason="first")
    for replica in replicas:
        assert (await replica.resolve(NAME)).number == 1
    await world.aliases.move(actor, NAME, (await world.variant(2)).id, reason="second")
    clock.ahead_s += 4.9
    for replica in replicas:
        served = await replica.resolve(NAME)
        assert (served.number, served.targets[0].variant.prompt) == (2, "hello@2")


async def test_what_is_fresh_is_not_read_again(
    world: AliasWorld, serving: ServingService, actor: Actor, clock: SteppingClock
) -> None:
    await world.aliases.move(actor, NAME, (await world.variant(1)).id, reason="first")
    assert await serving.resolve(NAME) is await serving.resolve(NAME)
    clock.ahead_s += 1.5
    assert (await serving.resolve(NAME)).number == 1


async def test_a_new_alias_is_found_though_it_was_asked_for_before(
    world: AliasWorld, serving: ServingService, actor: Actor, clock: SteppingClock
) -> None:
    with pytest.raises(NotFound):
        await serving.resolve(NAME)
    await world.aliases.move(actor, NAME, (await world.variant(1)).id, reason="first")
    clock.ahead_s += 4.9
    assert (await serving.resolve(NAME)).number == 1


async def test_a_disabled_alias_has_its_text(
    world: AliasWorld, serving: ServingService, actor: Actor
) -> None:
    await world.aliases.move(actor, NAME, (await world.variant(1)).id, reason="first")
    request = {"kind": "disable", "message": "Back soon.", "reason": "incident"}
    await world.aliases.deploy(actor, NAME, read_deployment_request(request))
    assert (await serving.resolve(NAME)).message == "Back soon."


async def test_a_retired_target_is_passed_over_and_an_alias_may_have_none_left(
    world: AliasWorld, serving: ServingService, actor: Actor, clock: SteppingClock
) -> None:
    first, second = await world.variant(1), await world.variant(1, "openai/other-model")
    request = {"kind": "move", "variant": first.short_hash, "fallbacks": [second.short_hash]}
    await world.aliases.deploy(actor, NAME, read_deployment_request(request | {"reason": "both"}))
    await world.models.retire(actor, "openai/some-model", successor="openai/other-model@1")
    _, targets = (await serving.resolve(NAME)).targets_for("ada")
    assert [target.role for target in targets] == ["fallback"]
    await world.models.retire(actor, "openai/other-model")
    clock.ahead_s += 4.9
    served = await serving.resolve(NAME)
    assert served.targets_for("ada")[1] == ()
    assert served.targets[0].variant.successor == "openai/other-model@1"


async def test_a_deprecated_model_says_since_when_until_when_and_what_follows(
    world: AliasWorld, serving: ServingService, actor: Actor, clock: SteppingClock
) -> None:
    variant = await world.variant(1)
    sunset = clock.now() + timedelta(days=30)
    before = clock.now()
    await world.models.retire(
        actor, "openai/some-model", sunset=sunset, successor="openai/next-model"
    )
    served = await serving.variant(variant.id)
    assert served.status == "deprecated"
    assert served.deprecated_at is not None
    assert before <= served.deprecated_at <= clock.now()
    assert (served.sunset_at, served.successor) == (sunset, "openai/next-model")
    clock.ahead_s += 30 * 86_400
    assert (await serving.variant(variant.id)).is_retired


async def test_a_new_price_counts_within_five_seconds(
    world: AliasWorld, serving: ServingService, actor: Actor, clock: SteppingClock
) -> None:
    variant = await world.variant(1)
    assert (await serving.variant(variant.id)).target.price is None
    price = PriceDeclaration.model_validate({"from": clock.now(), "input": 1, "output": 3})
    await world.models.add_price(actor, "openai/some-model", price)
    clock.ahead_s += 4.9
    found = (await serving.variant(variant.id)).target.price
    assert found is not None
    assert found.output == Decimal(3)


async def test_a_variant_that_is_not_there_is_not_found(serving: ServingService) -> None:
    with pytest.raises(NotFound):
        await serving.variant(uuid4())


@pytest.mark.parametrize("name", ["openai/some-model", "openai/some-model@1", "some-model"])
async def test_a_model_is_called_directly_under_the_passthrough_prompt(
    world: AliasWorld, serving: ServingService, name: str
) -> None:
    await register_builtin_prompts(world.prompts)
    await world.variant(1)
    served = await serving.resolve_model(name)
    assert (served.prompt, served.model) == ("passthrough@1", "openai/some-model@1")
    assert (await serving.resolve_model("openai/some-model")).variant_id == served.variant_id


async def test_a_retired_model_is_resolved_with_its_status_and_an_unknown_one_is_not_found(
    world: AliasWorld, serving: ServingService, actor: Actor
) -> None:
    await register_builtin_prompts(world.prompts)
    await world.variant(1)
    await world.models.retire(actor, "openai/some-model", successor="openai/next-model")
    served = await serving.resolve_model("openai/some-model")
    assert (served.status, served.successor) == ("retired", "openai/next-model")
    for name in ("openai/other", "other", "openai/some-model@7"):
        with pytest.raises(NotFound):
            await serving.resolve_model(name)


async def test_without_a_number_the_newest_version_that_is_not_retired_is_meant(
    world: AliasWorld, serving: ServingService, actor: Actor
) -> None:
    await register_builtin_prompts(world.prompts)
    for snapshot in ("some-2025", "some-2026"):
        declaration = ModelDeclaration(model="openai/some-model", provider_model=snapshot)
        await world.models.declare(actor, declaration)
    await world.models.retire(actor, "openai/some-model@2")
    assert (await serving.resolve_model("openai/some-model")).model == "openai/some-model@1"
    assert (await serving.resolve_model("openai/some-model@2")).is_retired


async def test_a_plain_name_that_several_providers_have_is_told_with_them(
    world: AliasWorld, serving: ServingService
) -> None:
    await world.variant(1, "openai/twin")
    await world.variant(1, "simulated/twin")
    with pytest.raises(Invalid, match="openai/twin or simulated/twin"):
        await serving.resolve_model("twin")


# --- values that are read again and again -------------------------------------------------------


class Source:
    """Something to read that counts, can fail, and can be made to wait."""

    def __init__(self) -> None:
        self.reads = 0
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def read(self, key: str) -> tuple[str, int]:
        self.reads += 1
        number = self.reads
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return key, number


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def values(source: Source, clock: SteppingClock) -> FreshValues[str, tuple[str, int]]:
    return FreshValues(source.read, clock, Staleness())


Values = FreshValues[str, tuple[str, int]]


async def settled() -> None:
    """Let the readings that are under way go on until they end."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_many_who_ask_at_once_cause_one_reading(source: Source, values: Values) -> None:
    found = await asyncio.gather(*(values.get("a") for _ in range(50)))
    assert (set(found), source.reads) == ({("a", 1)}, 1)


async def test_a_reading_goes_on_though_the_one_who_asked_first_leaves(
    source: Source, values: Values
) -> None:
    source.gate.clear()
    first, second = (asyncio.create_task(values.get("a")) for _ in range(2))
    await settled()
    first.cancel()
    source.gate.set()
    assert (await second, source.reads) == (("a", 1), 1)


async def test_an_old_value_is_given_out_while_it_is_read_anew(
    source: Source, values: Values, clock: SteppingClock
) -> None:
    await values.get("a")
    clock.ahead_s += 2.5
    assert await values.get("a") == ("a", 1)
    await settled()
    assert await values.get("a") == ("a", 2)


async def test_too_old_a_value_is_waited_for(values: Values, clock: SteppingClock) -> None:
    await values.get("a")
    clock.ahead_s += 4.5
    assert await values.get("a") == ("a", 2)


@pytest.mark.parametrize("failure", [Unavailable("down"), ConnectionRefusedError()])
async def test_while_reading_fails_the_last_good_value_serves_for_a_minute(
    source: Source, values: Values, clock: SteppingClock, failure: Exception
) -> None:
    await values.get("a")
    source.failure = failure
    for _ in range(11):
        clock.ahead_s += 5
        assert await values.get("a") == ("a", 1)
        await settled()
    clock.ahead_s += 5.1
    with pytest.raises(type(failure)):
        await values.get("a")


async def test_a_source_that_failed_is_asked_again_once_a_second(
    source: Source, values: Values, clock: SteppingClock
) -> None:
    await values.get("a")
    source.failure = Unavailable("down")
    clock.ahead_s += 5
    for _ in range(100):
        await values.get("a")
    assert source.reads == 2


async def test_nobody_waits_for_a_source_that_is_known_to_fail(
    source: Source, values: Values, clock: SteppingClock
) -> None:
    await values.get("a")
    source.failure = Unavailable("down")
    clock.ahead_s += 5
    await values.get("a")
    clock.ahead_s += 2
    source.gate.clear()
    assert await values.get("a") == ("a", 1)
    source.failure = None
    source.gate.set()
    await settled()
    assert await values.get("a") == ("a", 3)


async def test_a_failure_that_does_not_pass_is_told_at_once(
    source: Source, values: Values, clock: SteppingClock
) -> None:
    await values.get("a")
    source.failure = NotFound("gone")
    clock.ahead_s += 5
    with pytest.raises(NotFound):
        await values.get("a")


async def test_what_was_not_asked_for_longest_is_forgotten(
    source: Source, clock: SteppingClock
) -> None:
    few = FreshValues(source.read, clock, Staleness(), most=2)
    for key in ("a", "b", "a", "c"):
        await few.get(key)
    assert source.reads == 3
    await few.get("a")
    assert source.reads == 3
    await few.get("b")
    assert source.reads == 4


async def test_closing_ends_what_is_being_read(source: Source, values: Values) -> None:
    source.gate.clear()
    asked = asyncio.create_task(values.get("a"))
    await settled()
    await values.close()
    with pytest.raises(asyncio.CancelledError):
        await asked
