"""Nothing that a server does for chats holds its event loop: each callback is short."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.benchmarks.measure import report
from tests.benchmarks.test_serving import MODEL, Target, chat, first_token, kind
from tests.benchmarks.timed_server import Longest, timed
from tests.conftest import REPOSITORY
from tests.fake_provider import FakeProviderProcess, ProviderOptions
from tests.serving import ALIAS, chat_environment, chat_workspace

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]

CHATS = 200
AT_ONCE = 50
LONGEST_MS = 50.0


@dataclass
class Timed:
    """A server that times its callbacks; `seen` is what it told at its end."""

    process: subprocess.Popen[str]
    url: str
    seen: Mapping[str, Any]


@contextmanager
def timed_server(folder: Path, environment: Mapping[str, str]) -> Iterator[Timed]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.timed_server", str(folder)],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    server = Timed(process, process.stdout.readline().strip(), {})
    try:
        yield server
    finally:
        process.terminate()
        told, _ = process.communicate(timeout=60)
    server.seen = json.loads(told)


async def load(target: Target, count: int) -> None:
    """Ask for plain and streamed answers by turns, `AT_ONCE` under way all the time."""
    numbers = iter(range(count))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def worker() -> None:
            for number in numbers:
                await (chat if number % 2 else first_token)(session, target)

        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


def test_a_callback_that_computes_is_noticed() -> None:
    async def compute() -> None:
        enough = time.thread_time() + 1.2 * LONGEST_MS / 1000
        while time.thread_time() < enough:
            pass

    longest = Longest()
    with timed(longest):
        asyncio.run(compute())
    cpu_ms, where = json.loads(longest.to_json())["longest"][0]
    assert cpu_ms > LONGEST_MS
    assert where.endswith("compute")


def test_no_callback_holds_the_loop(tmp_path: Path, database_url: str) -> None:
    with FakeProviderProcess(ProviderOptions(latency_ms=0)) as provider:
        variables = chat_environment(database_url, provider)
        line = chat_workspace(tmp_path, variables, MODEL)
        made = line.json("keys", "create", "shop", "--service", "--alias", ALIAS)
        with timed_server(tmp_path, variables) as server:
            target = Target(f"{server.url}/v1", made["secret"], ALIAS)
            asyncio.run(load(target, AT_ONCE))  # what is imported at the first chat is not measured
            server.process.send_signal(signal.SIGUSR1)
            asyncio.run(load(target, CHATS))
    longest_ms, where = server.seen["longest"][0]
    report(
        f"longest callback of {CHATS} chats, {kind(database_url)}",
        {"cpu_ms": longest_ms, "of": server.seen["count"], "where": where},
    )
    assert server.seen["count"] > CHATS
    assert longest_ms <= LONGEST_MS, server.seen["longest"]
