"""A provider that refuses and breaks: how near the runner comes to what is possible."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select

from app.database import Database
from app.models import Attempt, Generation
from tests.benchmarks.measure import report, run_experiment
from tests.benchmarks.test_runner import ASK, environment
from tests.command_line import arithmetic_workspace
from tests.fake_provider import (
    FakeProviderProcess,
    FaultScript,
    ProviderOptions,
    RetryPolicy,
    request_identity,
    simulate,
)

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]

EXAMPLES, CONCURRENCY = 1000, 50


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_faults_cost_little_more_than_they_must(
    seed: int, tmp_path: Path, database_url: str
) -> None:
    script = FaultScript.from_spec("429-seconds=0.1,500=0.01,reset-before-headers=0.01", seed=seed)
    identities = [
        request_identity("fake-model", [{"role": "user", "content": f"What is {i} + {i + 1}?"}])
        for i in range(EXAMPLES)
    ]
    possible = simulate(
        identities,
        script=script,
        concurrency=CONCURRENCY,
        latency_s=0.1,
        policy=RetryPolicy(max_attempts=100),
    )
    options = ProviderOptions(latency_ms=100, answer="arithmetic", script=script)
    with FakeProviderProcess(options) as server:
        line = arithmetic_workspace(tmp_path, EXAMPLES, environment(database_url, server))
        run = run_experiment(line, server, *ASK, "--concurrency", str(CONCURRENCY))
        summary: Mapping[str, int] = server.summary()
    finished = asyncio.run(_seconds_to_outcomes(database_url))
    share_99 = finished[int(0.99 * EXAMPLES) - 1]
    report(
        f"faults, seed {seed}",
        {
            "share_99_s": share_99,
            "last_s": run.window_s or 0.0,
            "possible_last_s": possible.last_s,
            "ratio": (run.window_s or 0.0) / possible.last_s,
            "calls": str(summary["received"]),
            "possible_calls": str(possible.calls),
        },
    )
    assert run.answer["runs"][0]["counts"] == {"completed": EXAMPLES}
    assert share_99 <= 3.7
    assert (run.window_s or 0.0) <= 1.15 * possible.last_s


async def _seconds_to_outcomes(url: str) -> list[float]:
    """Return for each outcome of the last run when it came, from the first call on."""
    database = Database(url)
    try:
        async with database.read_session() as session:
            first_call = select(func.min(Attempt.started_at)).scalar_subquery()
            rows = (await session.execute(select(first_call, Generation.finished_at))).all()
    finally:
        await database.close()
    first: datetime = rows[0][0]
    return sorted((row[1] - first).total_seconds() for row in rows)
