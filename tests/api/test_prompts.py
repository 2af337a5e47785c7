"""The routes of the prompt registry."""

from __future__ import annotations

import httpx2
import pytest

from app.api.errors import NOT_FOUND_DETAIL
from app.bootstrap import Services
from app.core.permissions import Actor, Role
from app.schemas.prompts import PromptContent
from tests.api.conftest import ClientOf


def content(text: str) -> PromptContent:
    return PromptContent.model_validate({"messages": [{"role": "user", "content": text}]})


def body(text: str, **rest: object) -> dict[str, object]:
    return {"content": {"messages": [{"role": "user", "content": text}]}, **rest}


@pytest.fixture
def database_kind() -> str:
    """What the routes call is tested on both databases elsewhere."""
    return "sqlite"


@pytest.fixture
async def prompts(services: Services, actor: Actor) -> Services:
    """A registry with two versions of `desk/triage` and one of `triage`."""
    for name, number, text in (
        ("desk/triage", 1, "a"),
        ("desk/triage", 2, "b"),
        ("triage", 1, "c"),
    ):
        await services.prompts.register(
            actor, name, content(text), number=number, description="Route 100%."
        )
    return services


async def test_the_list_has_every_prompt_with_its_newest_version(
    client: httpx2.AsyncClient, prompts: Services
) -> None:
    page = (await client.get("/api/prompts")).json()
    listed = {prompt["name"]: prompt for prompt in page["items"]}
    assert listed["desk/triage"]["latest"] == 2
    assert listed["desk/triage"]["versions"] == 2
    assert listed["triage"]["description"] == "Route 100%."


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("DESK", ["desk/triage"]),
        ("route 100%", ["desk/triage", "triage"]),
        ("route_100", []),  # no character stands for others
        ("%", ["desk/triage", "triage"]),
    ],
)
async def test_a_search_finds_a_part_of_name_or_description(
    client: httpx2.AsyncClient, prompts: Services, search: str, names: list[str]
) -> None:
    page = (await client.get("/api/prompts", params={"search": search})).json()
    assert [prompt["name"] for prompt in page["items"]] == names
    assert page["total_estimate"] == len(names)


@pytest.mark.parametrize("name", ["triage", "desk/triage", "desk%2Ftriage"])
async def test_a_version_is_read_whole(
    client: httpx2.AsyncClient, prompts: Services, name: str
) -> None:
    response = await client.get(f"/api/prompts/{name}/versions/1")
    assert response.status_code == 200
    version = response.json()
    assert version["name"] == name.replace("%2F", "/")
    assert version["number"] == 1
    assert version["content"]["messages"][0]["role"] == "user"
    by_hash = version["content_hash"].removeprefix("sha256:")[:10]
    assert (await client.get(f"/api/prompts/{name}/versions/{by_hash}")).json() == version


@pytest.mark.parametrize(
    "path", ["desk/triage/versions/7", "triag/versions", "triag/versions/1", "triag/drafts"]
)
async def test_a_404_tells_nothing_of_what_there_is(
    client: httpx2.AsyncClient, prompts: Services, path: str
) -> None:
    response = await client.get(f"/api/prompts/{path}")
    assert response.status_code == 404
    assert response.json()["detail"] == NOT_FOUND_DETAIL


@pytest.mark.parametrize("version", ["0", "-1", "x", "draft-1"])
async def test_what_is_no_version_is_invalid(
    client: httpx2.AsyncClient, prompts: Services, version: str
) -> None:
    response = await client.get(f"/api/prompts/triage/versions/{version}")
    assert response.status_code == 422
    assert response.json()["path"] == "prompt"


async def test_content_becomes_the_next_version(
    client: httpx2.AsyncClient, prompts: Services
) -> None:
    made = await client.post("/api/prompts/triage/versions", json=body("d", message="New."))
    assert made.status_code == 201
    assert made.headers["location"] == "/api/prompts/triage/versions/2"
    version = made.json()
    assert (version["number"], version["origin"], version["author"]) == (
        2,
        "api",
        "user:everything",
    )
    assert (await client.get(made.headers["location"])).json() == version


async def test_the_same_content_again_is_no_change(
    client: httpx2.AsyncClient, prompts: Services
) -> None:
    again = await client.post("/api/prompts/triage/versions", json=body("c"))
    assert again.status_code == 200
    assert again.json()["number"] == 1
    assert "location" not in again.headers


async def test_a_taken_number_is_a_conflict(client: httpx2.AsyncClient, prompts: Services) -> None:
    taken = await client.post("/api/prompts/triage/versions", json=body("d", number=1))
    assert taken.status_code == 409
    assert taken.json()["type"] == "urn:workbench:problem:number_taken"


async def test_a_draft_is_stored_listed_and_published(
    client: httpx2.AsyncClient, prompts: Services
) -> None:
    draft = await client.post("/api/prompts/triage/versions", json=body("d", draft=True))
    assert draft.status_code == 201
    assert draft.json()["number"] is None
    where = draft.headers["location"]
    assert where.startswith("/api/prompts/triage/versions/draft-")
    listed = (await client.get("/api/prompts/triage/drafts")).json()["items"]
    assert [item["id"] for item in listed] == [draft.json()["id"]]
    published = await client.post(f"{where}/publish", json={"message": "Good."})
    assert published.status_code == 201
    assert (published.json()["id"], published.json()["number"]) == (draft.json()["id"], 2)
    assert (await client.get("/api/prompts/triage/drafts")).json()["items"] == []


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        (body("{{ x }}"), "body.content"),
        (body("a", number=0), "body.number"),
        (body("a", number=1, draft=True), "body"),
        (body("a", unknown=1), "body.unknown"),
        ({"content": {"messages": []}}, "body.content.messages"),
        (
            {"content": {**body("a")["content"], "parameters": {"temperature": 9}}},  # type: ignore[dict-item] # as above
            "parameters.temperature",
        ),
    ],
)
async def test_wrong_content_is_named_by_its_field(
    client: httpx2.AsyncClient, wrong: dict[str, object], path: str
) -> None:
    refused = await client.post("/api/prompts/triage/versions", json=wrong)
    assert refused.status_code == 422
    assert refused.json()["path"] == path


async def test_a_built_in_name_is_refused(client: httpx2.AsyncClient) -> None:
    refused = await client.post("/api/prompts/passthrough/versions", json=body("a"))
    assert refused.status_code == 409


async def test_writing_ends_at_the_prefix(client_of: ClientOf, prompts: Services) -> None:
    limited = await client_of(Role.RESEARCHER, prefix="desk/")
    assert (await limited.post("/api/prompts/triage/versions", json=body("d"))).status_code == 404
    made = await limited.post("/api/prompts/desk/triage/versions", json=body("d"))
    assert made.status_code == 201


async def test_a_diff_says_what_changed(client: httpx2.AsyncClient, prompts: Services) -> None:
    got = await client.get(
        "/api/prompts/desk/triage/versions/2/diff", params={"before": "desk/triage@1"}
    )
    assert got.json() == {
        "before": "desk/triage@1",
        "after": "desk/triage@2",
        "lines": [
            "--- desk/triage@1",
            "+++ desk/triage@2",
            "@@ -1,2 +1,2 @@",
            " [user]",
            "-a",
            "+b",
        ],
    }


async def test_texts_too_long_to_compare_are_refused(
    client: httpx2.AsyncClient, prompts: Services
) -> None:
    long = body("\n" * 2_000)  # and a line: more than half a second of a processor
    assert (await client.post("/api/prompts/triage/versions", json=long)).status_code == 201
    got = await client.get("/api/prompts/triage/versions/2/diff", params={"before": "triage@1"})
    assert got.status_code == 422


async def test_a_version_is_rendered_as_a_model_would_get_it(
    client: httpx2.AsyncClient,
) -> None:
    new = body("Sort {{ ticket }}.")
    new["content"] |= {"variables": {"ticket": {"type": "string"}}}  # type: ignore[operator] # a dict
    await client.post("/api/prompts/sort/versions", json=new)
    path = "/api/prompts/sort/versions/1/render"
    rendered = await client.post(path, json={"ticket": "{{ x }}"})
    assert rendered.json() == [{"role": "user", "content": "Sort {{ x }}."}]
    missing = await client.post(path, json={})
    assert missing.status_code == 422
    assert missing.json()["path"] == "variables.ticket"
