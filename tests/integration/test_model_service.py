"""The model catalog on both databases: versions, facts, prices, lifecycle, names."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.core.fact_settings import parse_fact_setting
from app.core.parameters import ParameterFact
from app.core.permissions import Actor, ActorKind, Permission
from app.core.settings import EndpointSettings
from app.database import Database
from app.llm.pricing import known_price
from app.llm.providers import ModelReport
from app.llm.types import Price
from app.repositories.audit import AuditRepository
from app.schemas.models import ModelDeclaration, ModelVersionView, PriceDeclaration
from app.services.audit import first_broken_entry
from app.services.models import ModelService

START = datetime(2026, 3, 1, 12, tzinfo=UTC)

ENDPOINTS = {
    "openai": EndpointSettings(provider="openai"),
    "azure": EndpointSettings(provider="openai"),
    "ollama": EndpointSettings(provider="ollama"),
    "simulated": EndpointSettings(provider="simulated"),
}


class Calendar:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    def next_day(self) -> datetime:
        self.time += timedelta(days=1)
        return self.time


class PriceList:
    """A list that a test can change."""

    def __init__(self, prices: Mapping[str, Price]) -> None:
        self.prices = dict(prices)

    def __call__(self, provider: str, model: str, at: datetime) -> Price | None:
        return self.prices.get(f"{provider}/{model}")


@pytest.fixture
def calendar() -> Calendar:
    return Calendar()


@pytest.fixture
def price_list() -> PriceList:
    return PriceList({"openai/gpt-4.1": Price(None, Decimal(2), Decimal(8), Decimal("0.5"))})


@pytest.fixture
def models(database: Database, calendar: Calendar, price_list: PriceList) -> ModelService:
    return ModelService(database, calendar, ENDPOINTS, price_list)


def says(model: str = "openai/gpt-4.1", **fields: Any) -> ModelDeclaration:
    return ModelDeclaration.model_validate({"model": model, **fields})


def own(begin: datetime, input_: str = "1", output: str = "2") -> PriceDeclaration:
    return PriceDeclaration(valid_from=begin, input=Decimal(input_), output=Decimal(output))


async def events(database: Database) -> list[dict[str, Any]]:
    async with database.read_session() as session:
        assert await first_broken_entry(session) is None
        return [json.loads(row[1]) for row in await AuditRepository(session).bodies()]


# Declaring


async def test_a_declared_model_is_version_1_with_the_facts_of_its_family(
    models: ModelService, actor: Actor
) -> None:
    declared = await models.declare(actor, says())
    version = declared.version
    assert declared.change == "added"
    assert version.reference == "openai/gpt-4.1@1"
    assert (version.provider_model, version.endpoint, version.digest) == ("gpt-4.1", "openai", None)
    assert version.facts.max_output_tokens == 32_768
    assert version.floating
    assert version.status == "active"
    assert await models.get("openai/gpt-4.1") == version
    assert await models.by_id(version.id) == version


async def test_the_same_again_changes_nothing_and_leaves_no_trace(
    models: ModelService, actor: Actor, database: Database, calendar: Calendar
) -> None:
    first = await models.declare(actor, says(max_output_tokens=500))
    calendar.next_day()
    again = await models.declare(actor, says(max_output_tokens=500))
    assert (again.change, again.changes) == ("unchanged", {})
    assert again.version.id == first.version.id
    assert [event["action"] for event in await events(database)] == [
        "model_version.added",
        "model_price.recorded",
    ]


@pytest.mark.parametrize(
    "other",
    [{"provider_model": "gpt-4.1-2025-04-14"}, {"endpoint": "azure"}, {"digest": "abc"}],
)
async def test_another_identity_is_the_next_version(
    models: ModelService, actor: Actor, other: dict[str, str]
) -> None:
    first = (await models.declare(actor, says())).version
    second = await models.declare(actor, says(**other))
    assert second.change == "new version"
    assert second.version.reference == "openai/gpt-4.1@2"
    assert await models.get("openai/gpt-4.1@1") == first
    assert (await models.get("openai/gpt-4.1")).number == 2


async def test_going_back_to_an_earlier_identity_is_a_version_too(
    models: ModelService, actor: Actor
) -> None:
    for name in ("a", "b", "a"):
        await models.declare(actor, says(provider_model=name))
    assert (await models.get("openai/gpt-4.1")).reference == "openai/gpt-4.1@3"
    assert (await models.get("openai/gpt-4.1")).provider_model == "a"


async def test_what_a_declaration_leaves_out_stays(models: ModelService, actor: Actor) -> None:
    await models.declare(
        actor,
        says(
            provider_model="x",
            endpoint="azure",
            digest="d",
            context_window=10,
            max_output_tokens=5,
            parameters={"seed": {"unsupported": True}},
            status="draft",
            sunset="2027-01-01",
            successor="openai/gpt-5",
        ),
    )
    before = await models.get("openai/gpt-4.1")
    after = await models.declare(actor, says())
    assert after.change == "unchanged"
    assert after.version == before
    assert before.successor == "openai/gpt-5"


async def test_facts_change_in_place_and_the_audit_keeps_old_and_new(
    models: ModelService, actor: Actor, database: Database
) -> None:
    await models.declare(actor, says(parameters={"temperature": {"maximum": 1}}))
    declared = await models.declare(
        actor,
        says(max_output_tokens=500, parameters={"temperature": {"unsupported": True}}),
    )
    assert declared.change == "updated"
    assert declared.version.number == 1
    assert declared.changes == {
        "max_output_tokens": (32_768, 500),
        "parameters.temperature": ({"maximum": 1}, {"maximum": 1, "unsupported": True}),
    }
    [event] = [e for e in await events(database) if e["action"] == "model_version.updated"]
    assert event["object_name"] == "openai/gpt-4.1@1"
    assert event["actor"] == str(actor)
    assert event["detail"]["old"]["max_output_tokens"] == 32_768
    assert event["detail"]["new"]["max_output_tokens"] == 500
    assert event["detail"]["new"]["parameters.temperature"]["unsupported"] is True


async def test_a_declared_parameter_keeps_what_it_does_not_say(
    models: ModelService, actor: Actor
) -> None:
    """gpt-5 is sent max_completion_tokens and takes only temperature 1."""
    version = (
        await models.declare(
            actor,
            says(
                "openai/gpt-5",
                parameters={"max_tokens": {"maximum": 900}, "temperature": {"unsupported": True}},
            ),
        )
    ).version
    assert version.facts.parameters["max_tokens"].wire == "max_completion_tokens"
    assert version.facts.parameters["max_tokens"].maximum == 900
    assert version.facts.parameters["temperature"] == ParameterFact(unsupported=True)


async def test_facts_that_contradict_each_other_are_refused_and_nothing_is_stored(
    models: ModelService, actor: Actor
) -> None:
    wrong = says("openai/x", parameters={"max_tokens": {"minimum": 2000}})
    with pytest.raises(Invalid, match="no value of max_tokens"):
        await models.declare_all(actor, [says(), wrong])
    assert await models.list() == []


async def test_a_mended_fact_holds_for_the_next_snapshot_of_the_name(
    models: ModelService, actor: Actor
) -> None:
    await models.declare(actor, says("ollama/llama3.2", digest="one"))
    await models.set_parameter_fact(
        actor, "ollama/llama3.2", parse_fact_setting("top_k=unsupported")
    )
    second = (await models.declare(actor, says("ollama/llama3.2", digest="two"))).version
    assert second.number == 2
    assert second.facts.parameters["top_k"].unsupported
    other = (await models.declare(actor, says("ollama/llama3.2", provider_model="mine"))).version
    assert "top_k" not in other.facts.parameters


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"endpoint": "nowhere"}, "no endpoint 'nowhere'; known are azure, ollama"),
        ({"endpoint": "ollama"}, "belongs to provider ollama; name the model ollama/gpt-4.1"),
    ],
)
async def test_an_endpoint_that_the_settings_do_not_have_is_refused(
    models: ModelService, actor: Actor, fields: dict[str, str], told: str
) -> None:
    with pytest.raises(Invalid, match=told):
        await models.declare(actor, says(**fields))


async def test_a_dry_run_says_the_same_and_stores_nothing(
    models: ModelService, actor: Actor, database: Database
) -> None:
    file = [says(), says("openai/b", max_output_tokens=9), says("simulated/small")]
    planned = await models.declare_all(actor, file, dry_run=True)
    assert await models.list() == []
    assert await events(database) == []
    done = await models.declare_all(actor, file)
    assert [(d.change, d.version.reference) for d in done] == [
        (d.change, d.version.reference) for d in planned
    ]


async def test_the_catalog_lists_versions_by_name_and_number(
    models: ModelService, actor: Actor
) -> None:
    for model in ("openai/b", "ollama/c", "openai/a", "openai/b"):
        await models.declare(actor, says(model, digest=str(len(await models.list()))))
    listed = [version.reference for version in await models.list()]
    assert listed == ["ollama/c@1", "openai/a@1", "openai/b@1", "openai/b@2"]


async def test_parallel_declarations_of_one_model_make_one_version(
    models: ModelService, actor: Actor
) -> None:
    done = await asyncio.gather(*(models.declare(actor, says()) for _ in range(10)))
    assert sorted(d.change for d in done) == ["added"] + ["unchanged"] * 9
    assert len(await models.list()) == 1


async def test_parallel_declarations_of_other_identities_are_numbered_without_a_gap(
    models: ModelService, actor: Actor, database: Database
) -> None:
    await asyncio.gather(*(models.declare(actor, says(digest=str(n))) for n in range(10)))
    assert [version.number for version in await models.list()] == list(range(1, 11))
    await events(database)  # the chain is whole


async def test_files_that_name_the_same_models_in_other_orders_do_not_block_each_other(
    models: ModelService, actor: Actor
) -> None:
    names = [f"openai/m{n}" for n in range(6)]
    files = [names, names[::-1], names[3:] + names[:3]]
    await asyncio.gather(
        *(models.declare_all(actor, [says(name) for name in file]) for file in files)
    )
    assert [version.model for version in await models.list()] == names


# Finding


async def test_a_name_that_is_not_there_suggests_the_closest(
    models: ModelService, actor: Actor
) -> None:
    await models.declare(actor, says())
    with pytest.raises(NotFound, match=r"Did you mean openai/gpt-4\.1\?"):
        await models.get("openai/gpt-4.l")
    with pytest.raises(NotFound, match="has the versions 1"):
        await models.get("openai/gpt-4.1@2")


# Facts


async def test_the_catalog_is_mended_by_one_setting(models: ModelService, actor: Actor) -> None:
    await models.declare(actor, says("openai/new-model"))
    declared = await models.set_parameter_fact(
        actor, "openai/new-model@1", parse_fact_setting("max_tokens=wire:max_completion_tokens")
    )
    assert declared.changes == {"parameters.max_tokens": (None, {"wire": "max_completion_tokens"})}
    mended = await models.get("openai/new-model")
    assert mended.facts.parameters["max_tokens"].wire == "max_completion_tokens"


async def test_settings_at_the_same_time_all_take_hold(models: ModelService, actor: Actor) -> None:
    await models.declare(actor, says("openai/new-model"))
    names = ["temperature", "top_p", "seed", "stop", "n", "top_k"]
    await asyncio.gather(
        *(
            models.set_parameter_fact(
                actor, "openai/new-model", parse_fact_setting(f"{name}=unsupported")
            )
            for name in names
        )
    )
    assert sorted((await models.get("openai/new-model")).facts.parameters) == sorted(names)


async def test_setting_facts_of_a_model_that_is_not_there_makes_none(
    models: ModelService, actor: Actor
) -> None:
    with pytest.raises(NotFound, match=r"no model openai/x in the catalog\.$"):
        await models.set_facts(actor, "openai/x", max_output_tokens=5)
    with pytest.raises(NotFound):
        await models.get("openai/x")


# Prices


async def test_a_known_model_has_its_list_price_from_its_declaration_on(
    models: ModelService, actor: Actor, calendar: Calendar
) -> None:
    version = (await models.declare(actor, says())).version
    assert version.price is not None
    assert (version.price.input, version.price.cached_input, version.price.output) == (
        Decimal(2),
        Decimal("0.5"),
        Decimal(8),
    )
    assert version.price.source == "genai-prices"
    assert await models.price_at(version, START - timedelta(seconds=1)) is None


async def test_the_price_of_an_unknown_model_is_unknown_and_not_zero(
    models: ModelService, actor: Actor
) -> None:
    assert (await models.declare(actor, says("openai/unheard-of"))).version.price is None


async def test_a_list_price_is_for_the_makers_own_endpoint(
    models: ModelService, actor: Actor
) -> None:
    assert (await models.declare(actor, says(endpoint="azure"))).version.price is None


@pytest.mark.parametrize("model", ["ollama/llama3.2", "simulated/small"])
async def test_local_models_cost_nothing_and_say_why(
    models: ModelService, actor: Actor, model: str
) -> None:
    price = (await models.declare(actor, says(model))).version.price
    assert price is not None
    assert (price.input, price.output, price.source) == (0, 0, "local")


async def test_an_ollama_model_in_the_cloud_is_not_local(
    models: ModelService, actor: Actor
) -> None:
    assert (await models.declare(actor, says("ollama/gpt-oss:120b-cloud"))).version.price is None


async def test_ones_own_price_overrides_the_list(models: ModelService, actor: Actor) -> None:
    await models.declare(actor, says())
    version = await models.add_price(actor, "openai/gpt-4.1", own(START, "1.25", "5"))
    assert version.price is not None
    assert (version.price.source, version.price.input) == ("own", Decimal("1.25"))
    assert {price.source for price in await models.prices(version)} == {"own", "genai-prices"}


async def test_a_new_price_of_ones_own_ends_the_one_before(
    models: ModelService, actor: Actor, calendar: Calendar, database: Database
) -> None:
    await models.declare(actor, says("openai/x"))
    await models.add_price(actor, "openai/x", own(START, "1"))
    later = calendar.next_day()
    version = await models.add_price(actor, "openai/x", own(later, "3"))
    rows = await models.prices(version)
    assert [(row.valid_from, row.valid_to, row.input) for row in rows] == [
        (START, later, Decimal(1)),
        (later, None, Decimal(3)),
    ]
    before = await models.price_at(version, later - timedelta(seconds=1))
    assert before is not None
    assert before.input == 1
    recorded = [e for e in await events(database) if e["action"] == "model_price.recorded"]
    assert recorded[-1]["detail"]["closed"] == [str(rows[0].id)]


async def test_a_price_in_the_past_of_another_is_refused(
    models: ModelService, actor: Actor
) -> None:
    await models.declare(actor, says("openai/x"))
    await models.add_price(actor, "openai/x", own(START))
    with pytest.raises(Conflict, match="Recorded prices never change"):
        await models.add_price(actor, "openai/x", own(START - timedelta(days=9)))


async def test_a_price_that_is_still_to_come_does_not_count_yet(
    models: ModelService, actor: Actor, calendar: Calendar
) -> None:
    await models.declare(actor, says())
    begin = START + timedelta(days=1)
    version = await models.add_price(actor, "openai/gpt-4.1", own(begin, "1"))
    assert version.price is not None
    assert version.price.source == "genai-prices"
    calendar.next_day()
    assert (await models.get(version.reference)).price == await models.price_at(version, begin)


async def test_declared_prices_are_recorded_once_with_their_history(
    models: ModelService, actor: Actor
) -> None:
    file = says(
        "openai/x",
        prices=[
            {"from": "2026-01-01", "input": "0.10", "output": "0.20"},
            {"from": "2026-02-01", "input": "0.08", "cached_input": "0.02", "output": "0.16"},
        ],
    )
    await models.declare(actor, file)
    again = await models.declare(actor, file)
    assert again.change == "unchanged"
    rows = await models.prices(again.version)
    assert [(row.input, row.valid_to) for row in rows] == [
        (Decimal("0.10"), datetime(2026, 2, 1, tzinfo=UTC)),
        (Decimal("0.08"), None),
    ]


async def test_a_changed_list_price_ends_the_recorded_one_when_the_model_is_declared_again(
    models: ModelService, actor: Actor, calendar: Calendar, price_list: PriceList
) -> None:
    await models.declare(actor, says())
    later = calendar.next_day()
    price_list.prices["openai/gpt-4.1"] = Price(None, Decimal(1), Decimal(4))
    declared = await models.declare(actor, says())
    assert declared.changes == {
        "price": (
            {"input": "2", "cached_input": "0.5", "output": "8"},
            {"input": "1", "output": "4"},
        )
    }
    rows = await models.prices(declared.version)
    assert [(row.input, row.valid_to) for row in rows] == [(2, later), (1, None)]


async def test_a_price_of_ones_own_goes_on_for_the_next_digest(
    models: ModelService, actor: Actor, calendar: Calendar
) -> None:
    await models.declare(actor, says("ollama/llama3.2", digest="one"))
    await models.add_price(actor, "ollama/llama3.2", own(START, "0.3"))
    calendar.next_day()
    second = (await models.declare(actor, says("ollama/llama3.2", digest="two"))).version
    assert second.price is not None
    assert (second.price.source, second.price.input) == ("own", Decimal("0.3"))


async def test_the_shipped_price_list_knows_a_model_and_does_not_guess(
    database: Database, actor: Actor, calendar: Calendar
) -> None:
    shipped = ModelService(database, calendar, ENDPOINTS, known_price)
    known = (await shipped.declare(actor, says("openai/gpt-4.1"))).version.price
    assert known is not None
    assert known.input > 0
    assert (await shipped.declare(actor, says("openai/gpt-nonsense"))).version.price is None


# Lifecycle


async def test_a_retired_version_is_not_what_its_name_stands_for(
    models: ModelService, actor: Actor
) -> None:
    await models.declare(actor, says())
    await models.declare(actor, says(digest="two"))
    await models.retire(actor, "openai/gpt-4.1@2")
    assert (await models.get("openai/gpt-4.1")).number == 1
    assert (await models.get("openai/gpt-4.1@2")).status == "retired"


async def test_a_model_whose_versions_are_all_retired_says_what_comes_after(
    models: ModelService, actor: Actor
) -> None:
    await models.declare(actor, says())
    await models.retire(actor, "openai/gpt-4.1", successor="openai/gpt-5")
    with pytest.raises(NotFound, match=r"retired on 2026-03-01\. Its successor is openai/gpt-5\."):
        await models.get("openai/gpt-4.1")
    with pytest.raises(Conflict, match="Its successor is openai/gpt-5"):
        await models.resolve(actor, "openai/gpt-4.1@1", add_missing=True)
    with pytest.raises(NotFound, match="retired"):
        await models.resolve(actor, "openai/gpt-4.1", add_missing=True)


async def test_a_sunset_still_to_come_deprecates(
    models: ModelService, actor: Actor, database: Database
) -> None:
    await models.declare(actor, says())
    declared = await models.retire(
        actor, "openai/gpt-4.1", sunset=START + timedelta(days=30), successor="openai/gpt-5@1"
    )
    assert declared.version.status == "deprecated"
    version, note = await models.resolve(actor, "openai/gpt-4.1", add_missing=False)
    assert version.status == "deprecated"
    assert note == (
        "openai/gpt-4.1@1 is deprecated and ends on 2026-03-31; its successor is openai/gpt-5@1."
    )
    [event] = [e for e in await events(database) if e["action"] == "model_version.deprecated"]
    assert event["detail"]["old"]["status"] == "active"
    assert event["detail"]["new"]["successor"] == "openai/gpt-5@1"


async def test_a_sunset_that_has_passed_retires(models: ModelService, actor: Actor) -> None:
    await models.declare(actor, says())
    declared = await models.retire(actor, "openai/gpt-4.1", sunset=START - timedelta(days=1))
    assert declared.version.status == "retired"


@pytest.mark.parametrize("successor", ["openai/gpt-4.1@1", "gpt-5"])
async def test_a_successor_must_be_another_model(
    models: ModelService, actor: Actor, successor: str
) -> None:
    await models.declare(actor, says())
    with pytest.raises(Invalid):
        await models.retire(actor, "openai/gpt-4.1", successor=successor)
    assert (await models.get("openai/gpt-4.1")).status == "active"


# Resolving what people type


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (
            "openai/gpt-4.1",
            "Added openai/gpt-4.1@1 to the catalog: up to 32,768 output tokens; $2 in, $8 out per "
            "million; the name is no snapshot (floating).",
        ),
        (
            "openai/somebody/Else-7B",
            "Added openai/somebody/Else-7B@1 to the catalog: no facts known, 1,024 output tokens "
            "assumed; price unknown; the name is no snapshot (floating).",
        ),
        (
            "simulated/small",
            "Added simulated/small@1 to the catalog: up to 4,096 output tokens; no cost.",
        ),
    ],
)
async def test_an_unknown_model_is_added_by_itself_and_said_in_one_line(
    models: ModelService, actor: Actor, text: str, note: str
) -> None:
    version, told = await models.resolve(actor, text, add_missing=True)
    assert told == note
    assert await models.resolve(actor, text, add_missing=True) == (version, None)


async def test_nothing_is_added_where_that_is_not_wanted(
    models: ModelService, actor: Actor
) -> None:
    with pytest.raises(NotFound) as refused:
        await models.resolve(actor, "openai/gpt-4.1", add_missing=False)
    assert refused.value.hint == "Add it with `workbench models add openai/gpt-4.1`."
    with pytest.raises(NotFound):  # a number is the catalog's to give
        await models.resolve(actor, "openai/gpt-4.1@1", add_missing=True)
    assert await models.list() == []


# Reports of providers


async def test_a_reported_digest_pins_the_model_in_a_version_of_its_own(
    models: ModelService, actor: Actor
) -> None:
    first, _ = await models.resolve(actor, "ollama/somebodys", add_missing=True)
    assert first.floating
    report = ModelReport("somebodys", digest="d" * 64, context_window=8192)
    pinned = await models.record_report(actor, first, report)
    assert pinned.change == "new version"
    assert pinned.version.digest == "d" * 64
    assert pinned.version.facts.context_window == 8192
    assert not pinned.version.floating
    again = await models.record_report(actor, pinned.version, report)
    assert again.change == "unchanged"


async def test_a_report_does_not_override_a_known_window(
    models: ModelService, actor: Actor
) -> None:
    version, _ = await models.resolve(actor, "openai/gpt-4.1", add_missing=True)
    declared = await models.record_report(
        actor, version, ModelReport("gpt-4.1", context_window=4096)
    )
    assert declared.change == "unchanged"


# Permissions


async def test_whoever_may_not_write_changes_nothing(models: ModelService, actor: Actor) -> None:
    version: ModelVersionView = (await models.declare(actor, says())).version
    reader = Actor(ActorKind.USER, "reader", frozenset({Permission.MODEL_READ}))
    attempts = [
        models.declare(reader, says("openai/x")),
        models.set_facts(reader, version.reference, max_output_tokens=1),
        models.retire(reader, version.reference),
        models.add_price(reader, version.reference, own(START)),
        models.resolve(reader, "openai/x", add_missing=True),
        models.record_report(reader, version, ModelReport("gpt-4.1", digest="x")),
    ]
    for attempt in attempts:
        with pytest.raises(Forbidden):
            await attempt
    assert await models.list() == [version]
