"""The read routes of the model catalog."""

from __future__ import annotations

import httpx2
import pytest
from fastapi import FastAPI

from app.core.permissions import Actor
from app.schemas.models import ModelDeclaration
from app.services.models import ModelService


@pytest.fixture
def database_kind() -> str:
    """What the routes call is tested on both databases elsewhere."""
    return "sqlite"


@pytest.fixture
async def models(application: FastAPI, actor: Actor) -> ModelService:
    """A catalog with two versions of one model and one of another."""
    service: ModelService = application.state.services.models
    for model, digest in (
        ("ollama/team/llama3.2:3b", "one"),
        ("ollama/team/llama3.2:3b", "two"),
        ("simulated/small", None),
    ):
        await service.declare(actor, ModelDeclaration(model=model, digest=digest))
    return service


async def test_every_version_is_listed(client: httpx2.AsyncClient, models: ModelService) -> None:
    listed = (await client.get("/api/models")).json()
    assert [(m["provider"], m["name"], m["number"]) for m in listed] == [
        ("ollama", "team/llama3.2:3b", 1),
        ("ollama", "team/llama3.2:3b", 2),
        ("simulated", "small", 1),
    ]


@pytest.mark.parametrize(
    ("path", "digest"),
    [
        ("ollama/team/llama3.2:3b", "two"),
        ("ollama/team/llama3.2:3b@1", "one"),
        ("ollama/team%2Fllama3.2%3A3b@1", "one"),
    ],
)
async def test_a_version_is_read_whole(
    client: httpx2.AsyncClient, models: ModelService, path: str, digest: str
) -> None:
    response = await client.get(f"/api/models/{path}")
    assert response.status_code == 200
    version = response.json()
    assert version["digest"] == digest
    assert version["facts"]["max_output_tokens"] == 131_072
    assert version["price"]["source"] == "local"
    assert version["price"]["input"] == "0"


async def test_an_unknown_model_is_not_found_and_a_close_name_is_told(
    client: httpx2.AsyncClient, models: ModelService
) -> None:
    response = await client.get("/api/models/simulated/smal")
    assert response.status_code == 404
    assert "Did you mean simulated/small?" in response.json()["detail"]


@pytest.mark.parametrize("path", ["azure/gpt-4.1", "ollama/x@0", "ollama/x@1e9", "ollama/a%20b"])
async def test_what_is_no_reference_is_invalid(
    client: httpx2.AsyncClient, models: ModelService, path: str
) -> None:
    response = await client.get(f"/api/models/{path}")
    assert response.status_code == 422
    assert response.json()["path"] == "model"
