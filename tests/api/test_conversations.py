"""Conversations over HTTP: the answer plain or as it grows, in pages, for their owner only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from app.bootstrap import Services
from app.core.permissions import Actor, Role, local_actor
from app.core.settings import Settings, load_settings
from app.schemas.aliases import read_deployment_request
from app.schemas.api_keys import KeyScope
from app.schemas.limits import LimitValues
from app.schemas.prompts import PromptContent
from tests.api.conftest import KEY_SECRET, ClientOf, ScopedClient, ServiceClient
from tests.fake_provider import FakeProvider

ALIAS = "support-bot@production"


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as server:
        yield server


@pytest.fixture
def settings(database_url: str, tmp_path: Path, provider: FakeProvider) -> Settings:
    return load_settings(
        tmp_path,
        {
            "WORKBENCH_DATABASE_URL": database_url,
            "WORKBENCH_KEY_SECRET": KEY_SECRET,
            "OPENAI_BASE_URL": provider.base_url,
            "OPENAI_API_KEY": "sk-test",
        },
    )


@pytest.fixture(autouse=True)
async def alias(services: Services) -> None:
    actor = local_actor()
    content = PromptContent.model_validate(
        {"messages": [{"role": "system", "content": "Help."}, {"placeholder": "history"}]}
    )
    prompt = await services.prompts.register(actor, "support-bot", content, number=1)
    model, _ = await services.models.resolve(actor, "openai/fake-model", add_missing=True)
    variant = await services.variants.ensure(actor, prompt.version, model, {})
    await services.aliases.move(actor, ALIAS, variant.id, reason="a test")


@pytest.fixture
async def chatter(client_of: ClientOf) -> httpx2.AsyncClient:
    return await client_of(Role.RESEARCHER)


async def begin(client: httpx2.AsyncClient, **more: Any) -> str:
    reply = await client.post("/api/conversations", json={"alias": ALIAS, **more})
    assert reply.status_code == 201, reply.text
    assert reply.headers["location"] == f"/api/conversations/{reply.json()['id']}"
    found: str = reply.json()["id"]
    return found


async def test_a_message_is_answered_and_both_are_listed(chatter: httpx2.AsyncClient) -> None:
    found = await begin(chatter, title="A parcel")
    reply = await chatter.post(
        f"/api/conversations/{found}/messages", json={"content": "Where is it?"}
    )
    assert reply.status_code == 201, reply.text
    assert reply.json()["answer"]["prompt"] == "support-bot@1"
    page = (await chatter.get(f"/api/conversations/{found}/messages")).json()
    assert [it["role"] for it in page["items"]] == ["user", "assistant"]
    (listed,) = (await chatter.get("/api/conversations")).json()["items"]
    assert (listed["title"], listed["message_count"]) == ("A parcel", 2)


async def test_an_answer_comes_as_it_grows_and_ends_with_what_is_stored(
    chatter: httpx2.AsyncClient,
) -> None:
    found = await begin(chatter)
    reply = await chatter.post(
        f"/api/conversations/{found}/messages", json={"content": "hi", "stream": True}
    )
    assert reply.headers["content-type"].startswith("text/event-stream")
    events = [_event(block) for block in reply.text.split("\n\n") if block.startswith("event")]
    assert {name for name, _ in events[:-1]} == {"text"}
    name, stored = events[-1]
    assert name == "message"
    assert stored["message"]["content"] == "".join(data["text"] for _, data in events[:-1])
    assert reply.headers["x-workbench-generation"] == stored["answer"]["generation_id"]


async def test_an_answer_tells_the_limits_and_warns_of_those_it_passes(
    chatter: httpx2.AsyncClient, services: Services, actor: Actor
) -> None:
    values = LimitValues(requests_per_minute=1, on_reach="warn")
    await services.limits.set(actor, "alias", ALIAS, values)
    found = await begin(chatter)
    warned = []
    for stream in (False, True):
        reply = await chatter.post(
            f"/api/conversations/{found}/messages", json={"content": "hi", "stream": stream}
        )
        assert reply.headers["x-ratelimit-limit-requests"] == "1"
        warned.append("x-workbench-limit-warning" in reply.headers)
    assert warned == [False, True]


def _event(block: str) -> tuple[str, Any]:
    lines = dict(line.split(": ", 1) for line in block.splitlines())
    return lines["event"], orjson.loads(lines["data"])


async def test_a_conversation_is_renamed_and_deleted(chatter: httpx2.AsyncClient) -> None:
    found = await begin(chatter)
    renamed = await chatter.patch(f"/api/conversations/{found}", json={"title": "Later"})
    assert renamed.json()["title"] == "Later"
    assert (await chatter.delete(f"/api/conversations/{found}")).status_code == 204
    assert (await chatter.get(f"/api/conversations/{found}")).status_code == 404
    assert (await chatter.get("/api/conversations")).json()["items"] == []


@pytest.mark.parametrize("title", ["", "   ", "x" * 501])
async def test_a_title_is_neither_empty_nor_longer_than_500_characters(
    chatter: httpx2.AsyncClient, title: str
) -> None:
    for reply in (
        await chatter.post("/api/conversations", json={"alias": ALIAS, "title": title}),
        await chatter.patch(f"/api/conversations/{await begin(chatter)}", json={"title": title}),
    ):
        assert reply.status_code == 422
        assert reply.json()["path"] == "body.title"


async def test_somebody_elses_conversation_is_as_one_that_is_not(
    chatter: httpx2.AsyncClient, client_of: ClientOf
) -> None:
    found = await begin(chatter)
    other = await client_of(Role.RESEARCHER)
    missing = "01990000-0000-7000-8000-000000000000"
    for path in ("", "/messages"):
        theirs = (await other.get(f"/api/conversations/{found}{path}")).json()
        nobodys = (await other.get(f"/api/conversations/{missing}{path}")).json()
        assert {**theirs, "request_id": ""} == {**nobodys, "request_id": ""}
        assert theirs["status"] == 404


async def test_a_service_chats_through_its_own_aliases_only(service_client: ServiceClient) -> None:
    bound = await service_client("shop", KeyScope(aliases=[ALIAS]))
    await begin(bound, subject="customer-7")
    elsewhere = await service_client("pay", KeyScope(aliases=["pay/bot@production"]))
    refused = await elsewhere.post("/api/conversations", json={"alias": ALIAS})
    assert refused.status_code == 404


async def test_a_fixed_text_names_no_record(
    chatter: httpx2.AsyncClient, services: Services
) -> None:
    await services.aliases.deploy(
        local_actor(),
        ALIAS,
        read_deployment_request({"kind": "disable", "message": "At noon.", "reason": "a test"}),
    )
    reply = await chatter.post(
        f"/api/conversations/{await begin(chatter)}/messages",
        json={"content": "hi", "stream": True},
    )
    assert "At noon." in reply.text
    assert "x-workbench-generation" not in reply.headers


async def test_pages_of_conversations_are_the_last_used_first(chatter: httpx2.AsyncClient) -> None:
    made = [await begin(chatter) for _ in range(5)]
    await chatter.post(f"/api/conversations/{made[0]}/messages", json={"content": "hi"})
    seen: list[str] = []
    query: dict[str, str | int] = {"limit": 2}
    while True:
        page = (await chatter.get("/api/conversations", params=query)).json()
        seen += [it["id"] for it in page["items"]]
        assert page["total_estimate"] == 5
        if page["next_cursor"] is None:
            break
        query = {"limit": 2, "cursor": page["next_cursor"]}
    assert seen == [made[0], *reversed(made[1:])]


@pytest.mark.parametrize(
    ("scope", "seen"),
    [
        ({"aliases": [ALIAS]}, True),
        ({"aliases": ["other@production"]}, False),
        ({"prefix": "payments/*"}, False),
        ({"permissions": ["prompt:read"]}, False),
    ],
)
async def test_a_scoped_key_has_the_conversations_of_its_aliases_only(
    client_of: ClientOf, scoped_client: ScopedClient, scope: dict[str, object], seen: bool
) -> None:
    ana = await client_of(Role.RESEARCHER, Role.AUDITOR, name="ana")
    begun = await ana.post("/api/conversations", json={"alias": ALIAS, "title": "mine"})
    url = f"/api/conversations/{begun.json()['id']}"
    scoped = await scoped_client("ana", **scope)
    listed = (await scoped.get("/api/conversations")).json()
    assert (len(listed["items"]), listed["total_estimate"]) == (seen, seen)
    for reply in (await scoped.get(url), await scoped.get(f"{url}/messages")):
        assert reply.status_code == (200 if seen else 404)
