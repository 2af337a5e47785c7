"""What is listed under /v1/models, on both databases, by who asks."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from app.bootstrap import Services
from app.core.permissions import Permission, Role, local_actor
from app.schemas.aliases import read_deployment_request
from app.schemas.api_keys import KeyScope
from app.schemas.models import ModelDeclaration
from app.schemas.prompts import PromptContent

PROMPT = PromptContent.model_validate({"messages": [{"role": "user", "content": "Say hello."}]})


async def listed(client: Any) -> dict[str, Any]:
    reply = await client.get("/v1/models")
    assert reply.status_code == 200, reply.text
    assert reply.json()["object"] == "list"
    return {model["id"]: model for model in reply.json()["data"]}


@pytest.fixture
async def catalogue(services: Services) -> None:
    """Two aliases of two teams, moved twice, and models in every state of their lives."""
    actor = local_actor()
    states: list[dict[str, Any]] = [
        {"model": "openai/active", "status": "active"},
        {"model": "openai/draft", "status": "draft"},
        {"model": "openai/ending", "status": "deprecated", "sunset": "2099-01-31"},
        {"model": "openai/over", "status": "deprecated", "sunset": "2020-01-31"},
        {"model": "openai/retired", "status": "retired"},
    ]
    declared = [ModelDeclaration.model_validate(state) for state in states]
    await services.models.declare_all(actor, declared)
    prompt = await services.prompts.register(actor, "hello", PROMPT, number=1)
    for alias in ("payments/bot@production", "support/bot@production"):
        for name in ("openai/active", "openai/ending"):
            model, _ = await services.models.resolve(actor, name, add_missing=False)
            variant = await services.variants.ensure(actor, prompt.version, model, {})
            move = {"kind": "move", "reason": "a test", "variant": str(variant.id)}
            await services.aliases.deploy(actor, alias, read_deployment_request(move))


@pytest.mark.usefixtures("catalogue")
async def test_whoever_may_call_models_sees_those_that_are_served(client: Any) -> None:
    models = await listed(client)
    assert list(models) == [
        "payments/bot@production",
        "support/bot@production",
        "openai/active@1",
        "openai/ending@1",
    ]
    assert models["openai/active@1"]["shutdown_date"] is None
    assert models["openai/ending@1"]["shutdown_date"] == "2099-01-31"
    assert models["openai/ending@1"]["owned_by"] == "openai"


@pytest.mark.usefixtures("catalogue")
async def test_an_alias_ends_with_the_model_that_it_means_now(client: Any) -> None:
    models = await listed(client)
    assert models["support/bot@production"]["shutdown_date"] == "2099-01-31"


@pytest.mark.usefixtures("catalogue")
async def test_a_team_sees_its_own_aliases(client_of: Any) -> None:
    operator = await client_of(Role.OPERATOR, prefix="support/")
    assert list(await listed(operator)) == ["support/bot@production"]
    assert (await operator.get("/v1/models/payments/bot@production")).status_code == 404


@pytest.mark.usefixtures("catalogue")
async def test_a_key_that_is_bound_to_aliases_sees_these_alone(service_client: Any) -> None:
    both = frozenset({Permission.CHAT_WRITE, Permission.MODEL_DIRECT})
    scope = KeyScope(permissions=both, aliases=frozenset({"payments/bot@production"}))
    client = await service_client("bot", scope)
    assert list(await listed(client)) == ["payments/bot@production"]


@pytest.mark.usefixtures("catalogue")
async def test_whoever_may_not_chat_sees_nothing(client_of: Any) -> None:
    assert await listed(await client_of(Role.VIEWER)) == {}


@pytest.mark.usefixtures("catalogue")
async def test_one_model_is_what_the_list_says_of_it(client: Any) -> None:
    for name, model in (await listed(client)).items():
        assert (await client.get(f"/v1/models/{name}")).json() == model


async def test_a_model_that_is_none_is_told_as_openai_does(client: Any) -> None:
    reply = await client.get("/v1/models/nothing")
    assert reply.status_code == 404
    assert reply.headers["x-request-id"]
    assert reply.json() == {
        "error": {
            "message": "There is nothing here by this name that you may see.",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }
    }


async def test_nobody_sees_anything_without_a_key(anonymous: Any) -> None:
    reply = await anonymous.get("/v1/models")
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"] == "Bearer"
    assert reply.json()["error"]["code"] == "invalid_api_key"


async def test_a_database_that_fails_is_503_and_never_401_or_404(
    client: Any, services: Services
) -> None:
    assert await listed(client) is not None  # the key is known for some seconds now
    async with services.database.write_session() as session:
        await session.execute(text("ALTER TABLE alias RENAME TO gone"))
        await session.commit()
    ask = {"model": "bot@production", "messages": [{"role": "user", "content": "Hello"}]}
    replies = [
        await client.get("/v1/models"),
        await client.get("/v1/models/bot@production"),
        await client.post("/v1/chat/completions", json=ask),
        await client.post("/v1/chat/completions", json={**ask, "stream": True}),
    ]
    for reply in replies:
        assert reply.status_code == 503
        assert reply.json()["error"]["code"] == "unavailable"
        assert "alias" not in reply.json()["error"]["message"]
