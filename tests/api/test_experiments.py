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


async def test_the_overview_tells_how_far_each_experiment_is_and_what_was_found(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    standing = await measure(services, client, name="first try", plan={"margin": 0.2})

    [found] = (await client.get("/api/experiments/overview")).json()["items"]

    assert (found["number"], found["name"], found["dataset"]) == (1, "first try", "sums@1")
    assert (found["prompts"], found["models"]) == (["ask@1", "ask@2"], ["simulated/small@1"])
    assert (found["done"], found["wanted"], found["failed"]) == (20, 20, 0)
    assert (found["status"], found["work"], found["simulated"]) == ("completed", None, True)
    [verdict] = found["verdicts"]
    [comparison] = (await client.get("/api/comparisons?experiment=1")).json()["items"]
    assert verdict["comparison_id"] == comparison["id"]
    assert verdict["verdict"] == comparison["verdict"]
    assert verdict["candidate_run_id"] == standing["runs"][1]["run"]["id"]


async def test_the_overview_says_whether_somebody_works_on_an_experiment(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    await measure(services, client)
    await client.post("/api/experiments/1/resume", json={"retry": ["*"]})
    [found] = (await client.get("/api/experiments/overview")).json()["items"]
    assert found["work"] == "queued"


async def test_the_overview_shows_the_newest_verdict_by_the_scorer_that_decides(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    runs = (await measure(services, client))["runs"]
    body = {
        "baseline_run_id": runs[0]["run"]["id"],
        "candidate_run_ids": [runs[1]["run"]["id"]],
        "scorer": "length:max=3",
    }
    await done(services, client, await client.post("/api/comparisons", json=body))
    again = {**body, "scorer": "numeric_answer"}
    await done(services, client, await client.post("/api/comparisons", json=again))

    [found] = (await client.get("/api/experiments/overview")).json()["items"]

    newest, other, _ = (await client.get("/api/comparisons")).json()["items"]
    assert [it["comparison_id"] for it in found["verdicts"]] == [newest["id"]]
    told = (await client.get("/api/experiments/1/results")).json()["verdicts"]
    assert {it["comparison_id"]: it["primary"] for it in told} == {
        newest["id"]: True,
        other["id"]: False,
    }


async def test_the_overview_is_filtered_and_paged(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    await stock(services, dataset="other", prompt="other")
    await measure(services, client, name="Politeness")
    await measure(services, client, name="Prices", dataset="other", prompt="other")

    async def numbers(query: str) -> list[int]:
        reply = await client.get(f"/api/experiments/overview?{query}")
        return [it["number"] for it in reply.json()["items"]]

    assert await numbers("search=POLITE") == [1]
    assert await numbers("search=2") == [2]
    assert await numbers("search=%25") == []
    assert await numbers("dataset=other") == [2]
    assert await numbers("status=open") == []
    assert await numbers("by=everything") == [2, 1]
    assert await numbers("by=nobody") == []
    first = (await client.get("/api/experiments/overview?limit=1")).json()
    assert (first["items"][0]["number"], first["total_estimate"]) == (2, 2)
    assert await numbers(f"limit=1&cursor={first['next_cursor']}") == [1]


async def test_results_say_what_was_found_and_how_each_run_did(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    standing = await measure(services, client, scorers=["numeric_answer", "length:max=3"])

    results = (await client.get("/api/experiments/1/results")).json()

    comparison = (await client.get("/api/comparisons?experiment=1")).json()["items"][0]
    [told] = [it for it in results["verdicts"] if it["primary"]]
    assert told["sentence"] == comparison["result"]["sentence"]
    assert told["warnings"] == comparison["result"]["warnings"]
    assert told["n_pairs"] == 10
    for run in (it["run"]["id"] for it in standing["runs"]):
        standings = (await client.get(f"/api/runs/{run}/scorers")).json()
        expected = {it["scorer"]["name"]: it["summary"]["mean"] for it in standings}
        means = {it["scorer"]: it["mean"] for it in results["means"] if it["run_id"] == run}
        assert means == expected


async def test_an_estimate_says_what_an_experiment_takes_and_stores_nothing(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)

    found = (await client.post("/api/experiments/estimate", json=asked(repetitions=3))).json()

    assert (found["examples"], found["repetitions"], found["calls"]) == (10, 3, 60)
    assert found["cost"] == {"low": 0.0, "high": 0.0}
    assert 0 < found["input_tokens"]["low"] < found["input_tokens"]["high"]
    assert found["seconds"] is None, "nothing was ever answered"
    assert [it["prompt"] for it in found["variants"]] == ["ask@1", "ask@2"]
    assert (await client.get("/api/experiments")).json()["items"] == []


async def test_an_estimate_counts_the_answers_that_are_there_and_names_judges(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    await measure(services, client)
    body = asked(cache=True, scorers=["numeric_answer", "judge_correctness:model=simulated/small"])

    found = (await client.post("/api/experiments/estimate", json=body)).json()

    assert (found["calls"], found["reused"]) == (0, 20)
    assert found["judges_left_out"] == ["judge_correctness"]


async def test_an_estimate_refuses_what_could_not_be_started(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    wrong = {
        "parameters.temperature": asked(parameters={"temperature": 9}),
        "map": asked(map={"question": "nothing"}),
        "prompts": asked(parameters=[{"seed": seed} for seed in range(51)]),
    }
    for path, body in wrong.items():
        reply = await client.post("/api/experiments/estimate", json=body)
        assert (reply.status_code, reply.json().get("path")) == (422, path), reply.text


async def test_results_and_estimates_stay_below_ones_names(
    client: httpx2.AsyncClient, client_of: ClientOf, services: Services
) -> None:
    await stock(services, dataset="pay/sums", prompt="pay/ask")
    await measure(services, client, dataset="pay/sums", prompt="pay/ask")
    outside = await client_of(Role.RESEARCHER, prefix="other/")

    assert (await outside.get("/api/experiments/overview")).json()["items"] == []
    assert (await outside.get("/api/experiments/1/results")).status_code == 404
    body = asked(dataset="pay/sums", prompt="pay/ask")
    assert (await outside.post("/api/experiments/estimate", json=body)).status_code == 404


async def test_an_estimate_tells_who_is_below_a_prefix_nothing_of_earlier_answers(
    client: httpx2.AsyncClient, client_of: ClientOf, services: Services
) -> None:
    await stock(services, dataset="pay/sums", prompt="pay/ask")
    body = asked(dataset="pay/sums", prompt="pay/ask", cache=True)
    inside = await client_of(Role.RESEARCHER, prefix="pay/")
    before = (await inside.post("/api/experiments/estimate", json=body)).json()
    await measure(services, client, dataset="pay/sums", prompt="pay/ask")

    told = (await client.post("/api/experiments/estimate", json=body)).json()
    found = (await inside.post("/api/experiments/estimate", json=body)).json()

    assert ({it["basis"] for it in told["variants"]}, told["reused"]) == ({"prompt"}, 20)
    assert ({it["basis"] for it in found["variants"]}, found["reused"]) == ({"rule"}, 0)
    assert found == before
