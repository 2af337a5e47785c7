"""`kill -9` of a worker in the middle of a job: the next finishes it, nothing is lost or double."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from app.bootstrap import Services, open_services
from app.core.permissions import Actor
from app.core.settings import load_settings
from app.schemas.jobs import JobView, RunRequest
from tests.command_line import CommandLine, arithmetic_workspace
from tests.fake_provider import FakeProviderProcess, ProviderOptions

CONCURRENCY = 20
WORKER = ("worker", "--take-over-after", "2")


def environment(url: str, server: FakeProviderProcess) -> Mapping[str, str]:
    return {
        "WORKBENCH_DATABASE_URL": url.replace("+aiosqlite", "").replace("+asyncpg", ""),
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": server.base_url,
    }


@asynccontextmanager
async def asked(
    folder: Path, url: str, server: FakeProviderProcess, actor: Actor, examples: int
) -> AsyncIterator[tuple[CommandLine, Services, JobView]]:
    """A workspace with one job that waits for a worker."""
    given = environment(url, server)
    line = await asyncio.to_thread(arithmetic_workspace, folder, examples, given)
    async with open_services(load_settings(folder, given)) as services:
        request: dict[str, Any] = {
            "dataset": "sums@1",
            "prompts": ["ask@1"],
            "models": ["openai/fake-model"],
            "scorers": ["numeric_answer"],
            "concurrency": CONCURRENCY,
        }
        job = await services.jobs.start_experiment(actor, RunRequest.model_validate(request))
        yield line, services, job


async def kill_after(
    process: subprocess.Popen[str], services: Services, actor: Actor, job: JobView, stored: int
) -> int:
    """Kill a worker once so many outcomes are stored; return how many were when it died."""
    async with asyncio.timeout(90):
        async for progress in services.jobs.follow(actor, job.id):
            if sum(progress.by_status.values()) >= stored:
                break
    process.kill()
    await asyncio.to_thread(process.communicate)
    return sum((await services.jobs.progress(actor, job.id)).by_status.values())


async def kill_and_finish(
    folder: Path, url: str, actor: Actor, *, examples: int, points: list[int]
) -> None:
    options = ProviderOptions(answer="arithmetic", latency_ms=500)
    with FakeProviderProcess(options) as server:
        async with asked(folder, url, server, actor, examples) as (line, services, job):
            for point in points:
                died_at = await kill_after(line.start(*WORKER), services, actor, job, point)
                assert point <= died_at < examples, "the worker was to die in the middle"
                assert (await services.jobs.get(actor, job.id)).status == "running"
            last = line.start(*WORKER)
            async with asyncio.timeout(90):
                *_, progress = [item async for item in services.jobs.follow(actor, job.id)]
            last.send_signal(signal.SIGTERM)
            told, errors = await asyncio.to_thread(last.communicate)

            assert (last.returncode, told.splitlines()[-1]) == (0, "Stopped."), errors
            assert progress.job.status == "done"
            assert progress.job.detail["cut"] == len(points)
            assert progress.by_status == {"completed": examples}
            assert len(await services.experiments.list()) == 1
            # What was in flight at a kill, and answered within the commit window, is asked again.
            most = examples + len(points) * 2 * CONCURRENCY
            assert examples <= server.summary()["received"] <= most


@pytest.mark.nightly
@pytest.mark.timeout(300)
async def test_the_next_worker_finishes_what_a_killed_one_left(
    tmp_path: Path, database_url: str, actor: Actor
) -> None:
    await kill_and_finish(tmp_path, database_url, actor, examples=200, points=[40])


@pytest.mark.nightly
@pytest.mark.timeout(600)
async def test_a_job_survives_many_kills_at_random_points(
    tmp_path: Path, database_url: str, actor: Actor
) -> None:
    seed = int(os.environ.get("WORKBENCH_TEST_SEED", "20261122"))
    print(f"seed {seed}")
    draw = random.Random(seed)
    points = sorted(draw.randrange(20, 1800) for _ in range(5))
    await kill_and_finish(tmp_path, database_url, actor, examples=2000, points=points)


@pytest.mark.nightly
@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_a_second_worker_of_a_workspace_is_told_to_go(
    tmp_path: Path, database_url: str, actor: Actor
) -> None:
    with FakeProviderProcess(ProviderOptions(latency_ms=100, answer="arithmetic")) as server:
        async with asked(tmp_path, database_url, server, actor, 200) as (line, services, job):
            first = line.start(*WORKER)
            async for progress in services.jobs.follow(actor, job.id):
                if progress.by_status:
                    break
            await asyncio.to_thread(line.run, "worker", code=2)
            first.send_signal(signal.SIGINT)
            await asyncio.to_thread(first.communicate)

    assert first.returncode == 0
    assert "there is one only" in line.last_error
