"""A POST with an idempotency key happens once: key, effect and reply are one transaction."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI

from app.bootstrap import Services
from app.core.permissions import Actor, Role
from app.services.idempotency import Effect, Reply
from tests.api.conftest import ClientOf, ScopedClient

PATH = "/api/prompts/triage/versions"


def content(text: str) -> dict[str, object]:
    return {"content": {"messages": [{"role": "user", "content": text}]}}


async def post(
    client: httpx2.AsyncClient, key: str, text: str = "a", path: str = PATH
) -> httpx2.Response:
    return await client.post(path, json=content(text), headers={"Idempotency-Key": key})


async def numbers(client: httpx2.AsyncClient) -> list[int]:
    return [version["number"] for version in (await client.get(PATH)).json()["items"]]


async def test_the_same_request_again_gets_the_same_reply(client: httpx2.AsyncClient) -> None:
    first = await post(client, "k")
    again = await post(client, "k")
    assert first.status_code == again.status_code == 201
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"] == f"{PATH}/1"
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert await numbers(client) == [1]


async def test_another_request_under_the_same_key_is_invalid(client: httpx2.AsyncClient) -> None:
    await post(client, "k", "a")
    other = await post(client, "k", "b")
    assert other.status_code == 422
    assert other.json()["type"] == "urn:workbench:problem:idempotency_key_reused"
    elsewhere = await post(client, "k", "a", "/api/prompts/other/versions")
    assert elsewhere.status_code == 422
    assert await numbers(client) == [1]


async def test_keys_of_different_actors_do_not_meet(
    client: httpx2.AsyncClient, client_of: ClientOf
) -> None:
    other = await client_of(Role.RESEARCHER)
    assert (await post(client, "k", "a")).status_code == 201
    assert (await post(other, "k", "b")).status_code == 201
    assert await numbers(client) == [1, 2]


async def test_fifty_at_once_have_one_effect(client: httpx2.AsyncClient) -> None:
    replies = await asyncio.gather(*(post(client, "k") for _ in range(50)))
    assert {reply.status_code for reply in replies} <= {201, 409}
    for reply in replies:
        if reply.status_code == 409:
            assert reply.json()["type"] == "urn:workbench:problem:in_flight"
            assert reply.headers["retry-after"] == "1"
    assert await numbers(client) == [1]
    assert (await post(client, "k")).status_code == 201


async def test_a_request_that_failed_may_be_mended_under_its_key(
    client: httpx2.AsyncClient,
) -> None:
    refused = await post(client, "k", "{{ undeclared }}")
    assert refused.status_code == 422
    assert (await post(client, "k")).status_code == 201


async def test_what_fails_behind_its_effect_leaves_nothing(
    client: httpx2.AsyncClient, services: Services, actor: Actor
) -> None:
    await post(client, "other", "a")
    begun = await services.idempotency.begin(actor, "k", "hash")
    assert isinstance(begun, Effect)
    version = await services.prompts.get("triage@1")
    await services.prompts.publish(
        actor,
        "triage",
        version.content.model_copy(update={"parameters": {"seed": 1}}),
        message="within",
    )
    assert [v.number for v in await services.prompts.versions("triage")] == [1, 2]
    await begun.undo()
    assert [v.number for v in await services.prompts.versions("triage")] == [1]
    again = await services.idempotency.begin(actor, "k", "another hash")  # the key is free
    assert isinstance(again, Effect)
    await again.undo()


async def test_a_reply_outlives_the_process(services: Services, actor: Actor) -> None:
    begun = await services.idempotency.begin(actor, "k", "hash")
    assert isinstance(begun, Effect)
    await begun.keep(Reply(201, {"location": "/x"}, {"a": 1}))
    second_process = type(services.idempotency)(services.database, services.clock)
    assert await second_process.begin(actor, "k", "hash") == Reply(
        201, {"location": "/x"}, {"a": 1}
    )


async def test_on_another_replica_the_duplicate_waits_and_gets_the_reply(
    services: Services, actor: Actor
) -> None:
    replica = type(services.idempotency)(services.database, services.clock)
    begun = await services.idempotency.begin(actor, "k", "hash")
    assert isinstance(begun, Effect)
    waiting = asyncio.create_task(replica.begin(actor, "k", "hash"))
    await asyncio.sleep(0)
    assert not waiting.done()
    await begun.keep(Reply(201, {}, "done"))
    assert await waiting == Reply(201, {}, "done")


@pytest.mark.parametrize("key", ["a b", "x" * 256, "é"])
async def test_what_is_no_key_is_invalid(client: httpx2.AsyncClient, key: str) -> None:
    headers = {b"Idempotency-Key": key.encode()}
    reply = await client.post(PATH, json=content("a"), headers=headers)
    assert reply.status_code == 422
    assert reply.json()["path"] == "header.Idempotency-Key"


async def test_a_caller_who_may_not_is_refused_before_the_key_is_looked_up(
    client: httpx2.AsyncClient, client_of: ClientOf, anonymous: httpx2.AsyncClient
) -> None:
    key = str(uuid4())
    assert (await post(anonymous, key)).status_code == 401
    viewer = await client_of(Role.VIEWER)
    assert (await post(viewer, key)).status_code == 403
    assert (await post(client, key)).status_code == 201


def test_every_post_that_creates_takes_a_key(application: FastAPI) -> None:
    """A key whose reply is a secret is not kept: such a name is taken the second time."""
    creating = {
        path: {parameter["name"] for parameter in item["post"].get("parameters", [])}
        for path, item in application.openapi()["paths"].items()
        if "201" in item.get("post", {}).get("responses", {})
    }
    without = {path for path, names in creating.items() if "Idempotency-Key" not in names}
    assert without <= {"/api/keys", "/api/keys/{name}/rotate"}


async def test_a_scoped_key_is_not_told_what_another_key_of_its_owner_did(
    client_of: ClientOf, scoped_client: ScopedClient
) -> None:
    ana = await client_of(Role.RESEARCHER, name="ana")
    narrow = await scoped_client("ana", prefix="payments/*")
    body = {"content": {"messages": [{"role": "user", "content": "hi"}]}}
    headers = {"Idempotency-Key": "the-same"}
    url = "/api/prompts/claims/x/versions"
    assert (await ana.post(url, json=body, headers=headers)).status_code == 201
    assert (await narrow.post(url, json=body, headers=headers)).status_code == 404
    assert "idempotent-replayed" in (await ana.post(url, json=body, headers=headers)).headers
