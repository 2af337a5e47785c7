"""The routes of the model catalog."""

from __future__ import annotations

import httpx2
import pytest

from app.api.errors import NOT_FOUND_DETAIL
from app.bootstrap import Services
from app.core.permissions import Actor, Role
from app.schemas.models import ModelDeclaration
from tests.api.conftest import ClientOf

SMALL = "/api/models/simulated/small"


@pytest.fixture
def database_kind() -> str:
    """What the routes call is tested on both databases elsewhere."""
    return "sqlite"


@pytest.fixture
async def models(services: Services, actor: Actor) -> Services:
    """A catalog with two versions of one model and one of another."""
    for model, digest in (
        ("ollama/team/llama3.2:3b", "one"),
        ("ollama/team/llama3.2:3b", "two"),
        ("simulated/small", None),
    ):
        await services.models.declare(actor, ModelDeclaration(model=model, digest=digest))
    return services


async def test_every_version_is_listed(client: httpx2.AsyncClient, models: Services) -> None:
    listed = (await client.get("/api/models")).json()["items"]
    assert [(m["provider"], m["name"], m["number"]) for m in listed] == [
        ("ollama", "team/llama3.2:3b", 1),
        ("ollama", "team/llama3.2:3b", 2),
        ("simulated", "small", 1),
    ]


@pytest.mark.parametrize(
    ("query", "count"),
    [("provider=ollama", 2), ("provider=x", 0), ("status=active", 3), ("status=retired", 0)],
)
async def test_the_list_may_be_of_one_provider_or_status(
    client: httpx2.AsyncClient, models: Services, query: str, count: int
) -> None:
    page = (await client.get(f"/api/models?{query}")).json()
    assert len(page["items"]) == page["total_estimate"] == count


@pytest.mark.parametrize(
    ("path", "digest"),
    [
        ("ollama/team/llama3.2:3b", "two"),
        ("ollama/team/llama3.2:3b@1", "one"),
        ("ollama/team%2Fllama3.2%3A3b@1", "one"),
    ],
)
async def test_a_version_is_read_whole(
    client: httpx2.AsyncClient, models: Services, path: str, digest: str
) -> None:
    response = await client.get(f"/api/models/{path}")
    assert response.status_code == 200
    version = response.json()
    assert version["digest"] == digest
    assert version["facts"]["max_output_tokens"] == 131_072
    assert version["price"]["source"] == "local"
    assert version["price"]["input"] == "0"


async def test_an_unknown_model_is_not_found(client: httpx2.AsyncClient, models: Services) -> None:
    for path in ("simulated/smal", "simulated/small@2", "simulated/smal/prices"):
        response = await client.get(f"/api/models/{path}")
        assert response.status_code == 404
        assert response.json()["detail"] == NOT_FOUND_DETAIL


@pytest.mark.parametrize("path", ["azure/gpt-4.1", "ollama/x@0", "ollama/x@1e9", "ollama/a%20b"])
async def test_what_is_no_reference_is_invalid(
    client: httpx2.AsyncClient, models: Services, path: str
) -> None:
    response = await client.get(f"/api/models/{path}")
    assert response.status_code == 422
    assert response.json()["path"] == "model"


async def test_a_model_is_declared_and_then_changed(client: httpx2.AsyncClient) -> None:
    added = await client.post("/api/models", json={"model": "simulated/small"})
    assert added.status_code == 201
    assert added.headers["location"] == f"{SMALL}@1"
    again = await client.post("/api/models", json={"model": "simulated/small", "digest": "x"})
    assert (again.status_code, again.json()["number"]) == (201, 2)
    changed = await client.post(
        "/api/models", json={"model": "simulated/small", "context_window": 1000}
    )
    assert (changed.status_code, changed.json()["number"]) == (200, 2)


async def test_facts_are_changed_as_people_write_them(
    client: httpx2.AsyncClient, models: Services
) -> None:
    changes = {"parameters": ["temperature=unsupported"], "context_window": 4096}
    facts = (await client.patch(SMALL, json=changes)).json()["facts"]
    assert facts["context_window"] == 4096
    assert facts["parameters"]["temperature"]["unsupported"] is True
    wrong = await client.patch(SMALL, json={"parameters": ["temperature=hot"]})
    assert wrong.status_code == 422


async def test_a_price_of_one_s_own_overrides_the_other(
    client: httpx2.AsyncClient, models: Services
) -> None:
    price = {"from": "2020-01-01", "input": "1.5", "output": "2"}
    priced = await client.post(f"{SMALL}/prices", json=price)
    assert priced.status_code == 201
    assert priced.json()["price"]["input"] == "1.5"
    listed = (await client.get(f"{SMALL}/prices")).json()
    assert {row["source"] for row in listed} == {"local", "own"}
    other = await client.post(f"{SMALL}/prices", json={**price, "input": "3"})
    assert other.status_code == 409


async def test_a_version_is_deprecated_and_retired(
    client: httpx2.AsyncClient, models: Services
) -> None:
    later = {"sunset": "2999-01-01", "successor": "ollama/team/llama3.2:3b"}
    deprecated = (await client.post(f"{SMALL}/retirement", json=later)).json()
    assert deprecated["status"] == "deprecated"
    assert deprecated["successor"] == "ollama/team/llama3.2:3b"
    assert (await client.post(f"{SMALL}/retirement", json={})).json()["status"] == "retired"
    assert (await client.get(SMALL)).status_code == 404
    assert (await client.get(f"{SMALL}@1")).json()["status"] == "retired"


async def test_only_who_may_changes_the_catalog(client_of: ClientOf, models: Services) -> None:
    researcher = await client_of(Role.RESEARCHER)
    for method, path in (("POST", "/api/models"), ("PATCH", SMALL), ("POST", f"{SMALL}/prices")):
        refused = await researcher.request(method, path, json={})
        assert refused.status_code == 403, path
