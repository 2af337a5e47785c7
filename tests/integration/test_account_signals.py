"""Chats go before experiments: their share of a quota, and giving way to a 429 others have seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import event

from app.core.settings import EndpointSettings
from app.database import Database
from app.llm.client import LLMClient
from app.llm.errors import CallNotStarted, LLMError, QuotaExhausted, RateLimited
from app.llm.limits import AccountLimits
from app.llm.retry import RetryPolicy
from app.repositories.account_signals import AccountSignalRepository
from app.services.account_signals import AccountSignalService
from tests.integration.alias_world import SteppingClock
from tests.unit.llm.support import ScriptedProvider, request

LAB = "lab"


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
async def processes(
    database: Database, database_url: str, clock: SteppingClock
) -> AsyncIterator[tuple[AccountSignalService, AccountSignalService]]:
    """The services of two processes over one database."""
    other = Database(database_url)
    one, two = (AccountSignalService(each, clock) for each in (database, other))
    yield one, two
    await one.close()
    await two.close()
    await other.close()


async def written(database: Database) -> None:
    """Wait until a word is on record."""
    async with asyncio.timeout(5):
        while True:
            async with database.read_session() as session:
                if await AccountSignalRepository(session).limited_until(LAB) is not None:
                    return
            await asyncio.sleep(0.01)


def client(
    signals: AccountSignalService,
    provider: ScriptedProvider,
    clock: SteppingClock,
    *,
    gives_way: bool,
) -> LLMClient:
    return LLMClient(
        {LAB: lambda: provider},
        limits={LAB: AccountLimits(concurrency=2)},
        signals=signals.for_client(),
        gives_way=gives_way,
        retry=RetryPolicy(max_attempts=1, budget_s=0.0),
        random=Random(1),
        clock=clock,
    )


async def test_a_429_of_one_process_is_heard_by_another_within_a_second(
    database: Database,
    processes: tuple[AccountSignalService, AccountSignalService],
    clock: SteppingClock,
) -> None:
    chat, experiment = (process.for_client() for process in processes)
    assert await experiment.wait_s(LAB) == 0
    chat.rate_limited(LAB, 30)
    await written(database)
    clock.ahead_s += 2
    assert 25 < await experiment.wait_s(LAB) <= 28
    clock.ahead_s += 30
    assert await experiment.wait_s(LAB) == 0


async def test_within_one_process_a_429_is_heard_at_once_and_not_by_the_one_who_told(
    processes: tuple[AccountSignalService, AccountSignalService],
) -> None:
    chat, experiment = processes[0].for_client(), processes[0].for_client()
    chat.rate_limited(LAB, 30)
    assert await experiment.wait_s(LAB) > 29
    assert await chat.wait_s(LAB) == 0
    assert await experiment.wait_s("another") == 0


async def test_a_longer_word_stays_and_no_word_is_longer_than_ten_minutes(
    database: Database,
    processes: tuple[AccountSignalService, AccountSignalService],
    clock: SteppingClock,
) -> None:
    now = clock.now()
    for seconds in (60, 10):
        async with database.write_session() as session:
            until = {LAB: now + timedelta(seconds=seconds)}
            await AccountSignalRepository(session).tell(until, now)
            await session.commit()
    listener = processes[0].for_client()
    assert await listener.wait_s(LAB) > 55
    processes[0].for_client().rate_limited("other", 86_400)
    assert 590 < await listener.wait_s("other") <= 600


async def test_many_429s_at_once_are_one_write(
    database: Database, processes: tuple[AccountSignalService, AccountSignalService]
) -> None:
    commits: list[object] = []
    event.listen(database.engine.sync_engine, "commit", commits.append)
    told = processes[0].for_client()
    for _ in range(500):
        told.rate_limited(LAB, 5)
    await written(database)
    await processes[0].close()
    assert len(commits) == 1


async def test_while_the_database_is_down_nobody_waits_but_for_what_they_heard_themselves(
    clock: SteppingClock,
) -> None:
    away = Database("postgresql+asyncpg://nobody@127.0.0.1:9/nothing")
    service = AccountSignalService(away, clock)
    chat, experiment = service.for_client(), service.for_client()
    assert await experiment.wait_s(LAB) == 0
    chat.rate_limited(LAB, 30)
    assert await experiment.wait_s(LAB) > 29
    await service.close()
    await away.close()


# --- the client ---------------------------------------------------------------------------------


async def test_an_experiment_waits_for_a_429_that_a_chat_has_seen_and_a_chat_does_not(
    processes: tuple[AccountSignalService, AccountSignalService], clock: SteppingClock
) -> None:
    asked = RateLimited("slow down", http_status=429, retry_after_s=600)
    chats = ScriptedProvider([asked, "to a person"])
    chat = client(processes[0], chats, clock, gives_way=False)
    experiments = ScriptedProvider(["to an experiment"])
    experiment = client(processes[0], experiments, clock, gives_way=True)
    with pytest.raises(RateLimited):
        await chat.generate(request())
    waiting = asyncio.create_task(experiment.generate(request()))
    answer = await chat.generate(request())
    assert answer.choices[0].message.text == "to a person"
    assert experiments.calls == []
    experiment.drain()
    with pytest.raises(CallNotStarted):
        await waiting
    await chat.close()


async def test_an_experiment_goes_on_once_the_account_is_free_again(
    processes: tuple[AccountSignalService, AccountSignalService], clock: SteppingClock
) -> None:
    processes[0].for_client().rate_limited(LAB, 0.2)
    experiment = client(processes[0], ScriptedProvider(["done"]), clock, gives_way=True)
    async with asyncio.timeout(5):
        answer = await experiment.generate(request())
    assert answer.choices[0].message.text == "done"
    await experiment.close()


@pytest.mark.parametrize(
    ("error", "heard"),
    [
        (RateLimited("slow down", http_status=429), True),
        (RateLimited("slow down", http_status=429, retry_after_s=9), True),
        (QuotaExhausted("pay", http_status=429), False),
    ],
)
async def test_what_waiting_helps_is_told(
    processes: tuple[AccountSignalService, AccountSignalService],
    clock: SteppingClock,
    error: LLMError,
    *,
    heard: bool,
) -> None:
    chat = client(processes[0], ScriptedProvider([error]), clock, gives_way=False)
    with pytest.raises(type(error)):
        await chat.generate(request())
    assert (await processes[0].for_client().wait_s(LAB) > 0) is heard
    await chat.close()


# --- the share ----------------------------------------------------------------------------------


def test_a_part_of_the_quota_is_kept_for_chats_and_nothing_of_the_concurrency() -> None:
    settings = EndpointSettings(
        provider="openai", requests_per_minute=1_000, tokens_per_minute=50_000, max_concurrency=7
    )
    mine = AccountLimits.of(settings, 5, keeps_chat_share=True)
    assert mine == AccountLimits(7, 5, 700.0, 35_000.0)
    assert AccountLimits.of(settings, 5) == AccountLimits(7, 5, 1_000.0, 50_000.0)


def test_without_a_quota_there_is_nothing_to_share() -> None:
    settings = EndpointSettings(provider="openai", chat_share=0.9)
    assert AccountLimits.of(settings, keeps_chat_share=True) == AccountLimits.of(settings)
