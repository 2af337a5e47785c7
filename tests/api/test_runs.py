"""Runs and their scores over HTTP: totals, pages, and scoring on demand."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from app.bootstrap import Services
from tests.api.measured import asked, done, measure, stock


async def pages(client: httpx2.AsyncClient, path: str, **parameters: str) -> list[Any]:
    """Read a list to its end in small pages."""
    found: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await client.get(path, params={**parameters, "limit": "7", **_if(cursor)})).json()
        found += page["items"]
        cursor = page["next_cursor"]
    assert page["total_estimate"] == len(found)
    return found


def _if(cursor: str) -> dict[str, str]:
    return {"cursor": cursor} if cursor else {}


async def test_a_run_is_told_with_its_totals(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    run = (await measure(services, client))["runs"][0]["run"]

    standing = (await client.get(f"/api/runs/{run['id']}")).json()

    assert standing["run"] == run
    assert standing["totals"]["by_status"] == {"completed": 10}
    assert standing["totals"]["cost"] is not None


async def test_runs_are_found_by_experiment_and_by_how_their_names_begin(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    await measure(services, client)
    await measure(services, client, again=True)

    assert len(await pages(client, "/api/runs")) == 4
    second = await pages(client, "/api/runs", experiment="2")
    assert {run["experiment_number"] for run in second} == {2}
    assert await pages(client, "/api/runs", name="2/ask@1") == second[1:]
    assert await pages(client, "/api/runs", name="%") == []


async def test_every_score_of_a_run_is_on_exactly_one_page(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    standing = await measure(services, client, scorers=["numeric_answer", "exact_match"])
    run = standing["runs"][0]["run"]["id"]

    scores = await pages(client, f"/api/runs/{run}/scores")
    [first, second] = (await client.get(f"/api/runs/{run}/scorers")).json()

    assert len({(score["generation_id"], score["scorer_id"]) for score in scores}) == 20
    assert {first["scorer"]["name"], second["scorer"]["name"]} == {"numeric_answer", "exact_match"}
    of_first = await pages(client, f"/api/runs/{run}/scores", scorer_id=first["scorer"]["id"])
    assert {score["key"] for score in of_first} == {f"sum-{i}" for i in range(10)}
    assert sum(first["summary"]["by_status"].values()) == 10


async def test_stored_outputs_are_scored_on_demand(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    run = (await measure(services, client, scorers=[]))["runs"][0]["run"]["id"]
    assert (await client.get(f"/api/runs/{run}/scorers")).json() == []

    reply = await client.post("/api/scores", json={"run_id": run, "scorers": ["contains"]})
    job = (await done(services, client, reply))["job"]

    assert job["status"] == "done"
    [standing] = (await client.get(f"/api/runs/{run}/scorers")).json()
    assert [standing["scorer"]["id"]] == job["detail"]["scorer_ids"]


@pytest.mark.parametrize("cursor", ["x", "WyJ4IiwxLCJ5Il0", "WzFd"])
async def test_a_cursor_of_another_list_is_refused(
    client: httpx2.AsyncClient, services: Services, cursor: str
) -> None:
    await stock(services)
    run = (await done(services, client, await client.post("/api/experiments", json=asked())))["job"]
    listed = (await client.get("/api/runs")).json()["items"][0]["id"]
    for path in ("/api/runs", f"/api/runs/{listed}/scores", f"/api/generations?run_id={listed}"):
        reply = await client.get(path, params={"cursor": cursor})
        assert (reply.status_code, reply.json()["path"]) == (422, "cursor"), (path, run)
