"""Aliases on both databases: what may be moved, what is kept of each move, who may move."""

from __future__ import annotations

import asyncio
import json

import pytest

from app.core.clock import SystemClock
from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.core.permissions import Actor, ActorKind, Permission
from app.core.settings import EndpointSettings
from app.database import Database
from app.repositories.audit import AuditRepository
from app.schemas.aliases import is_alias, parse_alias
from app.schemas.models import ModelDeclaration
from app.schemas.prompts import PromptContent
from app.schemas.variants import VariantView
from app.services.aliases import AliasService
from app.services.models import ModelService
from app.services.prompts import PromptService
from app.services.variants import VariantService

ENDPOINTS = {
    "openai": EndpointSettings(provider="openai"),
    "simulated": EndpointSettings(provider="simulated"),
}
NAME = "hello@production"


class World:
    """What an alias needs to point to something."""

    def __init__(self, database: Database, actor: Actor) -> None:
        clock = SystemClock()
        self.actor = actor
        self.aliases = AliasService(database, clock)
        self.models = ModelService(database, clock, ENDPOINTS)
        self.prompts = PromptService(database, clock)
        self.variants = VariantService(database, clock)

    async def variant(
        self, number: int | None = 1, model: str = "openai/some-model"
    ) -> VariantView:
        content = PromptContent.model_validate(
            {"messages": [{"role": "user", "content": f"Say hello {number} times."}]}
        )
        prompt = await self.prompts.register(self.actor, "hello", content, number=number)
        found, _ = await self.models.resolve(self.actor, model, add_missing=True)
        return await self.variants.ensure(self.actor, prompt.version, found, {})


@pytest.fixture
def world(database: Database, actor: Actor) -> World:
    return World(database, actor)


async def test_an_alias_means_what_it_was_moved_to_last(world: World, actor: Actor) -> None:
    first, second = await world.variant(1), await world.variant(2)
    await world.aliases.move(actor, NAME, first.id, reason="the first one")
    moved = await world.aliases.move(actor, NAME, second.id, reason="better by 4 points")
    assert moved == await world.aliases.get(NAME)
    assert moved.current.primary.variant_id == second.id
    assert (moved.current.primary.prompt, moved.current.primary.model) == (
        "hello@2",
        "openai/some-model@1",
    )
    assert [alias.name for alias in await world.aliases.list()] == [NAME]


async def test_every_move_is_kept_with_who_why_and_what_was_before(
    world: World, actor: Actor
) -> None:
    first, second = await world.variant(1), await world.variant(2)
    for variant, reason in ((first, "one"), (second, "two"), (first, "back")):
        await world.aliases.move(actor, NAME, variant.id, reason=f" {reason} ")
    history = await world.aliases.history(NAME)
    assert [(m.number, m.previous, m.reason) for m in history] == [
        (3, 2, "back"),
        (2, 1, "two"),
        (1, None, "one"),
    ]
    assert {move.created_by for move in history} == {str(actor)}
    assert history[0].primary.variant_id == first.id


async def test_a_move_is_in_the_audit_chain_without_its_reason(
    world: World, actor: Actor, database: Database
) -> None:
    first, second = await world.variant(1), await world.variant(2)
    await world.aliases.move(actor, NAME, first.id, reason="private words")
    await world.aliases.move(actor, NAME, second.id, reason="private words")
    async with database.read_session() as session:
        bodies = [json.loads(body) for _, body, _, _ in await AuditRepository(session).bodies()]
    moves = [body for body in bodies if body["action"] == "alias.moved"]
    assert [move["detail"]["deployment"] for move in moves] == [1, 2]
    assert moves[1]["detail"]["previous_variant_hash"] == first.content_hash
    assert moves[1]["detail"]["variant_hash"] == second.content_hash
    assert "private words" not in json.dumps(bodies)


async def test_a_draft_a_retired_and_a_simulated_model_are_refused(
    world: World, actor: Actor
) -> None:
    draft = await world.variant(None)
    with pytest.raises(Invalid, match="is a draft"):
        await world.aliases.move(actor, NAME, draft.id, reason="why not")
    retired = await world.variant(1, "openai/old-model")
    await world.models.retire(actor, "openai/old-model")
    with pytest.raises(Invalid, match="is retired"):
        await world.aliases.move(actor, NAME, retired.id, reason="why not")
    simulated = await world.variant(1, "simulated/small")
    with pytest.raises(Invalid, match="no real model would answer"):
        await world.aliases.move(actor, NAME, simulated.id, reason="why not")
    assert await world.aliases.list() == []


async def test_a_simulated_model_can_be_asked_for(world: World, actor: Actor) -> None:
    simulated = await world.variant(1, "simulated/small")
    moved = await world.aliases.move(
        actor, NAME, simulated.id, reason="to try it out", allow_simulated=True
    )
    assert moved.current.primary.model == "simulated/small@1"


async def test_a_move_needs_a_reason_and_a_change(world: World, actor: Actor) -> None:
    variant = await world.variant()
    with pytest.raises(Invalid, match="Say why"):
        await world.aliases.move(actor, NAME, variant.id, reason="  ")
    await world.aliases.move(actor, NAME, variant.id, reason="first")
    with pytest.raises(Conflict, match="already"):
        await world.aliases.move(actor, NAME, variant.id, reason="again")


async def test_moving_needs_its_permission(world: World) -> None:
    variant = await world.variant()
    reader = Actor(ActorKind.USER, "ada", frozenset({Permission.ALIAS_READ}))
    with pytest.raises(Forbidden):
        await world.aliases.move(reader, NAME, variant.id, reason="I would like to")


async def test_an_alias_that_is_not_there_is_told_with_those_that_are(
    world: World, actor: Actor
) -> None:
    with pytest.raises(NotFound, match="there is none"):
        await world.aliases.get(NAME)
    await world.aliases.move(actor, NAME, (await world.variant()).id, reason="first")
    with pytest.raises(NotFound, match="there are hello@production"):
        await world.aliases.get("hello@staging")


async def test_moves_at_the_same_time_follow_each_other(world: World, actor: Actor) -> None:
    variants = [await world.variant(number) for number in (1, 2, 3, 4)]
    await asyncio.gather(
        *(world.aliases.move(actor, NAME, v.id, reason="all at once") for v in variants)
    )
    history = await world.aliases.history(NAME)
    assert [(m.number, m.previous) for m in history] == [(4, 3), (3, 2), (2, 1), (1, None)]


@pytest.mark.parametrize("text", [NAME, "team/hello@staging", "a@canary-2", "a@production.eu"])
def test_a_name_and_a_word_are_an_alias(text: str) -> None:
    assert parse_alias(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("hello", "hello@3", "hello@v3", "hello@latest", "hello@abcdef12", "hello@draft-1a2b3c4d"),
        *("@production", "Hello@production", "hello@Production", "hello@a b", "hello@", "h@a@b"),
    ],
)
def test_what_a_prompt_reference_could_mean_is_no_alias(text: str) -> None:
    assert not is_alias(text)
    with pytest.raises(Invalid, match="is no alias"):
        parse_alias(text)


async def test_declared_models_can_be_served(world: World, actor: Actor) -> None:
    await world.models.declare(actor, ModelDeclaration(model="openai/some-model"))
    moved = await world.aliases.move(actor, NAME, (await world.variant()).id, reason="first")
    assert moved.current.number == 1
