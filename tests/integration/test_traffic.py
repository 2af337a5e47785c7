"""Production's sums on both databases: whatever happens when, they add up to the answers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select

from app.core.permissions import Actor, ActorKind, Grant, Permission
from app.database import Database
from app.models import TrafficLate, TrafficSpan, TrafficSum
from app.schemas.names import parse_reference
from app.schemas.traffic import TrafficFilter, TrafficView
from app.services.traffic import TrafficService
from app.services.traffic_keeper import TrafficKeeper
from tests.integration.alias_world import SteppingClock
from tests.integration.traffic_world import ALIASES, TrafficWorld, expected, hours_ago, measured

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def keeper(database: Database, clock: SteppingClock) -> TrafficKeeper:
    return TrafficKeeper(database, clock)


@pytest.fixture
def service(database: Database, clock: SteppingClock) -> TrafficService:
    """One that uses sums wherever there are any."""
    return TrafficService(database, clock, exact_up_to=0)


@pytest.fixture
async def world(database: Database, actor: Actor) -> TrafficWorld:
    made = TrafficWorld(database, actor, random.Random(5))
    await made.prepare()
    return made


async def look(
    service: TrafficService, actor: Actor, since: datetime, until: datetime, step: str = "whole"
) -> TrafficView:
    wanted = TrafficFilter(since, until)
    return await service.view(actor, wanted=wanted, group_by=None, step=step)  # type: ignore[arg-type] # a test's word


async def count(database: Database, model: type) -> int:
    async with database.read_session() as session:
        return (await session.execute(select(func.count()).select_from(model))).scalar_one()


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(1, 6))]
)
async def test_sums_and_live_answers_add_up_to_the_rows_for_any_sequence(
    database: Database, actor: Actor, clock: SteppingClock, seed: int
) -> None:
    rng = random.Random(seed)
    world = TrafficWorld(database, actor, rng)
    await world.prepare()
    keepers = [TrafficKeeper(database, clock) for _ in range(2)]
    service = TrafficService(database, clock, exact_up_to=0)
    for _ in range(70):
        now = clock.now()
        match rng.choices(["begin", "end", "keep", "later", "forget"], [10, 8, 3, 2, 0.3])[0]:
            case "begin":
                back = rng.choice([0.0, rng.uniform(0, 3), rng.uniform(0, 80)])
                await world.begin(hours_ago(now, back), rng.choice([*ALIASES, None]))
            case "end":
                if going := [chat for chat in world.chats if chat.ending is None]:
                    await world.end(rng.choice(going))
            case "keep":
                await rng.choice(keepers).keep(actor)
            case "later":
                clock.ahead_s += rng.choice([60, 1800, 7200, 90_000])
            case _:
                await _forget_everything(database)
    for length in (0.5, 5, 30, 200):
        since = hours_ago(clock.now(), length)
        found = await look(service, actor, since, clock.now())
        assert measured(found.groups[0].total) == expected(world.chats, since, clock.now())
        points = (await look(service, actor, since, clock.now(), "1h")).groups[0].points
        assert sum(point.calls for point in points) == found.groups[0].total.calls


async def _forget_everything(database: Database) -> None:
    async with database.write_session() as session:
        for model in (TrafficSum, TrafficSpan, TrafficLate):
            await session.execute(delete(model))
        await session.commit()


async def test_what_is_over_is_summed_and_the_sums_are_used(
    world: TrafficWorld,
    keeper: TrafficKeeper,
    service: TrafficService,
    database: Database,
    actor: Actor,
    clock: SteppingClock,
) -> None:
    now = clock.now()
    for hours in (2, 30, 30, 50):
        await world.end(await world.begin(hours_ago(now, hours)), "completed")
    summed = await keeper.keep(actor)
    assert summed >= 50
    assert await count(database, TrafficSum) > 0
    assert await keeper.keep(actor) == 0
    found = (await look(service, actor, hours_ago(now, 80), now)).groups[0].total
    assert found.calls == 4
    assert found.latency is not None and not found.latency.is_exact


async def test_few_answers_are_counted_exactly_though_there_are_sums(
    world: TrafficWorld, keeper: TrafficKeeper, database: Database, actor: Actor
) -> None:
    clock = SteppingClock()
    now = clock.now()
    chats = [await world.begin(hours_ago(now, 5)) for _ in range(3)]
    for chat in chats:
        await world.end(chat, "completed")
    await keeper.keep(actor)
    found = (await look(TrafficService(database, clock), actor, hours_ago(now, 9), now)).groups[0]
    assert found.total.latency is not None and found.total.latency.is_exact
    ordered = sorted(chat.facts["latency_ms"] for chat in chats)
    assert found.total.latency.p50.value == pytest.approx(ordered[1])


async def test_points_shorter_than_an_hour_hold_the_answers_of_their_own_minutes(
    world: TrafficWorld,
    keeper: TrafficKeeper,
    service: TrafficService,
    actor: Actor,
    clock: SteppingClock,
) -> None:
    until = clock.now().replace(minute=0, second=0, microsecond=0)
    for minutes in (2, 31, 33, 58, 70, 119):
        await world.end(await world.begin(until - timedelta(minutes=minutes)))
    await keeper.keep(actor)
    points = (await look(service, actor, hours_ago(until, 3), until, "5m")).groups[0].points
    assert len(points) == 36
    for point in points:
        end = point.at + timedelta(minutes=5)
        assert measured(point) == expected(world.chats, point.at, end)


async def test_each_hour_is_summed_in_a_transaction_of_its_own_off_the_event_loop(
    world: TrafficWorld,
    keeper: TrafficKeeper,
    database: Database,
    actor: Actor,
    clock: SteppingClock,
) -> None:
    for hours in (2, 3, 4):
        await world.end(await world.begin(hours_ago(clock.now(), hours)), "completed")
    threads = _CountingThreads()
    asyncio.get_running_loop().set_default_executor(threads)
    summed = await keeper.keep(actor)
    async with database.read_session() as session:
        statement = select(TrafficSpan.summed_at).where(TrafficSpan.span == "hour")
        times = (await session.execute(statement)).scalars().all()
    assert len(set(times)) == len(times) == summed
    assert threads.jobs >= summed


class _CountingThreads(ThreadPoolExecutor):
    """Threads that count what they are given to do."""

    jobs = 0

    def submit(self, *arguments: Any, **options: Any) -> Any:
        self.jobs += 1
        return super().submit(*arguments, **options)


async def test_an_answer_that_ends_late_is_counted_at_once_and_summed_again(
    world: TrafficWorld,
    keeper: TrafficKeeper,
    service: TrafficService,
    database: Database,
    actor: Actor,
    clock: SteppingClock,
) -> None:
    now = clock.now()
    chat = await world.begin(hours_ago(now, 40))
    await keeper.keep(actor)
    await world.end(chat, "abandoned")
    assert await count(database, TrafficLate) == 1
    assert (await look(service, actor, hours_ago(now, 72), now)).groups[0].total.errors == 1
    assert await keeper.keep(actor) == 1
    assert await count(database, TrafficLate) == 0
    assert (await look(service, actor, hours_ago(now, 72), now)).groups[0].total.errors == 1


async def test_an_answer_reported_for_long_ago_is_summed_though_all_before_was_empty(
    world: TrafficWorld,
    keeper: TrafficKeeper,
    service: TrafficService,
    actor: Actor,
    clock: SteppingClock,
) -> None:
    now = clock.now()
    await world.end(await world.begin(hours_ago(now, 3)), "completed")
    await keeper.keep(actor)
    await world.end(await world.begin(hours_ago(now, 24 * 6)), "completed")
    assert await keeper.keep(actor) > 24
    found = await look(service, actor, hours_ago(now, 24 * 9), now)
    assert found.groups[0].total.calls == 2


async def test_chats_past_every_alias_are_no_traffic(
    world: TrafficWorld, service: TrafficService, actor: Actor, clock: SteppingClock
) -> None:
    now = clock.now()
    await world.end(await world.begin(hours_ago(now, 1), alias=None), "completed")
    found = await look(service, actor, hours_ago(now, 5), now)
    assert found.groups[0].total.calls == 0
    assert found.groups[0].total.error_rate is None


async def test_an_answer_under_way_is_told_and_not_counted(
    world: TrafficWorld, service: TrafficService, actor: Actor, clock: SteppingClock
) -> None:
    now = clock.now()
    await world.begin(hours_ago(now, 0.2))
    found = await look(service, actor, hours_ago(now, 1), now)
    assert (found.under_way, found.groups[0].total.calls) == (1, 0)


async def test_who_may_see_a_prefix_alone_counts_no_other_aliases(
    world: TrafficWorld, service: TrafficService, clock: SteppingClock
) -> None:
    now = clock.now()
    for alias in (ALIASES[0], ALIASES[1], ALIASES[1]):
        await world.end(await world.begin(hours_ago(now, 1), alias), "completed")
    grant = Grant(frozenset({Permission.CHAT_READ}), "payments/")
    teller = Actor.of(ActorKind.USER, "pia", [grant])
    found = await look(service, teller, hours_ago(now, 5), now)
    assert found.groups[0].total.calls == 2
    assert {it.alias for it in found.deployments} <= {ALIASES[1]}


async def test_groups_are_the_largest_first_and_add_up(
    world: TrafficWorld,
    keeper: TrafficKeeper,
    service: TrafficService,
    actor: Actor,
    clock: SteppingClock,
) -> None:
    now = clock.now()
    for number in range(12):
        alias = ALIASES[1] if number % 4 else ALIASES[0]
        await world.end(await world.begin(hours_ago(now, number * 3 + 1), alias))
    await keeper.keep(actor)
    wanted = TrafficFilter(hours_ago(now, 60), now)
    by_alias = await service.view(actor, wanted=wanted, group_by="alias", step="whole")
    assert [(group.name, group.total.calls) for group in by_alias.groups] == [
        (ALIASES[1], 9),
        (ALIASES[0], 3),
    ]
    for by in ("prompt", "model", "target"):
        found = await service.view(actor, wanted=wanted, group_by=by, step="whole")  # type: ignore[arg-type] # as above
        assert sum(group.total.calls for group in found.groups) == 12
    prompt = TrafficFilter(*_bounds(wanted), prompt=parse_reference("hello@1", noun="prompt"))
    only = await service.view(actor, wanted=prompt, group_by="prompt", step="whole")
    assert [group.prompt for group in only.groups] == ["hello@1"]


def _bounds(wanted: TrafficFilter) -> tuple[datetime, datetime]:
    return wanted.since, wanted.until


async def test_two_keepers_at_once_sum_everything_once(
    world: TrafficWorld,
    service: TrafficService,
    database: Database,
    actor: Actor,
    clock: SteppingClock,
) -> None:
    now = clock.now()
    for hours in range(1, 40, 3):
        await world.end(await world.begin(hours_ago(now, hours)), "completed")
    keepers: Sequence[TrafficKeeper] = [TrafficKeeper(database, clock) for _ in range(3)]
    await asyncio.gather(*(keeper.keep(actor) for keeper in keepers))
    for keeper in keepers:
        await keeper.keep(actor)
    since = hours_ago(now, 90)
    found = await look(service, actor, since, now)
    assert measured(found.groups[0].total) == expected(world.chats, since, now)


async def test_no_answer_is_lost_that_ends_while_its_hour_is_summed(
    world: TrafficWorld,
    keeper: TrafficKeeper,
    service: TrafficService,
    database: Database,
    actor: Actor,
    clock: SteppingClock,
) -> None:
    """On SQLite whoever sums waits for the writer; on PostgreSQL the hour waits for a round."""
    now = clock.now()
    chat = await world.begin(hours_ago(now, 5))
    async with database.write_session() as session:
        await world.end_in(session, chat, "completed")
        keeping = asyncio.create_task(keeper.keep(actor))
        if not database.is_sqlite:
            await keeping
            async with database.read_session() as reading:
                hour = chat.started_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
                statement = select(TrafficSpan).where(TrafficSpan.starts_at == hour)
                assert (await reading.execute(statement)).all() == []
        await session.commit()
    await keeping
    await keeper.keep(actor)
    since = now - timedelta(days=3)
    assert (await look(service, actor, since, now)).groups[0].total.calls == 1
    assert await count(database, TrafficSum) > 0
