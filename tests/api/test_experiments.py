"""Experiments over HTTP: whole, page by page, and only below one's own names."""

from __future__ import annotations

import httpx2

from app.bootstrap import Services
from app.core.permissions import Role
from tests.api.conftest import ClientOf
from tests.api.measured import asked, done, measure, stock


async def test_an_experiment_is_carried_out_and_told_with_its_runs(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)

    standing = await measure(services, client, name="first try")

    experiment = standing["experiment"]
    assert (experiment["name"], experiment["status"]) == ("first try", "completed")
    assert experiment["created_by"] == "user:everything"
    assert standing["wanted"] == 20
    assert [run["totals"]["by_status"] for run in standing["runs"]] == [{"completed": 10}] * 2
    listed = (await client.get("/api/experiments")).json()
    assert [found["id"] for found in listed["items"]] == [experiment["id"]]


async def test_an_open_experiment_is_resumed_and_a_second_job_for_it_is_refused(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    number = (await measure(services, client))["experiment"]["number"]

    first = await client.post(f"/api/experiments/{number}/resume", json={"retry": ["*"]})
    second = await client.post(f"/api/experiments/{number}/resume", json={})

    assert (first.status_code, second.status_code) == (202, 409)
    assert (await done(services, client, first))["job"]["status"] == "done"


async def test_a_completed_experiment_is_carried_on_over_a_newer_dataset_version(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    await measure(services, client)
    await stock(services, examples=12)

    reply = await client.post("/api/experiments/extensions", json={"extends": 1})
    job = (await done(services, client, reply))["job"]

    standing = (await client.get(f"/api/experiments/{job['experiment']}")).json()
    assert (job["status"], standing["experiment"]["dataset"]) == ("done", "sums@2"), job
    assert [run["totals"]["reused"] for run in standing["runs"]] == [10, 10]


async def test_an_experiment_is_cancelled_once(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    number = (await measure(services, client))["experiment"]["number"]
    refused = await client.post(f"/api/experiments/{number}/cancel")
    assert refused.status_code == 409
    assert "completed" in refused.json()["detail"]


async def test_the_gate_is_decided_by_a_job_and_its_decisions_are_read(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    number = (await measure(services, client, plan={"margin": 0.2}))["experiment"]["number"]

    reply = await client.post(f"/api/experiments/{number}/gate", json={})
    [decided] = (await done(services, client, reply))["job"]["detail"]["decisions"]

    [listed] = (await client.get(f"/api/gate-decisions?experiment={number}")).json()["items"]
    read = (await client.get(f"/api/gate-decisions/{decided['id']}")).json()
    assert listed == read
    assert read["decision"] == decided["decision"]
    assert (await client.get("/api/gate-decisions?experiment=99")).json()["items"] == []


async def test_experiments_on_other_datasets_are_not_there(
    client: httpx2.AsyncClient, client_of: ClientOf, services: Services
) -> None:
    await stock(services, dataset="pay/sums", prompt="pay/ask")
    standing = await measure(
        services, client, dataset="pay/sums", prompt="pay/ask", plan={"margin": 0.2}, gate=True
    )
    number, run = standing["experiment"]["number"], standing["runs"][1]["run"]["id"]
    [decision] = (await client.get("/api/gate-decisions")).json()["items"]
    comparison, *_ = (await client.get("/api/comparisons")).json()["items"]
    paths = [
        f"/api/experiments/{number}",
        f"/api/runs/{run}",
        f"/api/runs/{run}/scores",
        f"/api/runs/{run}/scorers",
        f"/api/generations?run_id={run}",
        f"/api/gate-decisions/{decision['id']}",
        f"/api/comparisons/{comparison['id']}",
    ]
    lists = ["/api/experiments", "/api/runs", "/api/gate-decisions", "/api/comparisons"]
    inside = await client_of(Role.VIEWER, prefix="pay/")
    outside = await client_of(Role.VIEWER, prefix="other/")

    assert [(await inside.get(path)).status_code for path in paths] == [200] * len(paths)
    assert [(await outside.get(path)).status_code for path in paths] == [404] * len(paths)
    assert all([(await inside.get(path)).json()["total_estimate"] for path in lists])
    assert [(await outside.get(path)).json()["total_estimate"] for path in lists] == [0] * 4


async def test_nobody_starts_or_goes_on_outside_their_names(
    client: httpx2.AsyncClient, client_of: ClientOf, services: Services
) -> None:
    await stock(services, dataset="pay/sums", prompt="pay/ask")
    await stock(services, dataset="other/sums", prompt="other/ask")
    number = (await measure(services, client, dataset="pay/sums", prompt="pay/ask"))["experiment"][
        "number"
    ]
    outside = await client_of(Role.RESEARCHER, prefix="other/")
    bodies = [
        asked(dataset="pay/sums", prompt="other/ask"),
        asked(dataset="other/sums", prompt="pay/ask"),
        asked(dataset="other/sums", prompt="other/ask", baseline="pay/ask@production"),
    ]

    statuses = [(await outside.post("/api/experiments", json=body)).status_code for body in bodies]
    assert statuses == [404, 404, 404]
    for action in ("resume", "gate", "cancel"):
        reply = await outside.post(f"/api/experiments/{number}/{action}", json={})
        assert reply.status_code == 404, action


async def test_a_prompt_that_the_submitter_may_not_read_is_not_read_by_the_worker_for_them(
    client: httpx2.AsyncClient, client_of: ClientOf, services: Services
) -> None:
    """A judge's prompt is named inside a scorer, which only the worker can read."""
    await stock(services, dataset="pay/sums", prompt="pay/ask")
    await stock(services, dataset="other/sums", prompt="other/ask")
    researcher = await client_of(Role.RESEARCHER, prefix="other/")
    judge = {
        "name": "judge_correctness",
        "model": "simulated/small",
        "prompt": "pay/ask@1",
    }
    body = asked(dataset="other/sums", prompt="other/ask", scorers=[judge])

    job = (await done(services, researcher, await researcher.post("/api/experiments", json=body)))[
        "job"
    ]

    assert (job["status"], job["detail"]["error"]["code"]) == ("failed", "not_found"), job
