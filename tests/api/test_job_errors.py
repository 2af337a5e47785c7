"""What a job's error says to somebody who may see the names below one prefix only."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from app.bootstrap import Services
from app.core.permissions import Role
from tests.api.conftest import ClientOf
from tests.api.measured import asked, done, measure, stock


@pytest.fixture
async def ours(
    services: Services, client: httpx2.AsyncClient, client_of: ClientOf
) -> httpx2.AsyncClient:
    """A client of one team; another team has measured prompts of its own."""
    await stock(services, dataset="claims/data", prompt="claims/secret-plan")
    await measure(services, client, dataset="claims/data", prompt="claims/secret-plan")
    await stock(services, dataset="payments/data", prompt="payments/ask")
    return await client_of(Role.RESEARCHER, prefix="payments/")


@pytest.mark.parametrize(
    "change",
    [
        {"baseline": "1"},
        {"baseline": "1/claims/secret-plan@2"},
        {"baseline": "latest"},
        {"prompts": ["payments/secret-plan@1"]},
        {"scorers": [{"name": "judge_correctness", "prompt": "claims/secret-plan@9",
                      "model": "simulated/small"}]},
    ],
)  # fmt: skip
async def test_nothing_is_told_of_what_another_team_has(
    services: Services, ours: httpx2.AsyncClient, change: dict[str, Any]
) -> None:
    request = asked(dataset="payments/data", prompt="payments/ask", **change)
    job = (await done(services, ours, await ours.post("/api/experiments", json=request)))["job"]

    assert job["status"] == "failed"
    told = repr(job["detail"])
    for name in ("claims/", "secret-plan", "ran on", "several"):
        assert name in repr(request) or name not in told, told


async def test_a_version_of_another_teams_dataset_extends_nothing(
    services: Services, ours: httpx2.AsyncClient
) -> None:
    own = await measure(services, ours, dataset="payments/data", prompt="payments/ask")
    told = []
    for dataset in ("claims/data@1", "claims/data@7", "claims/nothing@1"):
        request = {"extends": own["experiment"]["number"], "dataset": dataset}
        reply = await ours.post("/api/experiments/extensions", json=request)
        told.append((await done(services, ours, reply))["job"]["detail"]["error"])
    assert told[0]["code"] == "not_found"
    assert told == [told[0]] * 3
