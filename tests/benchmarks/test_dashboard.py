"""The dashboard over a large workspace: every answer of the API in time, every page usable in time,
and no more memory than promised with five people clicking.

100,000 generations on SQLite, 1,000,000 on PostgreSQL, 200 experiments each, served as people serve
it. The sums of production are made before anything is measured, as the server makes them by itself.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from app.bootstrap import open_services
from app.core.permissions import local_actor
from app.core.settings import load_settings
from tests.api.conftest import KEY_SECRET
from tests.benchmarks.dashboard_data import Amount, fill
from tests.benchmarks.dashboard_pages import Request, addresses, ask, requests, sample_of
from tests.benchmarks.dashboard_windows import memory_of_clicking, opening_times, signed_in
from tests.benchmarks.measure import report
from tests.browser.served import Served, serve
from tests.browser.window import chromium
from tests.command_line import CommandLine
from tests.postgres import database_on, execute
from workbench.client import Client

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]

GENERATIONS = {"sqlite": 100_000, "postgresql": 1_000_000}
TIMES = 20
PEOPLE = 5
MOST_MS = 300.0
MOST_S = 2.0
MOST_MB = 500.0


@dataclass(frozen=True)
class Large:
    """A large workspace that is served, on the database of a kind."""

    kind: str
    served: Served


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def large(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Large]:
    kind = str(request.param)
    folder = tmp_path_factory.mktemp(kind)
    url = f"sqlite:///{folder / 'workbench.db'}"
    if kind == "postgresql":
        server: str = request.getfixturevalue("postgres_url")
        asyncio.run(execute(server, "CREATE DATABASE dashboard_bench"))
        url = database_on(server, "dashboard_bench")
    asyncio.run(fill(_driven(url), Amount(GENERATIONS[kind])))
    with served_over(folder, url) as served:
        yield Large(kind, served)
    if kind == "postgresql":
        asyncio.run(execute(server, "DROP DATABASE dashboard_bench WITH (FORCE)"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def _driven(url: str) -> str:
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
    name, _, rest = url.partition(":")
    return f"{drivers[name]}:{rest}"


@contextmanager
def served_over(folder: Path, url: str) -> Iterator[Served]:
    """Serve a filled database, with an admin who may read chats too."""
    environment = {"WORKBENCH_DATABASE_URL": url, "WORKBENCH_KEY_SECRET": KEY_SECRET}
    (folder / "workbench.yaml").write_text("workspace_version: 1\n", encoding="utf-8")
    asyncio.run(_sum_up(folder, environment))
    line = CommandLine(folder, environment)
    key: str = line.json("users", "bootstrap", "--name", "ada")["secret"]
    line.run("users", "grant", "ada", "auditor")
    with serve(folder, key, environment) as served:
        yield served


async def _sum_up(folder: Path, environment: dict[str, str]) -> None:
    async with open_services(load_settings(folder, environment)) as services:
        await services.traffic_keeper.keep(local_actor())


def test_every_page_is_answered_in_time(large: Large) -> None:
    slow: list[str] = []
    with Client(large.served.url, large.served.key) as client:
        asked = requests(sample_of(client))
        for _, _, request in asked:  # from the disk, while the other processes still start
            ask(client, request)
        for page, name, request in asked:
            taken = sorted(_milliseconds(client, request) for _ in range(TIMES))
            p95 = taken[int(0.95 * (TIMES - 1))]
            median = statistics.median(taken)
            report(f"{large.kind} {page}: {name}", {"p50 (ms)": median, "p95 (ms)": p95})
            if p95 > MOST_MS:
                slow.append(f"{page}: {name} took {p95:.0f} ms")
    assert not slow, "\n".join(slow)


def _milliseconds(client: Client, request: Request) -> float:
    started = time.perf_counter()
    ask(client, request)
    return (time.perf_counter() - started) * 1000


def test_every_page_is_usable_in_time_and_five_people_fit_into_memory(
    large: Large, browser: Browser
) -> None:
    served = large.served
    with Client(served.url, served.key) as client:
        asked = addresses(sample_of(client))
    states = [signed_in(browser, served, served.sign_in_address)]
    states += [signed_in(browser, served, served.next_address()) for _ in range(PEOPLE - 1)]
    times = opening_times(browser, served, states[0], asked)
    for address, seconds in times.items():
        report(f"{large.kind} {address}", {"usable (s)": seconds})
    memory = memory_of_clicking(browser, served, states, asked)
    report(f"{large.kind} dashboard, {PEOPLE} people", {"memory (MB)": memory})
    slow = [f"{address} took {taken:.1f} s" for address, taken in times.items() if taken > MOST_S]
    assert not slow, "\n".join(slow)
    assert memory <= MOST_MB
