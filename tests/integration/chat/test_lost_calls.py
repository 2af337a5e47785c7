"""Calls whose server was killed, and servers that the database was away from."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from datetime import datetime, timedelta

import pytest

from app.core.clock import SystemClock
from app.core.errors import Abandoned
from app.core.hashing import JSON
from app.core.ids import new_id
from app.core.settings import ChatSettings
from app.repositories.chat_calls import ChatCallRepository
from app.schemas.chat_calls import CallStart, ServedPart
from app.schemas.generations import Provenance
from app.services.chat.servers import is_gone, server_name
from tests.conftest import REPOSITORY
from tests.fake_provider import FakeProvider, ProviderOptions
from tests.integration.chat.conftest import MakeWorld
from tests.integration.chat.support import PRICE, World, ask, until


class SteppedClock(SystemClock):
    """The system's clock, `late` seconds on."""

    late = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.late)


async def _kill_a_server(database_url: str, provider: FakeProvider) -> None:
    """Let another process begin an answer, and kill it while the model is asked."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.chat.lost_server",
        database_url,
        provider.base_url,
        stdout=asyncio.subprocess.PIPE,
        cwd=REPOSITORY,
    )
    assert process.stdout is not None
    assert await process.stdout.readline()
    await until(lambda: provider.ledger.summary()["received"] == 1)
    process.kill()
    await process.wait()


async def test_an_answer_of_a_killed_server_is_abandoned_and_charged_at_worst(
    make_world: MakeWorld, database_url: str
) -> None:
    async with FakeProvider(ProviderOptions(latency_ms=60_000)) as server:
        world = make_world(server)
        await world.serve(await world.variant(prices=PRICE))
        await world.limit(dollars_per_day="1")
        await _kill_a_server(database_url, server)
        reserved = (await world.used()).reserved
        await world.chat.start()
        found = await world.only_record()
        row, used = found.generation, await world.used()
        assert (found.call.ending, row.status) == ("abandoned", "abandoned")
        assert (row.usage_source, row.error_code) == ("estimated", "abandoned")
        assert row.input_tokens and row.latency_ms and row.finished_at
        assert used.spent == reserved > 0
        assert used.reserved == 0
        # Whoever sends the request again hears of it and pays for no second call.
        again = await world.chat.begin(world.actor, ask(idempotency_key="key-1"))
        with pytest.raises(Abandoned):
            await again.result()
        assert server.ledger.summary()["received"] == 1
        assert await world.chat.sweep() == 0


async def _add_open_call(
    world: World, server: str, started_at: datetime, reservation: JSON = None
) -> None:
    """Put a call on record as another server would that carries it."""
    variant = await world.variant()
    part = ServedPart(
        Provenance(
            None,
            variant.id,
            variant.prompt_version_id,
            variant.model_version_id,
            "openai",
            applied_parameters={},
            left_out_parameters={},
        ),
        {"messages": []},
        None,
        True,
        (),
    )
    start = CallStart(
        id=new_id(),
        served=part,
        actor="user:someone",
        server=server,
        started_at=started_at,
        request_id="r1",
        alias_id=None,
        deployment_id=None,
        bucket=None,
        is_stream=False,
        asked={"parameters": {}},
        flags=(),
        reservation=reservation,
    )
    async with world.database.write_session() as session:
        await ChatCallRepository(session).add_starts([start])
        await session.commit()


@pytest.mark.parametrize(
    ("age_s", "lost"), [(0, 0), (120, 0), (126, 1)], ids=["new", "may be under way", "too old"]
)
async def test_a_call_of_a_server_elsewhere_is_lost_only_when_no_call_may_be_so_old(
    make_world: MakeWorld, provider: FakeProvider, age_s: float, lost: int
) -> None:
    """Two targets may take 30 s each here, and the queue 5 s; 60 s are added."""
    clock = SteppedClock()
    world = make_world(provider, clock=clock)
    await _add_open_call(world, "elsewhere:4:abc", clock.now())
    clock.late = age_s
    assert await world.chat.sweep() == lost


async def test_a_call_that_cannot_be_ended_keeps_no_other_open(world: World) -> None:
    long_ago = SystemClock().now() - timedelta(days=1)
    await _add_open_call(world, "elsewhere:4:abc", long_ago, {"nobody": "can read this"})
    await _add_open_call(world, "elsewhere:4:abc", long_ago)
    assert await world.chat.sweep() == 1
    endings = [record.call.ending for record in await world.records()]
    assert sorted(str(ending) for ending in endings) == ["None", "abandoned"]


async def test_a_call_that_this_server_carries_is_left_alone(make_world: MakeWorld) -> None:
    async with FakeProvider(ProviderOptions(latency_ms=150)) as server:
        clock = SteppedClock()
        world = make_world(server, clock=clock)
        await world.serve(await world.variant())
        call = await world.chat.begin(world.actor, ask())
        clock.late = 100_000
        assert await world.chat.sweep() == 0
        assert (await call.result()).ending == "completed"


async def test_an_end_that_comes_after_the_sweeper_changes_nothing(make_world: MakeWorld) -> None:
    async with FakeProvider(ProviderOptions(latency_ms=200)) as server:
        clock = SteppedClock()
        slow, other = make_world(server), make_world(server, clock=clock)
        await slow.serve(await slow.variant())
        call = await slow.chat.begin(slow.actor, ask())
        clock.late = 100_000
        assert await other.chat.sweep() == 1
        with pytest.raises(Abandoned, match="taken for lost"):
            await call.result()
    found = await slow.only_record()
    assert (found.call.ending, found.generation.status) == ("abandoned", "abandoned")
    assert found.attempts == []


async def test_the_sweeper_runs_by_itself(make_world: MakeWorld, provider: FakeProvider) -> None:
    world = make_world(provider, settings=ChatSettings(sweep_s=0.02))
    await world.chat.start()
    await _add_open_call(world, "elsewhere:4:abc", SystemClock().now() - timedelta(days=1))
    async with asyncio.timeout(10):
        while (await world.only_record()).call.ending is None:  # noqa: ASYNC110 - a row has no event
            await asyncio.sleep(0.02)


def test_a_servers_name_is_short_and_its_own() -> None:
    assert len(server_name()) <= 100
    assert server_name() != server_name()


def test_a_server_is_gone_if_its_process_is_and_ran_where_we_do() -> None:
    own = server_name()
    host = own.rsplit(":", 2)[0]
    assert not is_gone(own, own)
    assert is_gone(f"{host}:{os.getpid()}:of-an-earlier-boot", own)
    assert not is_gone(f"{host}:{os.getppid()}:abc", own)
    assert is_gone(f"{host}:{2**22 + 1}:abc", own)
    assert not is_gone(f"{'x' * 30}~{'0' * 20}:{2**22 + 1}:abc", own)
    for elsewhere in ("otherhost:1:abc", "nonsense", "", f"{host}:x:y"):
        assert not is_gone(elsewhere, own)


def test_machines_whose_long_names_begin_alike_are_not_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All first namespaces of process ids have the same number, so the names have to differ."""
    names = []
    for pod in ("x2x7z", "q9k4p"):
        name = f"prompt-workbench-production-api-server-7d9f8b6c5d-{pod}"
        monkeypatch.setattr(socket, "gethostname", lambda name=name: name)
        names.append(server_name())
    one, other = names
    assert not is_gone(one, other)
    assert max(map(len, names)) <= 100
