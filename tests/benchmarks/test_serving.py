"""What serving adds to a provider's answer: latency, throughput, CPU, connections.

One server process against a provider that answers at once, rows durable; the same requests go to
the provider directly, and what is added is the difference.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
import pytest

from tests.benchmarks.measure import report
from tests.command_line import PROMPT, CommandLine
from tests.fake_provider import FakeProviderProcess, ProviderOptions
from tests.serving import ALIAS, Served, chat_environment, chat_workspace, served

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]

MODEL = "openai/fake-model"
SAY = "My parcel is late. What can I do?"


@dataclass(frozen=True)
class Target:
    """Where chats go to."""

    url: str
    key: str
    model: str

    def body(self, *, stream: bool = False) -> dict[str, object]:
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": SAY}],
            **({"stream": True} if stream else {}),
        }


def at(values: Sequence[float], share: float) -> float:
    """Return a quantile, by nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def chat(session: aiohttp.ClientSession, target: Target) -> float:
    """Return the milliseconds that one plain answer took."""
    started = time.perf_counter()
    headers = {"Authorization": f"Bearer {target.key}"}
    async with session.post(
        f"{target.url}/chat/completions", json=target.body(), headers=headers
    ) as reply:
        body = await reply.read()
        assert reply.status == 200, body
    return (time.perf_counter() - started) * 1000


async def first_token(session: aiohttp.ClientSession, target: Target) -> float:
    """Return the milliseconds until a stream's first content came."""
    started = time.perf_counter()
    headers = {"Authorization": f"Bearer {target.key}"}
    found = 0.0
    async with session.post(
        f"{target.url}/chat/completions", json=target.body(stream=True), headers=headers
    ) as reply:
        assert reply.status == 200
        async for line in reply.content:
            if (
                not found
                and line.startswith(b"data: ")
                and b'"content":"' in line.replace(b" ", b"")
            ):
                if b'"content":""' in line.replace(b" ", b""):
                    continue
                found = (time.perf_counter() - started) * 1000
    assert found
    return found


Ask = Callable[[aiohttp.ClientSession, Target], Awaitable[float]]


async def one_by_one(ask: Ask, target: Target, count: int) -> list[float]:
    async with aiohttp.ClientSession() as session:
        for _ in range(50):
            await ask(session, target)
        return [await ask(session, target) for _ in range(count)]


async def open_loop(target: Target, per_second: float, seconds: float) -> list[float]:
    """Send requests at random times (Poisson) whether or not earlier ones are answered."""
    chance = random.Random(1)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        for _ in range(50):
            await chat(session, target)
        tasks: list[asyncio.Task[float]] = []
        due = time.perf_counter()
        end = due + seconds
        while due < end:
            due += chance.expovariate(per_second)
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            tasks.append(asyncio.create_task(chat(session, target)))
        return list(await asyncio.gather(*tasks))


async def closed_loop(target: Target, at_once: int, count: int) -> float:
    """Return requests a second with `at_once` under way all the time."""
    numbers = iter(range(count))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def worker() -> None:
            for _ in numbers:
                await chat(session, target)

        await asyncio.gather(*(chat(session, target) for _ in range(at_once)))
        started = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(at_once)))
        return count / (time.perf_counter() - started)


def targets(server: Served, provider: FakeProviderProcess) -> tuple[Target, Target]:
    """Return our server and the provider itself."""
    return (
        Target(f"{server.url}/v1", server.key, ALIAS),
        Target(provider.base_url, "sk-test", "fake-model"),
    )


def added(
    ask: Ask, ours: Target, direct: Target, count: int = 500
) -> tuple[float, float, float, float]:
    """Return the median of three runs of p50 and p99 that we add, and of p50 of each side."""
    rows = []
    for _ in range(3):
        through = asyncio.run(one_by_one(ask, ours, count))
        alone = asyncio.run(one_by_one(ask, direct, count))
        rows.append(
            (
                at(through, 0.5) - at(alone, 0.5),
                at(through, 0.99) - at(alone, 0.99),
                at(through, 0.5),
                at(alone, 0.5),
            )
        )
    p50, p99, ours_p50, direct_p50 = (
        statistics.median(column) for column in zip(*rows, strict=True)
    )
    return p50, p99, ours_p50, direct_p50


def kind(url: str) -> str:
    return url.split(":", 1)[0].split("+")[0]


def test_one_chat_after_the_other_adds_little(tmp_path: Path, database_url: str) -> None:
    with FakeProviderProcess(ProviderOptions(latency_ms=0)) as provider:
        line = chat_workspace(tmp_path, chat_environment(database_url, provider), MODEL)
        with served(line, "--no-worker") as server:
            ours, direct = targets(server, provider)
            p50, p99, through, alone = added(chat, ours, direct)
            token_p50, _, _, _ = added(first_token, ours, direct, 300)
    report(
        f"chat, concurrency 1, {kind(database_url)}",
        {
            "added_p50_ms": p50,
            "added_p99_ms": p99,
            "p50_ms": through,
            "provider_p50_ms": alone,
            "added_first_token_p50_ms": token_p50,
        },
    )
    assert p50 <= 6
    assert p99 <= 30
    assert token_p50 <= 8


def test_100_requests_a_second_in_an_open_loop(tmp_path: Path, database_url: str) -> None:
    with FakeProviderProcess(ProviderOptions(latency_ms=0)) as provider:
        line = chat_workspace(tmp_path, chat_environment(database_url, provider), MODEL)
        with served(line, "--no-worker") as server:
            ours, _ = targets(server, provider)
            runs = [asyncio.run(open_loop(ours, 100, 20)) for _ in range(3)]
    p50 = statistics.median(at(run, 0.5) for run in runs)
    p99 = statistics.median(at(run, 0.99) for run in runs)
    report(
        f"chat, open loop 100/s, {kind(database_url)}",
        {"p50_ms": p50, "p99_ms": p99, "requests": float(sum(map(len, runs)))},
    )
    assert p50 <= 10
    assert p99 <= 50


def test_250_requests_a_second_at_concurrency_50(tmp_path: Path, database_url: str) -> None:
    with FakeProviderProcess(ProviderOptions(latency_ms=0)) as provider:
        line = chat_workspace(tmp_path, chat_environment(database_url, provider), MODEL)
        with served(line, "--no-worker") as server:
            ours, _ = targets(server, provider)
            process = _server(server)
            before = process.cpu_times()
            rates = [asyncio.run(closed_loop(ours, 50, 3000)) for _ in range(3)]
            after = process.cpu_times()
    cpu_ms = (after.user + after.system - before.user - before.system) / 9150 * 1000
    rate = statistics.median(rates)
    report(
        f"chat, concurrency 50, {kind(database_url)}",
        {"requests_per_second": rate, "cpu_ms_per_request": cpu_ms},
    )
    assert rate >= 250


def _server(server: Served) -> psutil.Process:
    """Return the process that listens: the command itself, or the child that it supervises."""
    port = int(server.url.rpartition(":")[2])
    family = [psutil.Process(server.process.pid)]
    family += family[0].children(recursive=True)
    busy = [p for p in family if any(c.laddr.port == port for c in p.net_connections("tcp"))]
    assert busy, f"nobody listens on {port} ({os.getpid()})"
    return busy[-1]


def test_100_open_streams_hold_no_connection(tmp_path: Path, database_url: str) -> None:
    options = ProviderOptions(latency_ms=0, stream_interval_ms=400)
    with FakeProviderProcess(options) as provider:
        line = chat_workspace(tmp_path, chat_environment(database_url, provider), MODEL)
        with served(line, "--no-worker") as server:
            ours, _ = targets(server, provider)
            most = asyncio.run(connections_while_streaming(server, ours, 100))
    report(f"100 open streams, {kind(database_url)}", {"connections_in_use": most})
    assert most == 0


async def connections_while_streaming(server: Served, target: Target, count: int) -> float:
    """Return how many database connections are in use while streams are open and nothing else."""
    headers = {"Authorization": f"Bearer {target.key}"}
    admin = {"Authorization": f"Bearer {server.admin_key}"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        replies = [
            await session.post(
                f"{target.url}/chat/completions", json=target.body(stream=True), headers=headers
            )
            for _ in range(count)
        ]
        looks = []
        for _ in range(5):
            async with session.get(f"{server.url}/metrics", headers=admin) as reply:
                text = await reply.text()
            looks.append(
                sum(
                    float(row.rpartition(" ")[2])
                    for row in text.splitlines()
                    if row.startswith("workbench_database_connections{")
                )
            )
        for reply in replies:
            assert reply.status == 200
            reply.close()
    return statistics.median(looks)


def test_an_experiment_beside_chats_changes_their_p99_by_less_than_a_tenth(
    tmp_path: Path, database_url: str
) -> None:
    options = ProviderOptions(latency_ms=100, answer="arithmetic")
    with FakeProviderProcess(options) as provider:
        environment = chat_environment(database_url, provider)
        line = chat_workspace(tmp_path, environment, MODEL)
        question(line, 5000)
        with served(line, "--no-worker") as server:
            ours, _ = targets(server, provider)
            alone = [asyncio.run(open_loop(ours, 20, 15)) for _ in range(3)]
            running = line.start(*ASK)
            beside = [asyncio.run(open_loop(ours, 20, 15)) for _ in range(3)]
            ended = running.poll()
            running.terminate()
            running.communicate(timeout=60)
    p99 = [statistics.median(at(run, 0.99) for run in runs) for runs in (alone, beside)]
    report(
        f"chat beside an experiment, {kind(database_url)}",
        {"p99_ms_alone": p99[0], "p99_ms_beside": p99[1], "change": p99[1] / p99[0] - 1},
    )
    assert ended is None, "the experiment ended before the chats did"
    assert p99[1] <= p99[0] * 1.1


ASK = (
    "run", "--yes", "--dataset", "sums@1", "--prompt", "ask@1", "--model", MODEL,
    "--scorer", "numeric_answer", "--new", "--concurrency", "8", "--progress", "none",
)  # fmt: skip


def question(line: CommandLine, examples: int) -> None:
    """Give the workspace a prompt and a dataset of additions."""
    (line.folder / "prompts" / "ask").mkdir(parents=True)
    (line.folder / "prompts" / "ask" / "v1.yaml").write_text(PROMPT)
    rows = "".join(f"sum-{i:05d},What is {i} + {i + 1}?,{2 * i + 1}\n" for i in range(examples))
    (line.folder / "sums.csv").write_text("id,question,answer\n" + rows)
    line.run("prompts", "sync")
    line.run(
        "datasets", "import", "sums.csv", "--name", "sums", "--key", "id", "--input", "question",
        "--expected", "answer",
    )  # fmt: skip
