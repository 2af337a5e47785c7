"""The read routes of the registry."""

from __future__ import annotations

import httpx2
import pytest
from fastapi import FastAPI

from app.core.permissions import Actor
from app.schemas.prompts import PromptContent
from app.services.prompts import PromptService


def content(text: str) -> PromptContent:
    return PromptContent.model_validate({"messages": [{"role": "user", "content": text}]})


@pytest.fixture
def database_kind() -> str:
    """What the routes call is tested on both databases elsewhere."""
    return "sqlite"


@pytest.fixture
async def prompts(application: FastAPI, actor: Actor) -> PromptService:
    """A registry with two versions of `desk/triage` and one of `triage`."""
    service: PromptService = application.state.services.prompts
    for name, number, text in (
        ("desk/triage", 1, "a"),
        ("desk/triage", 2, "b"),
        ("triage", 1, "c"),
    ):
        await service.register(actor, name, content(text), number=number, description="Route.")
    return service


async def test_the_list_has_every_prompt_with_its_newest_version(
    client: httpx2.AsyncClient, prompts: PromptService
) -> None:
    listed = {prompt["name"]: prompt for prompt in (await client.get("/api/prompts")).json()}
    assert listed["desk/triage"]["latest"] == 2
    assert listed["desk/triage"]["versions"] == 2
    assert listed["triage"]["description"] == "Route."


@pytest.mark.parametrize("name", ["triage", "desk/triage", "desk%2Ftriage"])
async def test_a_version_is_read_whole(
    client: httpx2.AsyncClient, prompts: PromptService, name: str
) -> None:
    response = await client.get(f"/api/prompts/{name}/versions/1")
    assert response.status_code == 200
    version = response.json()
    assert version["name"] == name.replace("%2F", "/")
    assert version["number"] == 1
    assert version["content"]["messages"][0]["role"] == "user"
    assert version["content_hash"].startswith("sha256:")


async def test_the_versions_come_oldest_first(
    client: httpx2.AsyncClient, prompts: PromptService
) -> None:
    response = await client.get("/api/prompts/desk/triage/versions")
    assert [version["number"] for version in response.json()] == [1, 2]


async def test_an_unknown_version_says_which_there_are(
    client: httpx2.AsyncClient, prompts: PromptService
) -> None:
    response = await client.get("/api/prompts/desk/triage/versions/7")
    assert response.status_code == 404
    assert response.json()["detail"] == (
        "There is no desk/triage@7; desk/triage has the versions 1, 2."
    )


@pytest.mark.parametrize("path", ["versions", "versions/1"])
async def test_an_unknown_prompt_is_not_found_and_a_close_name_is_told(
    client: httpx2.AsyncClient, prompts: PromptService, path: str
) -> None:
    response = await client.get(f"/api/prompts/triag/{path}")
    assert response.status_code == 404
    assert "Did you mean triage?" in response.json()["detail"]


async def test_a_prompt_with_drafts_only_has_no_versions(
    client: httpx2.AsyncClient, prompts: PromptService, actor: Actor
) -> None:
    await prompts.register(actor, "sketch", content("x"), number=None)
    assert (await client.get("/api/prompts/sketch/versions")).json() == []
    assert "sketch" not in (await client.get("/api/prompts")).text


@pytest.mark.parametrize("number", ["0", "-1", "99999999999999999999", "x"])
async def test_what_is_no_version_number_is_invalid(
    client: httpx2.AsyncClient, prompts: PromptService, number: str
) -> None:
    response = await client.get(f"/api/prompts/triage/versions/{number}")
    assert response.status_code == 422
    assert response.json()["path"] == "path.number"
