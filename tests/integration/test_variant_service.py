"""Variants on both databases: what they are, what is sent, stored once."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest

from app.core.clock import SystemClock
from app.core.errors import Forbidden, Invalid, NotFound
from app.core.fact_settings import parse_fact_setting
from app.core.ids import new_id
from app.core.permissions import Actor, ActorKind, Permission
from app.core.settings import EndpointSettings
from app.database import Database
from app.repositories.audit import AuditRepository
from app.repositories.variants import VariantRepository
from app.schemas.models import ModelDeclaration, ModelVersionView
from app.schemas.prompts import PromptContent, PromptVersionView
from app.services.models import ModelService
from app.services.prompts import PromptService
from app.services.variants import VariantService

ENDPOINTS = {"openai": EndpointSettings(provider="openai")}


@pytest.fixture
def variants(database: Database) -> VariantService:
    return VariantService(database, SystemClock())


@pytest.fixture
def models(database: Database) -> ModelService:
    return ModelService(database, SystemClock(), ENDPOINTS, lambda *_: None)


@pytest.fixture
async def model(models: ModelService, actor: Actor) -> ModelVersionView:
    return (await models.declare(actor, ModelDeclaration(model="openai/some-model"))).version


@pytest.fixture
def prompts(database: Database) -> PromptService:
    return PromptService(database, SystemClock())


def content(text: str = "Say hello.", **parameters: Any) -> PromptContent:
    return PromptContent.model_validate(
        {"messages": [{"role": "user", "content": text}], "parameters": parameters}
    )


@pytest.fixture
async def prompt(prompts: PromptService, actor: Actor) -> PromptVersionView:
    registered = await prompts.register(actor, "hello", content(temperature=0), number=1)
    return registered.version


async def test_a_variant_tells_what_is_asked_by_which_layer_and_what_is_sent(
    variants: VariantService, actor: Actor, prompt: PromptVersionView, model: ModelVersionView
) -> None:
    variant = await variants.ensure(actor, prompt, model, {"max_tokens": 5})
    assert (variant.prompt, variant.model) == ("hello@1", "openai/some-model@1")
    assert variant.asked == {"max_tokens": 5, "temperature": 0, "top_p": 0.6}
    assert variant.sources == {"max_tokens": "request", "temperature": "prompt", "top_p": "house"}
    assert variant.applied == variant.asked
    assert variant.left_out == variant.refused == {}


async def test_the_same_three_are_one_variant(
    variants: VariantService,
    actor: Actor,
    prompt: PromptVersionView,
    model: ModelVersionView,
    database: Database,
) -> None:
    first = await variants.ensure(actor, prompt, model, {"max_tokens": 5})
    again = await variants.ensure(actor, prompt, model, {"max_tokens": 5.0})
    assert again == first
    async with database.read_session() as session:
        rows = [json.loads(row[1]) for row in await AuditRepository(session).bodies()]
    created = [row for row in rows if row["action"] == "variant.created"]
    assert [row["object_name"] for row in created] == ["hello@1+openai/some-model@1"]


async def test_everything_that_changes_what_is_measured_changes_the_variant(
    variants: VariantService,
    models: ModelService,
    prompts: PromptService,
    actor: Actor,
    prompt: PromptVersionView,
    model: ModelVersionView,
) -> None:
    other_text = (await prompts.register(actor, "hello", content("Hi"), number=2)).version
    other_name = (await prompts.register(actor, "greet", content(temperature=0), number=1)).version
    snapshot = ModelDeclaration(model="openai/some-model", provider_model="some-model-2026-01-01")
    other_snapshot = (await models.declare(actor, snapshot)).version
    alias = ModelDeclaration(model="openai/alias", provider_model="some-model")
    other_model = (await models.declare(actor, alias)).version
    hashes = [
        (await variants.ensure(actor, *wanted)).content_hash
        for wanted in [
            (prompt, model, {}),
            (prompt, model, {"top_p": 0.5}),
            (prompt, model, {"temperature": 0}),  # insisted on, not left to the prompt
            (other_text, model, {}),
            (other_name, model, {}),
            (prompt, other_snapshot, {}),
            (prompt, other_model, {}),
        ]
    ]
    assert len(set(hashes)) == len(hashes)


async def test_a_published_draft_keeps_its_variants(
    variants: VariantService, prompts: PromptService, actor: Actor, model: ModelVersionView
) -> None:
    """Identity is the content, so runs made on the draft stay evidence for the version."""
    draft = (await prompts.register(actor, "hello", content("New"), number=None)).version
    before = await variants.ensure(actor, draft, model, {})
    assert before.prompt.startswith("hello@draft-")
    published = (await prompts.publish(actor, "hello", content("New"), message="better")).version
    after = await variants.ensure(actor, published, model, {})
    assert after.id == before.id
    assert after.prompt == "hello@1"


async def test_what_the_catalog_learns_changes_what_is_sent_and_not_the_variant(
    variants: VariantService,
    models: ModelService,
    actor: Actor,
    prompt: PromptVersionView,
    model: ModelVersionView,
) -> None:
    before = await variants.ensure(actor, prompt, model, {})
    assert before.applied["temperature"] == 0
    setting = parse_fact_setting("temperature=unsupported")
    mended = (await models.set_parameter_fact(actor, model.reference, setting)).version
    after = await variants.get(before.id)
    assert after.content_hash == before.content_hash
    assert after.asked == before.asked
    assert "temperature" not in after.applied
    assert after.left_out == {"temperature": "not supported by the model"}
    assert after.refused == {}
    assert (await variants.ensure(actor, prompt, mended, {})).id == before.id


async def test_what_an_experiment_insisted_on_is_refused_and_never_dropped_in_silence(
    variants: VariantService,
    models: ModelService,
    actor: Actor,
    prompt: PromptVersionView,
    model: ModelVersionView,
) -> None:
    insisted = await variants.ensure(actor, prompt, model, {"temperature": 0})
    setting = parse_fact_setting("temperature=unsupported")
    mended = (await models.set_parameter_fact(actor, model.reference, setting)).version
    with pytest.raises(Invalid, match=r"parameters\.temperature was asked for") as refused:
        await variants.ensure(actor, prompt, mended, {"temperature": 0})
    assert refused.value.path == "parameters.temperature"
    assert (await variants.get(insisted.id)).refused == {
        "temperature": "not supported by the model"
    }


async def test_an_insisted_parameter_wins_over_a_default_of_the_same_value(
    variants: VariantService,
    models: ModelService,
    actor: Actor,
    prompts: PromptService,
    model: ModelVersionView,
) -> None:
    """By default top_p yields; asked for with the very value of its default it does not."""
    plain = (await prompts.register(actor, "plain", content(), number=1)).version
    setting = parse_fact_setting("temperature=exclusive:top_p")
    either = (await models.set_parameter_fact(actor, model.reference, setting)).version
    by_default = await variants.ensure(actor, plain, either, {})
    insisted = await variants.ensure(actor, plain, either, {"top_p": 0.6})
    assert by_default.asked == insisted.asked
    assert "top_p" in by_default.left_out
    assert "temperature" in insisted.left_out


async def test_wrong_parameters_store_nothing(
    variants: VariantService, actor: Actor, prompt: PromptVersionView, model: ModelVersionView
) -> None:
    with pytest.raises(Invalid) as refused:
        await variants.ensure(actor, prompt, model, {"temperature": 3})
    assert refused.value.path == "parameters.temperature"
    assert list(await variants.list()) == []


async def test_inside_another_transaction_a_variant_is_stored_or_not_with_it(
    variants: VariantService,
    actor: Actor,
    prompt: PromptVersionView,
    model: ModelVersionView,
    database: Database,
) -> None:
    async with database.write_session() as session:
        await variants.ensure_in(session, actor, prompt, model, {})
        await session.rollback()
    assert list(await variants.list()) == []
    async with database.write_session() as session:
        stored = await variants.ensure_in(session, actor, prompt, model, {})
        await session.commit()
    assert list(await variants.list()) == [stored]


async def test_parallel_calls_make_one_variant(
    variants: VariantService, actor: Actor, prompt: PromptVersionView, model: ModelVersionView
) -> None:
    made = await asyncio.gather(
        *(variants.ensure(actor, prompt, model, {"seed": 1}) for _ in range(10))
    )
    assert len({variant.id for variant in made}) == 1


async def test_the_same_variants_in_other_orders_do_not_block_each_other(
    variants: VariantService,
    actor: Actor,
    prompt: PromptVersionView,
    model: ModelVersionView,
    database: Database,
) -> None:
    async def make(seeds: list[int]) -> None:
        async with database.write_session() as session:
            for seed in seeds:
                await variants.ensure_in(session, actor, prompt, model, {"seed": seed})
            await session.commit()

    seeds = list(range(8))
    await asyncio.gather(
        make(seeds), make(seeds[::-1]), make(seeds[4:] + seeds[:4]), make(seeds[4::-1])
    )
    assert len(await variants.list()) == len(seeds)


async def test_a_variant_is_found_by_its_id_or_the_beginning_of_its_hash(
    variants: VariantService, actor: Actor, prompt: PromptVersionView, model: ModelVersionView
) -> None:
    variant = await variants.ensure(actor, prompt, model, {})
    digits = variant.content_hash.removeprefix("sha256:")
    for reference in (
        variant.id,
        str(variant.id),
        variant.short_hash,
        digits[:6],
        digits,
        variant.content_hash,
    ):
        assert await variants.get(reference) == variant


@pytest.mark.parametrize("reference", ["", "abc", "not-hex", "ABCDEF", "%", "a" * 65])
async def test_a_text_that_is_no_reference_is_refused(
    variants: VariantService, reference: str
) -> None:
    with pytest.raises(Invalid, match="at least 6 digits of its hash"):
        await variants.get(reference)


async def test_a_reference_to_nothing_says_so(variants: VariantService) -> None:
    for reference in ("abcdef", new_id(), UUID(int=0)):
        with pytest.raises(NotFound, match="There is no variant"):
            await variants.get(reference)


async def test_a_beginning_that_several_variants_have_is_refused(
    variants: VariantService,
    actor: Actor,
    prompt: PromptVersionView,
    model: ModelVersionView,
    database: Database,
) -> None:
    """Two hashes that begin alike would take millions of variants; the rows are made by hand."""
    made = await variants.ensure(actor, prompt, model, {})
    row = {
        "prompt_version_id": prompt.id,
        "model_version_id": model.id,
        "parameters": made.asked,
        "sources": made.sources,
        "created_at": made.created_at,
        "created_by": made.created_by,
    }
    async with database.write_session() as session:
        repository = VariantRepository(session)
        for ending in ("1", "2"):
            digits = "abcdef".ljust(63, "0") + ending
            await repository.add_if_new({**row, "id": new_id(), "content_hash": f"sha256:{digits}"})
        await session.commit()
    with pytest.raises(NotFound, match="several variants: use more digits"):
        await variants.get("abcdef")


async def test_the_newest_variants_are_listed_first(
    variants: VariantService, actor: Actor, prompt: PromptVersionView, model: ModelVersionView
) -> None:
    made = [await variants.ensure(actor, prompt, model, {"seed": n}) for n in range(4)]
    assert [v.id for v in await variants.list(limit=3)] == [v.id for v in reversed(made[1:])]


async def test_whoever_may_not_run_experiments_makes_no_variant(
    variants: VariantService, prompt: PromptVersionView, model: ModelVersionView
) -> None:
    reader = Actor(ActorKind.USER, "reader", frozenset({Permission.PROMPT_READ}))
    with pytest.raises(Forbidden):
        await variants.ensure(reader, prompt, model, {})
