"""Comparisons over HTTP: what was stored, and more on demand."""

from __future__ import annotations

import httpx2

from app.bootstrap import Services
from tests.api.measured import done, measure, stock


async def test_an_experiments_comparison_is_found_by_its_number_and_by_either_run(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    standing = await measure(services, client)
    runs = [run["run"]["id"] for run in standing["runs"]]

    [listed] = (await client.get("/api/comparisons?experiment=1")).json()["items"]

    assert [listed["baseline_run_id"], listed["candidate_run_id"]] == runs
    assert (await client.get(f"/api/comparisons/{listed['id']}")).json() == listed
    for run in runs:
        found = (await client.get(f"/api/comparisons?run_id={run}")).json()["items"]
        assert found == [listed]
    assert (await client.get("/api/comparisons?experiment=2")).json()["items"] == []


async def test_runs_are_compared_on_demand_under_another_scorer(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    standing = await measure(services, client)
    baseline, candidate = [run["run"]["id"] for run in standing["runs"]]
    body = {
        "baseline_run_id": baseline,
        "candidate_run_ids": [candidate],
        "scorer": "contains",
        "margin": 0.1,
        "slices": [],
    }

    progress = await done(services, client, await client.post("/api/comparisons", json=body))

    assert progress["job"]["status"] == "done", progress
    newest, first = (await client.get("/api/comparisons")).json()["items"]
    assert newest["scorer_id"] != first["scorer_id"]
    assert newest["result"]["slices"] == []


async def test_a_run_that_is_not_there_is_told_before_anything_is_queued(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    run = (await measure(services, client))["runs"][0]["run"]["id"]
    nowhere = "00000000-0000-7000-8000-000000000000"
    body = {"baseline_run_id": run, "candidate_run_ids": [nowhere], "scorer": "contains"}
    assert (await client.post("/api/comparisons", json=body)).status_code == 404
    assert (await client.get("/api/jobs?status=queued")).json()["items"] == []
