"""The playground over HTTP: what it shows, what it records, whose limits hold, what it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from app.bootstrap import Services
from app.core.permissions import Permission, Role, local_actor
from app.core.settings import Settings, load_settings
from app.models import ChatCall, Generation
from app.repositories.content import ContentRepository
from app.schemas.limits import LimitValues
from app.schemas.models import ModelDeclaration, PriceDeclaration
from app.schemas.prompts import PromptContent
from tests.api.conftest import KEY_SECRET, ClientOf, ScopedClient
from tests.fake_provider import FakeProvider

URL = "/api/playground"
MODEL = "openai/fake-model"
CONTENT: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "Route the ticket."},
        {"role": "user", "content": "{{ ticket }}"},
    ],
    "variables": {"ticket": {"type": "string"}},
    "parameters": {"temperature": 0, "max_tokens": 50},
}
TRIAL: dict[str, Any] = {
    "prompt": "desk/triage",
    "content": CONTENT,
    "variables": {"ticket": "My card was charged twice."},
    "model": MODEL,
}


@pytest.fixture
def database_kind() -> str:
    """What the playground calls is tested on both databases elsewhere."""
    return "sqlite"


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
async def model(services: Services) -> None:
    """A model with a price: 2 dollars a million tokens in, 8 out."""
    await services.models.resolve(local_actor(), MODEL, add_missing=True)
    price = PriceDeclaration.model_validate({"from": "2026-01-01", "input": 2, "output": 8})
    await services.models.add_price(local_actor(), MODEL, price)


@pytest.fixture
async def author(client_of: ClientOf) -> httpx2.AsyncClient:
    return await client_of(Role.RESEARCHER, name="ada")


async def drafts(client: httpx2.AsyncClient) -> list[Any]:
    reply = await client.get("/api/prompts/desk/triage/drafts")
    return [] if reply.status_code == 404 else reply.json()["items"]


async def rows(services: Services) -> list[tuple[Generation, ChatCall]]:
    async with services.database.read_session() as session:
        statement = select(Generation, ChatCall).join(
            ChatCall, ChatCall.generation_id == Generation.id
        )
        return [(row[0], row[1]) for row in await session.execute(statement)]


async def test_a_preview_renders_what_is_not_stored_and_stores_nothing(
    author: httpx2.AsyncClient, services: Services
) -> None:
    shown = await author.post(f"{URL}/preview", json=TRIAL)
    assert shown.status_code == 200, shown.text
    assert [it["content"] for it in shown.json()["messages"]] == [
        "Route the ticket.",
        "My card was charged twice.",
    ]
    assert shown.json()["prompt"] is None
    assert await rows(services) == []
    assert await drafts(author) == []


async def test_a_preview_needs_no_model_and_names_the_version_that_is_stored(
    author: httpx2.AsyncClient,
) -> None:
    stored = await author.post("/api/prompts/desk/triage/versions", json={"content": CONTENT})
    assert stored.status_code == 201
    shown = (await author.post(f"{URL}/preview", json={**TRIAL, "model": None})).json()
    assert shown["prompt"] == "desk/triage@1"
    assert shown["most_cost"] is None


async def test_a_preview_bounds_what_the_answer_then_costs(author: httpx2.AsyncClient) -> None:
    before = (await author.post(f"{URL}/preview", json=TRIAL)).json()
    answer = (await author.post(URL, json=TRIAL)).json()
    assert before["most_output_tokens"] == 50
    assert answer["most_cost"] == before["most_cost"]
    assert 0 < Decimal(answer["cost"]) <= Decimal(before["most_cost"])


async def test_an_answer_is_on_record_with_its_draft_and_of_no_alias(
    author: httpx2.AsyncClient, services: Services
) -> None:
    reply = await author.post(URL, json=TRIAL)
    assert reply.status_code == 201, reply.text
    answer = reply.json()
    assert reply.headers["location"] == f"/api/generations/{answer['generation_id']}"
    [draft] = await drafts(author)
    [(generation, call)] = await rows(services)
    assert answer["prompt"] == f"desk/triage@draft-{draft['content_hash'][7:15]}"
    assert (generation.purpose, generation.origin) == ("chat", "executed")
    assert (generation.status, call.ending) == ("completed", "completed")
    assert str(generation.prompt_version_id) == draft["id"]
    assert str(generation.variant_id) == answer["variant_id"] == call.asked["variant"]
    assert (call.actor, call.alias_id, call.deployment_id) == ("user:ada", None, None)
    assert call.is_exact
    async with services.database.read_session() as session:
        assert generation.request_content_id is not None
        [request] = (
            await ContentRepository(session).bodies([generation.request_content_id])
        ).values()
    assert request["messages"][1]["content"] == TRIAL["variables"]["ticket"]
    variant = (await author.get(f"/api/variants/{answer['variant_id']}")).json()
    assert (variant["created_by"], variant["prompt"]) == ("user:ada", answer["prompt"])


async def test_the_same_content_is_the_same_draft(author: httpx2.AsyncClient) -> None:
    first, second = [(await author.post(URL, json=TRIAL)).json() for _ in range(2)]
    assert first["generation_id"] != second["generation_id"]
    assert first["variant_id"] == second["variant_id"]
    assert len(await drafts(author)) == 1


async def test_a_version_is_tried_as_it_is_stored(author: httpx2.AsyncClient) -> None:
    await author.post("/api/prompts/desk/triage/versions", json={"content": CONTENT})
    by_name = {**TRIAL, "prompt": "desk/triage@1", "content": None}
    answers = [(await author.post(URL, json=body)).json() for body in (by_name, TRIAL)]
    assert {answer["prompt"] for answer in answers} == {"desk/triage@1"}
    assert await drafts(author) == []


async def test_parameters_of_the_request_make_a_variant_of_their_own(
    author: httpx2.AsyncClient,
) -> None:
    warm = {**TRIAL, "parameters": {"temperature": 1}}
    answers = [(await author.post(URL, json=body)).json() for body in (TRIAL, warm)]
    assert answers[0]["variant_id"] != answers[1]["variant_id"]
    variant = (await author.get(f"/api/variants/{answers[1]['variant_id']}")).json()
    assert variant["asked"]["temperature"] == 1


async def test_a_conversation_stands_at_the_placeholder(author: httpx2.AsyncClient) -> None:
    content = {"messages": [{"role": "system", "content": "Help."}, {"placeholder": "history"}]}
    history = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": "Where is it?"},
    ]
    body = {"prompt": "desk/chat", "content": content, "history": history, "model": MODEL}
    shown = (await author.post(f"{URL}/preview", json=body)).json()
    assert [it["content"] for it in shown["messages"]] == ["Help.", "Hello", "Hi", "Where is it?"]
    assert (await author.post(URL, json=body)).status_code == 201


async def test_a_key_makes_it_happen_once(author: httpx2.AsyncClient, services: Services) -> None:
    headers = {"Idempotency-Key": "once"}
    first, again = [await author.post(URL, json=TRIAL, headers=headers) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == {**again.json(), "replayed": False}
    assert again.json()["replayed"]
    assert len(await rows(services)) == 1
    other = {**TRIAL, "variables": {"ticket": "Another one."}}
    assert (await author.post(URL, json=other, headers=headers)).status_code == 422


async def test_the_limits_of_the_person_hold(
    author: httpx2.AsyncClient, services: Services
) -> None:
    values = LimitValues.model_validate({"dollars_per_day": "0.00001"})
    await services.limits.set(local_actor(), "user", "ada", values)
    refused = await author.post(URL, json=TRIAL)
    assert refused.status_code == 429
    assert "budget" in refused.json()["type"]
    assert await rows(services) == []


async def test_a_provider_that_fails_is_told_and_on_record(
    author: httpx2.AsyncClient, services: Services
) -> None:
    await services.models.resolve(local_actor(), "openai/fault-500", add_missing=True)
    failed = await author.post(URL, json={**TRIAL, "model": "openai/fault-500"})
    assert failed.status_code == 502, failed.text
    assert failed.json()["detail"] == "The provider failed."
    [(generation, call)] = await rows(services)
    assert (generation.status, call.ending) == ("failed", "failed")


@pytest.mark.parametrize(
    ("changed", "status", "path"),
    [
        ({"model": "openai/nothing"}, 404, None),
        ({"model": "x y"}, 422, "model"),
        ({"variables": {}}, 422, "variables.ticket"),
        ({"variables": {"ticket": 3}}, 422, "variables.ticket"),
        ({"parameters": {"temperature": 9}}, 422, "parameters.temperature"),
        ({"content": {**CONTENT, "parameters": {"top_p": 9}}}, 422, "parameters.top_p"),
        ({"content": {**CONTENT, "variables": {}}}, 422, "body.content"),
        ({"prompt": "desk/triage@1"}, 422, "prompt"),
        ({"prompt": "desk/triage@1", "content": None}, 404, None),
        ({"prompt": "passthrough"}, 409, None),
    ],
)
async def test_what_cannot_be_tried_is_refused_and_leaves_nothing(
    author: httpx2.AsyncClient,
    services: Services,
    changed: dict[str, Any],
    status: int,
    path: str | None,
) -> None:
    refused = await author.post(URL, json={**TRIAL, **changed})
    assert refused.status_code == status, refused.text
    assert refused.json().get("path") == path
    assert await rows(services) == []
    assert await drafts(author) == []


async def test_a_retired_model_is_not_called(
    author: httpx2.AsyncClient, services: Services
) -> None:
    await services.models.retire(local_actor(), MODEL)
    assert (await author.post(URL, json={**TRIAL, "model": f"{MODEL}@1"})).status_code == 409


async def test_only_authors_who_may_call_models_try(
    client_of: ClientOf, scoped_client: ScopedClient
) -> None:
    viewer = await client_of(Role.VIEWER)
    elsewhere = await client_of(Role.RESEARCHER, prefix="payments/")
    await client_of(Role.RESEARCHER, name="grace")
    writer = await scoped_client("grace", permissions=[Permission.PROMPT_WRITE])
    assert (await viewer.post(f"{URL}/preview", json=TRIAL)).status_code == 403
    assert (await elsewhere.post(f"{URL}/preview", json=TRIAL)).status_code == 404
    assert (await writer.post(f"{URL}/preview", json=TRIAL)).status_code == 200
    assert (await writer.post(URL, json=TRIAL)).status_code == 403


async def test_a_scoped_key_with_both_permissions_tries(
    client_of: ClientOf, scoped_client: ScopedClient
) -> None:
    await client_of(Role.RESEARCHER, name="grace")
    both = [Permission.PROMPT_WRITE, Permission.MODEL_DIRECT]
    client = await scoped_client("grace", permissions=both)
    assert (await client.post(URL, json=TRIAL)).status_code == 201


async def test_a_key_of_some_aliases_tries_nothing_and_leaves_nothing(
    author: httpx2.AsyncClient, scoped_client: ScopedClient
) -> None:
    bound = await scoped_client("ada", aliases=["desk/bot@production"])
    assert (await bound.post(URL, json=TRIAL)).status_code == 404
    assert await drafts(author) == []


async def test_a_draft_of_a_model_is_not_there_as_for_direct_calls(
    author: httpx2.AsyncClient, services: Services
) -> None:
    declared = [
        ModelDeclaration(model=name, status="draft", provider_model="fake-model-2")
        for name in ("openai/soon", MODEL)
    ]
    await services.models.declare_all(local_actor(), declared)
    for name in ("openai/soon", f"{MODEL}@2"):
        for url in (URL, f"{URL}/preview"):
            assert (await author.post(url, json={**TRIAL, "model": name})).status_code == 404
    assert await drafts(author) == []
    assert (await author.post(URL, json=TRIAL)).json()["model"] == f"{MODEL}@1"


async def test_what_is_tried_is_no_alias_traffic(
    client: httpx2.AsyncClient, author: httpx2.AsyncClient, services: Services
) -> None:
    content = PromptContent.model_validate(CONTENT)
    version = await services.prompts.publish(local_actor(), "desk/triage", content, message="")
    found, _ = await services.models.resolve(local_actor(), MODEL, add_missing=False)
    variant = await services.variants.ensure(local_actor(), version.version, found, {})
    await services.aliases.move(local_actor(), "desk/bot@production", variant.id, reason="a test")
    assert (await author.post(URL, json=TRIAL)).json()["variant_id"] == str(variant.id)
    listed = await client.get("/api/generations", params={"alias": "desk/bot@production"})
    assert listed.json()["items"] == []
