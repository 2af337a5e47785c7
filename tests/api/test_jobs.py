"""Jobs over HTTP: ask, follow, stop; and who may."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import httpx2
import orjson
import pytest

from app.bootstrap import Services
from app.core.logging import create_logger
from app.core.permissions import Role, local_actor
from app.schemas.users import NewGrant
from tests.api.conftest import ClientOf, ScopedClient
from tests.api.measured import asked, done, stock
from workbench.worker import Desk


def events(text: str) -> list[tuple[str, dict[str, object]]]:
    """Read a stream of server-sent events."""
    found = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if line[0] != ":")
        found.append((lines["event"], orjson.loads(lines["data"])))
    return found


async def test_what_is_asked_for_waits_for_a_worker_and_says_where_it_is_followed(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)

    reply = await client.post("/api/experiments", json=asked())

    assert reply.status_code == 202
    job = (await client.get(reply.headers["location"])).json()["job"]
    assert (job["status"], job["kind"], job["actor"]) == ("queued", "run", "user:everything")
    assert job["asked"]["dataset"] == "sums@1"
    assert (await client.get("/api/jobs?status=queued")).json()["items"] == [job]
    assert (await client.get("/api/jobs?status=done")).json()["items"] == []


async def test_a_request_sent_twice_with_one_key_is_one_job(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    headers = {"Idempotency-Key": "the-same"}

    first, second = [
        await client.post("/api/experiments", json=asked(), headers=headers) for _ in range(2)
    ]

    assert (first.json(), first.headers["location"]) == (
        second.json(),
        second.headers["location"],
    )
    assert (await client.get("/api/jobs")).json()["total_estimate"] == 1
    assert (await done(services, client, first))["job"]["status"] == "done"


async def test_followers_are_told_of_every_change_until_the_end(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    reply = await client.post("/api/experiments", json=asked())

    following = asyncio.create_task(client.get(f"{reply.headers['location']}/events"))
    await done(services, client, reply)
    told = events((await following).text)

    assert told[0][0] == "progress"
    assert [name for name, _ in told].count("end") == 1
    name, last = told[-1]
    assert (name, last["wanted"], last["by_status"]) == ("end", 20, {"completed": 20})


async def test_nobody_follows_a_server_that_stops(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    reply = await client.post("/api/experiments", json=asked())
    services.jobs.stop_following()

    told = events((await client.get(f"{reply.headers['location']}/events")).text)

    assert [name for name, _ in told] == ["progress"]


async def test_following_a_job_that_is_not_there_is_an_ordinary_404(
    client: httpx2.AsyncClient,
) -> None:
    reply = await client.get(f"/api/jobs/{uuid4()}/events")
    assert reply.status_code == 404
    assert reply.headers["content-type"] == "application/problem+json"


async def test_a_job_that_waits_is_stopped_at_once_and_never_done(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    location = (await client.post("/api/experiments", json=asked())).headers["location"]

    stopped = await client.post(f"{location}/stop")

    assert (stopped.status_code, stopped.json()["status"]) == (200, "stopped")
    assert (await client.post(f"{location}/stop")).status_code == 409
    desk = Desk(services, create_logger("CRITICAL"))
    assert await desk.do(UUID(stopped.json()["id"])) is None
    assert (await client.get("/api/experiments")).json()["items"] == []


async def test_what_cannot_be_carried_out_tells_why_in_the_job(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    reply = await client.post("/api/experiments", json=asked(scorers=["no_such_scorer"]))

    job = (await done(services, client, reply))["job"]

    assert job["status"] == "failed"
    assert "no_such_scorer" in job["detail"]["error"]["message"]


async def test_a_job_may_be_stopped_by_whoever_may_run_experiments_on_its_dataset(
    client: httpx2.AsyncClient, client_of: ClientOf, services: Services
) -> None:
    await stock(services)
    location = (await client.post("/api/experiments", json=asked())).headers["location"]
    viewer, researcher = await client_of(Role.VIEWER), await client_of(Role.RESEARCHER)

    assert (await viewer.post(f"{location}/stop")).status_code == 403
    assert (await researcher.post(f"{location}/stop")).status_code == 200


async def test_jobs_on_other_datasets_are_not_there(
    client: httpx2.AsyncClient, client_of: ClientOf, services: Services
) -> None:
    await stock(services, dataset="pay/sums", prompt="pay/ask")
    reply = await client.post("/api/experiments", json=asked(dataset="pay/sums", prompt="pay/ask"))
    location = reply.headers["location"]
    await done(services, client, reply)
    inside = await client_of(Role.RESEARCHER, prefix="pay/")
    outside = await client_of(Role.RESEARCHER, prefix="other/")

    assert (await inside.get(location)).status_code == 200
    assert (await outside.get(location)).status_code == 404
    assert (await inside.get("/api/jobs")).json()["total_estimate"] == 1
    assert (await outside.get("/api/jobs")).json()["items"] == []
    assert (await outside.get(f"{location}/events")).status_code == 404
    assert (await outside.post(f"{location}/stop")).status_code == 404


async def test_jobs_come_page_by_page(client: httpx2.AsyncClient, services: Services) -> None:
    await stock(services)
    made = [(await client.post("/api/experiments", json=asked())).json()["id"] for _ in range(5)]
    found, cursor = [], None
    while True:
        parameters = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/api/jobs", params=parameters)).json()
        assert page["total_estimate"] == 5
        found += [job["id"] for job in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert found == made[::-1]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"prompts": ["prompts/ask/v1.yaml"]}, "body.prompts"),
        ({"prompts": []}, "body.prompts"),
        ({"dataset": "Not A Name"}, "dataset"),
        ({"repetitions": 0}, "body.repetitions"),
        ({"unheard_of": 1}, "body.unheard_of"),
        ({"plan": {"margin": -1}}, "body.plan.margin"),
    ],
)
async def test_a_wrong_field_is_named_before_anything_is_queued(
    client: httpx2.AsyncClient, change: dict[str, object], path: str
) -> None:
    reply = await client.post("/api/experiments", json=asked(**change))
    assert (reply.status_code, reply.json()["path"]) == (422, path), reply.json()
    assert (await client.get("/api/jobs")).json()["items"] == []


async def test_a_scoped_key_has_the_jobs_of_its_names_and_no_others_of_its_owner(
    client_of: ClientOf, scoped_client: ScopedClient, services: Services
) -> None:
    await stock(services, dataset="claims/sums", prompt="claims/ask")
    await stock(services, dataset="payments/sums", prompt="payments/ask")
    ana = await client_of(Role.RESEARCHER, name="ana")
    narrow = await scoped_client("ana", prefix="payments/*")
    other = await ana.post(
        "/api/experiments", json=asked(dataset="claims/sums", prompt="claims/ask")
    )
    own = await narrow.post(
        "/api/experiments", json=asked(dataset="payments/sums", prompt="payments/ask")
    )

    listed = (await narrow.get("/api/jobs")).json()
    assert ([job["id"] for job in listed["items"]], listed["total_estimate"]) == (
        [own.json()["id"]],
        1,
    )
    assert (await narrow.get(f"/api/jobs/{other.json()['id']}")).status_code == 404
    assert (await narrow.post(f"/api/jobs/{other.json()['id']}/stop")).status_code == 404
    assert (await narrow.post(f"/api/jobs/{own.json()['id']}/stop")).status_code == 200
    assert (await ana.post(f"/api/jobs/{other.json()['id']}/stop")).status_code == 200


async def test_a_job_acts_within_the_scope_of_the_key_that_asked_for_it(
    client_of: ClientOf, scoped_client: ScopedClient, services: Services
) -> None:
    await stock(services)
    await client_of(Role.RESEARCHER, name="ana")
    narrow = await scoped_client("ana", aliases=["a@production"])
    reply = await narrow.post("/api/experiments", json=asked())

    taken = await services.jobs.take(local_actor(), UUID(reply.json()["id"]))

    assert taken is not None
    assert taken.actor.aliases == frozenset({"a@production"})
    assert taken.actor.is_scoped
    assert taken.actor.credential is not None
    assert taken.actor.credential.key == "ana-scoped"


async def test_stopping_a_job_that_is_no_experiment_yet_takes_the_right_on_its_dataset(
    client_of: ClientOf, services: Services
) -> None:
    await stock(services, dataset="claims/sums", prompt="claims/ask")
    ana = await client_of(Role.RESEARCHER, prefix="claims/")
    reply = await ana.post(
        "/api/experiments", json=asked(dataset="claims/sums", prompt="claims/ask")
    )
    other = await client_of(Role.RESEARCHER, prefix="payments/", name="bo")
    await services.users.grant(local_actor(), "bo", NewGrant(role=Role.VIEWER))
    colleague = await client_of(Role.RESEARCHER, prefix="claims/")

    assert (await other.get(reply.headers["location"])).status_code == 200
    assert (await other.post(f"{reply.headers['location']}/stop")).status_code == 404
    assert (await colleague.post(f"{reply.headers['location']}/stop")).status_code == 200


async def test_no_work_is_done_in_the_name_of_somebody_who_was_deactivated(
    client: httpx2.AsyncClient, client_of: ClientOf, services: Services
) -> None:
    await stock(services)
    ana = await client_of(Role.RESEARCHER, name="ana")
    reply = await ana.post("/api/experiments", json=asked())
    await services.users.deactivate(local_actor(), "ana")

    job = (await done(services, client, reply))["job"]

    assert (job["status"], job["experiment"]) == ("failed", None)
    assert job["detail"]["error"]["code"] == "forbidden"


async def test_whoever_is_deactivated_follows_no_longer(
    client_of: ClientOf, services: Services
) -> None:
    await stock(services)
    ana = await client_of(Role.RESEARCHER, name="ana")
    reply = await ana.post("/api/experiments", json=asked())

    following = asyncio.create_task(ana.get(f"{reply.headers['location']}/events"))
    await services.users.deactivate(local_actor(), "ana")
    async with asyncio.timeout(15):
        told = events((await following).text)

    assert [name for name, _ in told] == ["progress", "error"]
    assert told[-1][1]["status"] == 403
