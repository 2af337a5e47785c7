"""Aliases on both databases: what may be moved, what is kept of each move, who may move."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.core.permissions import Actor, ActorKind, Grant, Permission
from app.database import Database
from app.repositories.audit import AuditRepository
from app.schemas.aliases import (
    AliasSettings,
    DeploymentRequest,
    DeploymentTargetView,
    is_alias,
    parse_alias,
    read_deployment_request,
)
from app.schemas.models import ModelDeclaration
from tests.integration.alias_world import NAME, AliasWorld, SteppingClock

REASON = "because"


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def world(database: Database, actor: Actor, clock: SteppingClock) -> AliasWorld:
    return AliasWorld(database, actor, clock)


def wanted(kind: str, **values: object) -> DeploymentRequest:
    return read_deployment_request({"kind": kind, "reason": REASON, **values})


def told(targets: tuple[DeploymentTargetView, ...]) -> list[tuple[str, str, float]]:
    return [(target.role, target.prompt, target.weight) for target in targets]


async def test_an_alias_means_what_it_was_moved_to_last(world: AliasWorld, actor: Actor) -> None:
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
    world: AliasWorld, actor: Actor
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
    world: AliasWorld, actor: Actor, database: Database
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
    world: AliasWorld, actor: Actor
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


async def test_a_simulated_model_can_be_asked_for(world: AliasWorld, actor: Actor) -> None:
    simulated = await world.variant(1, "simulated/small")
    moved = await world.aliases.move(
        actor, NAME, simulated.id, reason="to try it out", allow_simulated=True
    )
    assert moved.current.primary.model == "simulated/small@1"


async def test_a_move_needs_a_reason_and_a_change(world: AliasWorld, actor: Actor) -> None:
    variant = await world.variant()
    with pytest.raises(Invalid, match="say why"):
        await world.aliases.move(actor, NAME, variant.id, reason="  ")
    await world.aliases.move(actor, NAME, variant.id, reason="first")
    with pytest.raises(Conflict, match="already"):
        await world.aliases.move(actor, NAME, variant.id, reason="again")


async def test_moving_needs_its_permission(world: AliasWorld) -> None:
    variant = await world.variant()
    reader = Actor(ActorKind.USER, "ada", frozenset({Permission.ALIAS_READ}))
    with pytest.raises(Forbidden):
        await world.aliases.move(reader, NAME, variant.id, reason="I would like to")


async def test_an_alias_that_is_not_there_is_told_with_those_that_are(
    world: AliasWorld, actor: Actor
) -> None:
    with pytest.raises(NotFound, match="there is none"):
        await world.aliases.get(NAME)
    await world.aliases.move(actor, NAME, (await world.variant()).id, reason="first")
    with pytest.raises(NotFound, match="there are hello@production"):
        await world.aliases.get("hello@staging")


async def test_moves_at_the_same_time_follow_each_other(world: AliasWorld, actor: Actor) -> None:
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


async def test_declared_models_can_be_served(world: AliasWorld, actor: Actor) -> None:
    await world.models.declare(actor, ModelDeclaration(model="openai/some-model"))
    moved = await world.aliases.move(actor, NAME, (await world.variant()).id, reason="first")
    assert moved.current.number == 1


# --- canaries, fallbacks and settings -----------------------------------------------------------


async def test_a_move_can_have_canaries_and_fallbacks_in_their_order(
    world: AliasWorld, actor: Actor
) -> None:
    variants = [await world.variant(number) for number in (1, 2, 3, 4)]
    first, second, third, fourth = (variant.short_hash for variant in variants)
    moved = await world.aliases.deploy(
        actor,
        NAME,
        wanted(
            "move",
            variant=first,
            canaries=[{"variant": second, "weight": 0.01}],
            fallbacks=[fourth, third],
        ),
    )
    assert told(moved.current.targets) == [
        ("primary", "hello@1", 0.99),
        ("canary", "hello@2", 0.01),
        ("fallback", "hello@4", 1),
        ("fallback", "hello@3", 2),
    ]


async def test_a_weight_is_raised_by_one_more_move(world: AliasWorld, actor: Actor) -> None:
    first, second = (await world.variant(1)).short_hash, (await world.variant(2)).short_hash
    for weight in (0.01, 0.1):
        canary = {"variant": second, "weight": weight}
        await world.aliases.deploy(actor, NAME, wanted("move", variant=first, canaries=[canary]))
    history = await world.aliases.history(NAME)
    assert [move.targets[1].weight for move in history] == [0.1, 0.01]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"canaries": [{"variant": "{0}", "weight": 0.5}]}, "named twice"),
        ({"fallbacks": ["{1}", "{1}"]}, "named twice"),
        (
            {"canaries": [{"variant": "{1}", "weight": 0.5}, {"variant": "{2}", "weight": 0.5}]},
            "add up to everybody",
        ),
        ({"canaries": [{"variant": "{1}", "weight": 1.0}]}, "less than 1"),
        ({"canaries": [{"variant": "{1}", "weight": 0.0}]}, "greater than or equal"),
    ],
)
async def test_targets_that_make_no_sense_are_refused(
    world: AliasWorld, actor: Actor, values: dict[str, object], sentence: str
) -> None:
    hashes = [(await world.variant(number)).short_hash for number in (1, 2, 3)]
    filled = json.loads(json.dumps(values))
    for number, digits in enumerate(hashes):
        filled = json.loads(json.dumps(filled).replace(f"{{{number}}}", digits))
    with pytest.raises(Invalid, match=sentence):
        await world.aliases.deploy(actor, NAME, wanted("move", variant=hashes[0], **filled))


async def test_a_retired_fallback_is_refused_as_a_primary_is(
    world: AliasWorld, actor: Actor
) -> None:
    first, retired = await world.variant(1), await world.variant(1, "openai/old-model")
    await world.models.retire(actor, "openai/old-model", successor="openai/some-model@1")
    with pytest.raises(Invalid, match="Its successor is openai/some-model@1"):
        await world.aliases.deploy(
            actor, NAME, wanted("move", variant=first.short_hash, fallbacks=[retired.short_hash])
        )


async def test_settings_stay_until_they_are_changed_and_only_what_is_given_changes(
    world: AliasWorld, actor: Actor
) -> None:
    first, second = await world.variant(1), await world.variant(2)
    guards = {"output": [{"kind": "email", "action": "mask"}]}
    await world.aliases.deploy(
        actor, NAME, wanted("move", variant=first.short_hash, settings={"guards": guards})
    )
    await world.aliases.move(actor, NAME, second.id, reason=REASON)
    changed = await world.aliases.deploy(actor, NAME, wanted("settings", settings={"strict": True}))
    settings = changed.current.settings
    assert (settings.strict, settings.guards.output[0].kind) == (True, "email")
    assert changed.current.primary.variant_id == second.id
    assert [move.kind for move in await world.aliases.history(NAME)] == ["settings", "move", "move"]


async def test_settings_that_are_the_same_are_no_move(world: AliasWorld, actor: Actor) -> None:
    await world.aliases.move(actor, NAME, (await world.variant()).id, reason=REASON)
    with pytest.raises(Conflict, match="already"):
        await world.aliases.deploy(actor, NAME, wanted("settings", settings={"strict": False}))


async def test_an_alias_that_is_not_there_has_no_settings_and_cannot_be_disabled(
    world: AliasWorld, actor: Actor
) -> None:
    for request in (
        wanted("settings", settings={"strict": True}),
        wanted("disable", message="Back soon."),
        wanted("rollback"),
    ):
        with pytest.raises(NotFound):
            await world.aliases.deploy(actor, NAME, request)


# --- regulated ----------------------------------------------------------------------------------


async def test_a_regulated_alias_serves_no_free_text(world: AliasWorld, actor: Actor) -> None:
    free, shaped = await world.variant(1), await world.variant(2, has_schema=True)
    regulated = {"regulated": True}
    for values in (
        {"variant": free.short_hash},
        {"variant": shaped.short_hash, "fallbacks": [free.short_hash]},
        {
            "variant": shaped.short_hash,
            "canaries": [{"variant": free.short_hash, "weight": 0.1}],
        },
    ):
        with pytest.raises(Invalid, match="no output schema"):
            await world.aliases.deploy(actor, NAME, wanted("move", settings=regulated, **values))
    moved = await world.aliases.deploy(
        actor, NAME, wanted("move", variant=shaped.short_hash, settings=regulated)
    )
    assert moved.current.settings.regulated


async def test_an_output_guard_stands_in_for_a_schema_and_cannot_be_taken_away(
    world: AliasWorld, actor: Actor
) -> None:
    free = await world.variant(1)
    settings = {"regulated": True, "guards": {"output": [{"kind": "secret"}]}}
    await world.aliases.deploy(
        actor, NAME, wanted("move", variant=free.short_hash, settings=settings)
    )
    with pytest.raises(Invalid, match="no output schema"):
        await world.aliases.deploy(
            actor, NAME, wanted("settings", settings={"guards": {"output": []}})
        )


async def test_an_alias_becomes_regulated_only_if_what_it_serves_allows_it(
    world: AliasWorld, actor: Actor
) -> None:
    await world.aliases.move(actor, NAME, (await world.variant(1)).id, reason=REASON)
    with pytest.raises(Invalid, match="no output schema"):
        await world.aliases.deploy(actor, NAME, wanted("settings", settings={"regulated": True}))


def test_a_regulated_alias_lets_callers_override_nothing_and_takes_no_instructions() -> None:
    settings = AliasSettings(regulated=True)
    assert settings.may_override == {"stream", "user"}
    assert settings.refuses_others
    with pytest.raises(Invalid, match="takes no system messages"):
        settings.changed(AliasSettings(allow_system=True))


# --- going back ---------------------------------------------------------------------------------


async def test_a_rollback_brings_the_targets_before_back_and_keeps_the_settings(
    world: AliasWorld, actor: Actor
) -> None:
    first, second, third = [await world.variant(number) for number in (1, 2, 3)]
    canary = {"variant": second.short_hash, "weight": 0.2}
    await world.aliases.deploy(
        actor, NAME, wanted("move", variant=first.short_hash, canaries=[canary])
    )
    await world.aliases.move(actor, NAME, third.id, reason=REASON)
    await world.aliases.deploy(actor, NAME, wanted("settings", settings={"strict": True}))
    back = await world.aliases.deploy(actor, NAME, wanted("rollback"))
    assert told(back.current.targets) == [("primary", "hello@1", 0.8), ("canary", "hello@2", 0.2)]
    assert back.current.settings.strict
    assert (back.current.kind, back.current.number) == ("rollback", 4)


async def test_a_rollback_goes_to_a_number(world: AliasWorld, actor: Actor) -> None:
    for number in (1, 2, 3):
        await world.aliases.move(actor, NAME, (await world.variant(number)).id, reason=REASON)
    back = await world.aliases.deploy(actor, NAME, wanted("rollback", to=1))
    assert back.current.primary.prompt == "hello@1"
    with pytest.raises(Conflict, match="means what deployment 1 was already"):
        await world.aliases.deploy(actor, NAME, wanted("rollback", to=1))
    with pytest.raises(NotFound, match="1 to 4"):
        await world.aliases.deploy(actor, NAME, wanted("rollback", to=9))


async def test_there_may_be_nothing_to_go_back_to(world: AliasWorld, actor: Actor) -> None:
    await world.aliases.move(actor, NAME, (await world.variant()).id, reason=REASON)
    with pytest.raises(Conflict, match="nothing to go back to"):
        await world.aliases.deploy(actor, NAME, wanted("rollback"))


async def test_a_rollback_to_a_retired_model_is_told_beforehand_and_refused(
    world: AliasWorld, actor: Actor
) -> None:
    old, new = await world.variant(1, "openai/old-model"), await world.variant(2)
    for variant in (old, new):
        await world.aliases.move(actor, NAME, variant.id, reason=REASON)
    plan = await world.aliases.plan_rollback(actor, NAME)
    assert (plan.to.number, plan.problem, plan.left_out) == (1, None, ())
    await world.models.retire(actor, "openai/old-model", successor="openai/some-model@1")
    plan = await world.aliases.plan_rollback(actor, NAME)
    assert plan.problem == (
        "The model openai/old-model@1 is retired. Its successor is openai/some-model@1."
    )
    with pytest.raises(Conflict, match="cannot go back to deployment 1: The model"):
        await world.aliases.deploy(actor, NAME, wanted("rollback"))


async def test_a_rollback_leaves_out_a_canary_that_cannot_be_served_any_more(
    world: AliasWorld, actor: Actor
) -> None:
    first, canary = await world.variant(1), await world.variant(1, "openai/old-model")
    await world.aliases.deploy(
        actor,
        NAME,
        wanted(
            "move",
            variant=first.short_hash,
            canaries=[{"variant": canary.short_hash, "weight": 0.2}],
        ),
    )
    await world.aliases.move(actor, NAME, (await world.variant(2)).id, reason=REASON)
    await world.models.retire(actor, "openai/old-model")
    plan = await world.aliases.plan_rollback(actor, NAME)
    assert (plan.problem, plan.left_out) == (None, ("The model openai/old-model@1 is retired.",))
    back = await world.aliases.deploy(actor, NAME, wanted("rollback"))
    assert told(back.current.targets) == [("primary", "hello@1", 1.0)]


async def test_a_model_whose_sunset_has_passed_counts_as_retired(
    world: AliasWorld, actor: Actor, clock: SteppingClock
) -> None:
    old, new = await world.variant(1, "openai/old-model"), await world.variant(2)
    for variant in (old, new):
        await world.aliases.move(actor, NAME, variant.id, reason=REASON)
    sunset = clock.now() + timedelta(hours=1)
    await world.models.retire(actor, "openai/old-model", sunset=sunset)
    assert (await world.aliases.plan_rollback(actor, NAME)).problem is None
    clock.ahead_s = 3_601
    assert (await world.aliases.plan_rollback(actor, NAME)).problem is not None


# --- a fixed text -------------------------------------------------------------------------------


async def test_a_disabled_alias_answers_with_a_text_until_it_is_rolled_back(
    world: AliasWorld, actor: Actor
) -> None:
    first = await world.variant()
    await world.aliases.move(actor, NAME, first.id, reason=REASON)
    disabled = await world.aliases.deploy(actor, NAME, wanted("disable", message=" Back soon. "))
    assert disabled.current.message == "Back soon."
    assert disabled.current.primary.variant_id == first.id
    back = await world.aliases.deploy(actor, NAME, wanted("rollback"))
    assert (back.current.message, back.current.primary.variant_id) == (None, first.id)
    with pytest.raises(Conflict, match="it served nothing"):
        await world.aliases.deploy(actor, NAME, wanted("rollback", to=2))


async def test_setting_the_same_variant_enables_a_disabled_alias(
    world: AliasWorld, actor: Actor
) -> None:
    first = await world.variant()
    await world.aliases.move(actor, NAME, first.id, reason=REASON)
    await world.aliases.deploy(actor, NAME, wanted("disable", message="Back soon."))
    kept = await world.aliases.deploy(actor, NAME, wanted("settings", settings={"strict": True}))
    assert kept.current.message == "Back soon."
    moved = await world.aliases.move(actor, NAME, first.id, reason=REASON)
    assert moved.current.message is None


# --- what was served when, and who may see it ---------------------------------------------------


async def test_what_was_served_at_any_time_is_known(
    world: AliasWorld, actor: Actor, clock: SteppingClock
) -> None:
    before = clock.now()
    times = []
    for number in (1, 2, 3):
        clock.ahead_s += 60
        await world.aliases.move(actor, NAME, (await world.variant(number)).id, reason=REASON)
        times.append((await world.aliases.get(NAME)).current.created_at)
    for number, time in enumerate(times, start=1):
        assert (await world.aliases.at(actor, NAME, time)).number == number
        later = time + timedelta(seconds=30)
        assert (await world.aliases.at(actor, NAME, later)).number == number
        assert (await world.aliases.deployment(actor, NAME, number)).created_at == time
    with pytest.raises(NotFound, match="did not exist yet"):
        await world.aliases.at(actor, NAME, before)


async def test_each_kind_of_move_is_in_the_audit_chain(
    world: AliasWorld, actor: Actor, database: Database
) -> None:
    for number in (1, 2):
        await world.aliases.move(actor, NAME, (await world.variant(number)).id, reason=REASON)
    for request in (
        wanted("settings", settings={"strict": True}),
        wanted("disable", message="private words"),
        wanted("rollback"),
    ):
        await world.aliases.deploy(actor, NAME, request)
    async with database.read_session() as session:
        bodies = [json.loads(body) for _, body, _, _ in await AuditRepository(session).bodies()]
    moves = [body for body in bodies if body["object_type"] == "alias"]
    assert [move["action"] for move in moves] == [
        "alias.moved", "alias.moved", "alias.settings_changed", "alias.disabled",
        "alias.rolled_back",
    ]  # fmt: skip
    assert [move["detail"]["is_disabled"] for move in moves] == [False, False, False, True, False]
    assert "private words" not in json.dumps(bodies)


def limited(prefix: str, *permissions: Permission, aliases: frozenset[str] | None = None) -> Actor:
    return Actor.of(ActorKind.USER, "ada", [Grant(frozenset(permissions), prefix)], aliases=aliases)


async def test_an_alias_outside_one_s_prefix_does_not_exist(
    world: AliasWorld, actor: Actor
) -> None:
    variant = await world.variant()
    for name in (NAME, "payments/hello@production"):
        await world.aliases.move(actor, name, variant.id, reason=REASON)
    ada = limited("payments/", Permission.ALIAS_READ, Permission.ALIAS_MOVE)
    page = await world.aliases.page(ada, limit=10)
    assert [alias.name for alias in page.items] == ["payments/hello@production"]
    assert page.total_estimate == 1
    with pytest.raises(NotFound):
        await world.aliases.view(ada, NAME)
    with pytest.raises(NotFound):
        await world.aliases.deploy(ada, NAME, wanted("disable", message="x"))
    await world.aliases.deploy(ada, "payments/hello@production", wanted("disable", message="x"))


async def test_a_key_that_is_bound_to_aliases_sees_only_them(
    world: AliasWorld, actor: Actor
) -> None:
    variant = await world.variant()
    for name in (NAME, "hello@staging"):
        await world.aliases.move(actor, name, variant.id, reason=REASON)
    key = limited("", Permission.ALIAS_READ, aliases=frozenset({NAME}))
    assert [alias.name for alias in (await world.aliases.page(key, limit=10)).items] == [NAME]
    with pytest.raises(NotFound):
        await world.aliases.view(key, "hello@staging")


async def test_pages_hold_every_alias_and_every_move_once(world: AliasWorld, actor: Actor) -> None:
    variants = [await world.variant(number) for number in (1, 2)]
    names = [f"a{number}@production" for number in range(5)]
    for name in names:
        for variant in variants:
            await world.aliases.move(actor, name, variant.id, reason=REASON)
    seen: list[str] = []
    cursor = None
    while True:
        page = await world.aliases.page(actor, limit=2, cursor=cursor)
        seen += [alias.name for alias in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert (seen, page.total_estimate) == (names, 5)
    moves = await world.aliases.history_page(actor, names[0], limit=1)
    older = await world.aliases.history_page(actor, names[0], limit=1, cursor=moves.next_cursor)
    assert [page.items[0].number for page in (moves, older)] == [2, 1]
    assert (older.next_cursor, older.total_estimate) == (None, 2)
