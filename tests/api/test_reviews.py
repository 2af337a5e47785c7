"""Marks over HTTP: said with a reason, kept for good, the newest one counts."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from app.bootstrap import Services
from app.core.errors import Invalid
from app.core.permissions import Role, local_actor
from app.repositories.audit import AuditRepository
from app.schemas.reviews import MARKS
from tests.api.conftest import ClientOf
from tests.api.measured import measure, stock

REASON = "Promises a refund."


async def a_generation(client: httpx2.AsyncClient, services: Services) -> str:
    await stock(services, dataset="pay/sums", prompt="pay/ask")
    await measure(services, client, dataset="pay/sums", prompt="pay/ask")
    found = (await client.get("/api/generations", params={"key": "sum-3"})).json()
    return str(found["items"][0]["id"])


async def say(client: httpx2.AsyncClient, generation: str, **body: str) -> httpx2.Response:
    return await client.post(f"/api/generations/{generation}/reviews", json=body)


async def listed(client: httpx2.AsyncClient, review: str) -> list[Any]:
    page = (await client.get("/api/generations", params={"review": review, "limit": 100})).json()
    return [item["id"] for item in page["items"]]


async def test_the_newest_mark_counts_and_all_are_kept(
    client: httpx2.AsyncClient, client_of: ClientOf, services: Services
) -> None:
    generation = await a_generation(client, services)
    reviewer = await client_of(Role.REVIEWER, name="rita")

    flagged = await say(reviewer, generation, mark="flagged", reason=REASON)
    assert flagged.status_code == 201
    assert await listed(client, "flagged") == [generation]
    assert generation not in await listed(client, "none")
    assert (await say(client, generation, mark="ok")).status_code == 201

    assert (await listed(client, "flagged"), await listed(client, "ok")) == ([], [generation])
    detail = (await client.get(f"/api/generations/{generation}")).json()
    told = [(one["mark"], one["reason"], one["reviewer"]) for one in detail["reviews"]]
    assert told == [("ok", None, "user:everything"), ("flagged", REASON, "user:rita")]
    history = (await client.get(f"/api/generations/{generation}/reviews")).json()
    assert history == detail["reviews"]


async def test_a_flag_without_a_reason_is_refused(
    client: httpx2.AsyncClient, services: Services
) -> None:
    generation = await a_generation(client, services)

    refused = await say(client, generation, mark="flagged", reason="  ")

    assert refused.status_code == 422
    assert "gives a reason" in refused.json()["detail"]


async def test_a_mark_is_an_audit_event_without_the_reason(
    client: httpx2.AsyncClient, services: Services
) -> None:
    generation = await a_generation(client, services)
    await say(client, generation, mark="flagged", reason=REASON)

    async with services.database.read_session() as session:
        bodies = [body for _, body, _, _ in await AuditRepository(session).bodies()]

    [event] = [body for body in bodies if "generation.reviewed" in body]
    assert generation in event
    assert REASON not in event


async def test_what_is_out_of_sight_cannot_be_marked(
    client: httpx2.AsyncClient, client_of: ClientOf, services: Services
) -> None:
    generation = await a_generation(client, services)
    outside = await client_of(Role.REVIEWER, prefix="other/")
    viewer = await client_of(Role.VIEWER)

    assert (await say(outside, generation, mark="ok")).status_code == 404
    assert (await say(viewer, generation, mark="ok")).status_code == 403
    assert (await outside.get(f"/api/generations/{generation}/reviews")).status_code == 404
    assert await listed(client, "ok") == []


async def test_marks_are_no_labels(client: httpx2.AsyncClient, services: Services) -> None:
    generation = await a_generation(client, services)
    await say(client, generation, mark="flagged", reason=REASON)
    detail = (await client.get(f"/api/generations/{generation}")).json()
    actor = local_actor()
    found = await services.experiments.run(detail["run"])

    assert await services.reviews.criteria([found.id]) == []
    with pytest.raises(Invalid, match="name another"):
        await services.reviews.import_labels(actor, found, MARKS, [])
