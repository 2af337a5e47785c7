"""What the history of a prompt is: its versions in time, and which aliases served them when."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from app.bootstrap import Services
from app.core.permissions import Actor, Role
from app.schemas.aliases import read_deployment_request
from app.schemas.models import ModelDeclaration
from app.schemas.prompts import PromptContent
from tests.api.conftest import ClientOf, ScopedClient

NAME = "desk/triage"
ALIAS = "desk/bot@production"


@pytest.fixture(autouse=True)
async def variants(services: Services, actor: Actor) -> list[str]:
    """Three versions and a draft of a prompt; the hashes of the versions' variants."""
    await services.models.declare(actor, ModelDeclaration(model="simulated/small"))
    model, _ = await services.models.resolve(actor, "simulated/small", add_missing=False)
    made = []
    for number in (1, 2, 3, None):
        content = PromptContent.model_validate(
            {"messages": [{"role": "user", "content": f"Text {number}."}]}
        )
        found = await services.prompts.register(
            actor, NAME, content, number=number, message=f"Message {number}."
        )
        variant = await services.variants.ensure(actor, found.version, model, {})
        made.append(variant.short_hash)
    return made


async def move(services: Services, actor: Actor, alias: str, **request: Any) -> None:
    body = {"kind": "move", "reason": "a test", "allow_simulated": True, **request}
    await services.aliases.deploy(actor, alias, read_deployment_request(body))


async def listed(client: httpx2.AsyncClient, path: str, **query: Any) -> dict[str, Any]:
    reply = await client.get(f"/api/prompts/{NAME}/{path}", params=query)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


async def test_versions_come_newest_first_and_without_their_texts(
    client: httpx2.AsyncClient,
) -> None:
    page = await listed(client, "timeline", limit=2)
    assert [it["number"] for it in page["items"]] == [3, 2]
    assert page["total_estimate"] == 3
    assert page["items"][0]["message"] == "Message 3."
    assert "content" not in page["items"][0]
    rest = await listed(client, "timeline", limit=2, cursor=page["next_cursor"])
    assert [it["number"] for it in rest["items"]] == [1]
    assert rest["next_cursor"] is None


async def test_drafts_stand_apart(client: httpx2.AsyncClient) -> None:
    page = await listed(client, "timeline", drafts=True)
    assert [(it["number"], it["message"]) for it in page["items"]] == [(None, "Message None.")]


async def test_each_move_says_from_when_until_when_it_served(
    client: httpx2.AsyncClient, services: Services, actor: Actor, variants: list[str]
) -> None:
    await move(services, actor, ALIAS, variant=variants[0])
    await move(services, actor, ALIAS, variant=variants[1])
    await move(services, actor, "desk/bot@staging", variant=variants[2])
    page = await listed(client, "deployments")
    told = [(it["alias"], it["number"], it["targets"][0]["prompt"]) for it in page["items"]]
    assert told == [
        ("desk/bot@staging", 1, f"{NAME}@3"),
        (ALIAS, 2, f"{NAME}@2"),
        (ALIAS, 1, f"{NAME}@1"),
    ]
    ended = [it["ended_at"] for it in page["items"]]
    assert ended == [None, None, page["items"][1]["created_at"]]
    assert page["total_estimate"] == 3


async def test_what_another_prompt_serves_is_left_out(
    client: httpx2.AsyncClient, services: Services, actor: Actor, variants: list[str]
) -> None:
    content = PromptContent.model_validate({"messages": [{"role": "user", "content": "Other."}]})
    other = await services.prompts.publish(actor, "desk/other", content, message="")
    model, _ = await services.models.resolve(actor, "simulated/small", add_missing=False)
    theirs = (await services.variants.ensure(actor, other.version, model, {})).short_hash
    await move(services, actor, ALIAS, variant=theirs, fallbacks=[variants[0]])
    await move(services, actor, ALIAS, variant=theirs)
    [only] = (await listed(client, "deployments"))["items"]
    assert [(it["role"], it["prompt"]) for it in only["targets"]] == [("fallback", f"{NAME}@1")]
    assert only["ended_at"] is not None


async def test_a_disabled_alias_is_told_to_be_one(
    client: httpx2.AsyncClient, services: Services, actor: Actor, variants: list[str]
) -> None:
    await move(services, actor, ALIAS, variant=variants[0])
    off = read_deployment_request({"kind": "disable", "message": "Back soon.", "reason": "a test"})
    await services.aliases.deploy(actor, ALIAS, off)
    page = await listed(client, "deployments")
    assert [it["is_disabled"] for it in page["items"]] == [True, False]


async def test_moves_come_in_pages(
    client: httpx2.AsyncClient, services: Services, actor: Actor, variants: list[str]
) -> None:
    for place in (0, 1, 2):
        await move(services, actor, ALIAS, variant=variants[place])
    first = await listed(client, "deployments", limit=2)
    rest = await listed(client, "deployments", limit=2, cursor=first["next_cursor"])
    assert [it["number"] for it in (*first["items"], *rest["items"])] == [3, 2, 1]


async def test_aliases_that_one_may_not_see_are_left_out(
    services: Services,
    actor: Actor,
    variants: list[str],
    client_of: ClientOf,
    scoped_client: ScopedClient,
) -> None:
    await move(services, actor, ALIAS, variant=variants[0])
    await move(services, actor, "sales/bot@production", variant=variants[0])
    own = await client_of(Role.VIEWER, prefix="desk/")
    assert [it["alias"] for it in (await listed(own, "deployments"))["items"]] == [ALIAS]
    await client_of(Role.VIEWER, name="grace")
    bound = await scoped_client("grace", aliases=["sales/bot@production"])
    told = [it["alias"] for it in (await listed(bound, "deployments"))["items"]]
    assert told == ["sales/bot@production"]


@pytest.mark.parametrize("path", ["timeline", "deployments"])
async def test_a_prompt_of_others_has_no_history(client_of: ClientOf, path: str) -> None:
    other = await client_of(Role.VIEWER, prefix="payments/")
    for name in (NAME, "payments/nothing"):
        assert (await other.get(f"/api/prompts/{name}/{path}")).status_code == 404
