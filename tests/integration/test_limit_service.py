"""Limits hold over transactions, tasks and replicas: the rows are the one account."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal

import pytest
from pydantic import ValidationError

from app.core.clock import SystemClock
from app.core.errors import Forbidden, Invalid, NotFound
from app.core.permissions import Actor, ActorKind, Grant, Permission
from app.core.usage_limits import Claim, Decision, Holder, Settlement, WindowKey
from app.database import Database
from app.repositories.limits import LimitRepository
from app.schemas.limits import MAX_DOLLARS, LimitValues
from app.services.limits import LimitService

KEY = Holder("key", "shop")


@pytest.fixture
def limits(database: Database) -> LimitService:
    return LimitService(database, SystemClock())


@pytest.fixture
async def replicas(database_url: str) -> AsyncIterator[list[tuple[Database, LimitService]]]:
    """Two processes' views of one database."""
    opened = [Database(database_url) for _ in range(2)]
    yield [(database, LimitService(database, SystemClock())) for database in opened]
    for database in opened:
        await database.close()


async def admit(database: Database, limits: LimitService, claim: Claim) -> Decision:
    async with database.write_session() as session:
        (decision,) = await limits.account(session, [claim], [], SystemClock().now())
        await session.commit()
    return decision


async def end(database: Database, limits: LimitService, settlement: Settlement) -> None:
    async with database.write_session() as session:
        await limits.account(session, [], [settlement], SystemClock().now())
        await session.commit()


async def test_a_limit_is_kept_shown_and_taken_away(limits: LimitService, actor: Actor) -> None:
    values = LimitValues(requests_per_minute=3, dollars_per_day=Decimal("1.50"))
    await limits.set(actor, "key", "shop", values)
    found = await limits.get(actor, "key", "shop")
    assert (found.requests_per_minute, found.dollars_per_day) == (3, Decimal("1.50"))
    assert found.on_reach == "stop"
    assert [it.holder for it in await limits.all(actor)] == ["shop"]
    await limits.remove(actor, "key", "shop")
    with pytest.raises(NotFound):
        await limits.get(actor, "key", "shop")


async def test_an_alias_in_production_warns_unless_told_otherwise(
    limits: LimitService, actor: Actor
) -> None:
    values = LimitValues(requests_per_minute=3)
    assert (await limits.set(actor, "alias", "bot@production", values)).on_reach == "warn"
    assert (await limits.set(actor, "alias", "bot@staging", values)).on_reach == "stop"
    stop = values.model_copy(update={"on_reach": "stop"})
    assert (await limits.set(actor, "alias", "bot@production", stop)).on_reach == "stop"


async def test_a_limit_that_names_nothing_is_refused(limits: LimitService, actor: Actor) -> None:
    with pytest.raises(Invalid):
        await limits.set(actor, "key", "shop", LimitValues())


async def test_the_largest_limit_of_money_is_kept_and_a_larger_one_refused(
    limits: LimitService, actor: Actor
) -> None:
    largest = Decimal(MAX_DOLLARS)
    await limits.set(actor, "key", "shop", LimitValues(dollars_per_month=largest))
    assert (await limits.get(actor, "key", "shop")).dollars_per_month == largest
    with pytest.raises(ValidationError):
        LimitValues(dollars_per_month=largest + 1)


async def test_who_moves_only_some_names_limits_only_those_aliases(
    limits: LimitService, actor: Actor
) -> None:
    held = frozenset({Permission.LIMIT_READ, Permission.LIMIT_WRITE})
    limited = Actor.of(ActorKind.USER, "ann", [Grant(held, "pay/")])
    values = LimitValues(requests_per_minute=3)
    await limits.set(limited, "alias", "pay/bot@production", values)
    for kind, name in (("alias", "bot@production"), ("key", "shop")):
        with pytest.raises(NotFound):
            await limits.set(limited, kind, name, values)  # type: ignore[arg-type] # both are kinds
    await limits.set(actor, "key", "shop", values)
    assert [it.holder for it in await limits.all(limited)] == ["pay/bot@production"]
    with pytest.raises(Forbidden):
        await limits.all(Actor(ActorKind.USER, "bob"))


async def test_what_was_used_is_shown_in_its_windows(
    database: Database, limits: LimitService, actor: Actor
) -> None:
    await limits.set(actor, "key", "shop", LimitValues(dollars_per_day=Decimal(1)))
    now = SystemClock().now()
    claim = Claim((KEY,), 100, Decimal("0.40"))
    async with database.write_session() as session:
        decision, _ = await limits.account(session, [claim, claim], [], now)
        await session.commit()
    settlement = Settlement(decision.reserved, 100, Decimal("0.40"), 60, Decimal("0.25"))
    await end(database, limits, settlement)
    (window,) = (await limits.get(actor, "key", "shop")).windows
    assert (window.span, window.requests, window.tokens) == ("day", 2, 60)
    assert (window.spent, window.reserved) == (Decimal("0.25"), Decimal("0.40"))


async def test_what_was_reserved_is_given_back_where_it_was_whatever_the_time(
    database: Database, limits: LimitService, actor: Actor
) -> None:
    await limits.set(actor, "key", "shop", LimitValues(tokens_per_minute=1_000))
    now = SystemClock().now()
    async with database.write_session() as session:
        (decision,) = await limits.account(session, [Claim((KEY,), 100, None)], [], now)
        settlement = Settlement(decision.reserved, 100, Decimal(0), 60, Decimal(0))
        await limits.account(session, [], [settlement], now + timedelta(days=40))
        found = await LimitRepository(session).lock_windows((), decision.reserved)
    assert [(it.tokens, it.reserved_tokens) for it in found.values()] == [(60, 0)]


async def test_windows_are_locked_in_one_order_whatever_the_database_sorts_by(
    database: Database,
) -> None:
    """By most languages' rules a comes before B, by their bytes B comes first."""
    at = SystemClock().now()
    keys = [WindowKey("key", name, "day", at) for name in ("a", "B", "é", "Z-1", "Z1", "z")]
    async with database.write_session() as session:
        found = await LimitRepository(session).lock_windows(keys)
    assert list(found) == sorted(keys)


async def test_old_windows_go_and_those_of_now_stay(
    database: Database, limits: LimitService, actor: Actor
) -> None:
    await limits.set(actor, "key", "shop", LimitValues(requests_per_minute=5))
    await admit(database, limits, Claim((KEY,), 1, None))
    await limits.purge(actor)
    assert len((await limits.get(actor, "key", "shop")).windows) == 1


async def _spend(
    replica: tuple[Database, LimitService], worst: Decimal, chance: random.Random
) -> Decimal:
    """Make calls until one is refused for good; return what they spent."""
    spent = Decimal(0)
    while True:
        decision = await admit(*replica, Claim((KEY,), 10, worst))
        if decision.budget_spent:
            return spent
        if not decision.admitted:
            await asyncio.sleep(0)
            continue
        used = (worst * chance.randint(20, 100) / 100).quantize(Decimal("1e-10"))
        await asyncio.sleep(0)
        await end(*replica, Settlement(decision.reserved, 10, worst, 8, used))
        spent += used


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(1, 20))]
)
async def test_64_workers_never_spend_more_than_the_limit_and_what_fits_is_admitted(
    replicas: list[tuple[Database, LimitService]], actor: Actor, seed: int
) -> None:
    cap, worst = Decimal("0.50"), Decimal("0.01")
    await replicas[0][1].set(actor, "key", "shop", LimitValues(dollars_per_month=cap))
    chance = random.Random(seed)
    workers = [
        _spend(replicas[number % 2], worst, random.Random(chance.random())) for number in range(64)
    ]
    spent = sum(await asyncio.gather(*workers), Decimal(0))
    assert spent <= cap
    (window,) = (await replicas[0][1].get(actor, "key", "shop")).windows
    assert (window.spent, window.reserved) == (spent, Decimal(0))
    left = cap - spent
    assert left < worst  # nobody was sent away while the worst case still fitted
    if left:
        assert (await admit(*replicas[1], Claim((KEY,), 10, left))).admitted
