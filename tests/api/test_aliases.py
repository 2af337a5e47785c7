"""The routes of aliases: moving them, what they meant, and what services fetch of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
import pytest

from app.bootstrap import Services
from app.core.permissions import Actor, Permission, Role
from app.schemas.api_keys import KeyScope
from app.schemas.prompts import PromptContent
from app.schemas.variants import VariantView
from tests.api.conftest import ClientOf, ScopedClient, ServiceClient

NAME = "support-bot@production"
DEPLOYMENTS = f"/api/aliases/{NAME}/deployments"


@pytest.fixture
def database_kind() -> str:
    """What the routes call is tested on both databases elsewhere."""
    return "sqlite"


async def make_variant(
    services: Services, actor: Actor, number: int, name: str = "support-bot"
) -> VariantView:
    content = PromptContent.model_validate(
        {
            "messages": [
                {"role": "system", "content": f"You are version {number} of {{{{ shop }}}}."},
                {"placeholder": "history"},
            ],
            "variables": {"shop": {"type": "string"}},
        }
    )
    prompt = await services.prompts.register(actor, name, content, number=number)
    model, _ = await services.models.resolve(actor, "openai/some-model", add_missing=True)
    return await services.variants.ensure(actor, prompt.version, model, {"temperature": 0})


@pytest.fixture
async def variants(services: Services, actor: Actor) -> tuple[VariantView, VariantView]:
    return (await make_variant(services, actor, 1), await make_variant(services, actor, 2))


def move(variant: VariantView, **values: object) -> dict[str, Any]:
    return {"kind": "move", "variant": variant.short_hash, "reason": "because", **values}


@pytest.fixture
async def deployed(
    client: httpx2.AsyncClient, variants: tuple[VariantView, VariantView]
) -> VariantView:
    """The variant that the alias means."""
    response = await client.post(DEPLOYMENTS, json=move(variants[0]))
    assert response.status_code == 201
    return variants[0]


async def test_an_alias_is_moved_read_and_listed(
    client: httpx2.AsyncClient, variants: tuple[VariantView, VariantView]
) -> None:
    first, second = variants
    body = move(first, canaries=[{"variant": second.short_hash, "weight": 0.01}])
    moved = await client.post(DEPLOYMENTS, json=body)
    assert moved.status_code == 201
    assert moved.headers["location"] == f"{DEPLOYMENTS}/1"
    assert [t["weight"] for t in moved.json()["current"]["targets"]] == [0.99, 0.01]
    assert (await client.get(moved.headers["location"])).json() == moved.json()["current"]
    assert (await client.get(f"/api/aliases/{NAME}")).json() == moved.json()
    assert (await client.get("/api/aliases")).json() == {
        "items": [moved.json()],
        "next_cursor": None,
        "total_estimate": 1,
    }


async def test_a_move_that_is_sent_twice_happens_once(
    client: httpx2.AsyncClient, variants: tuple[VariantView, VariantView]
) -> None:
    headers = {"Idempotency-Key": "move-1"}
    replies = [
        await client.post(DEPLOYMENTS, json=move(variants[0]), headers=headers) for _ in range(2)
    ]
    assert [reply.status_code for reply in replies] == [201, 201]
    assert replies[0].json() == replies[1].json()
    other = await client.post(DEPLOYMENTS, json=move(variants[1]), headers=headers)
    assert other.status_code == 422
    assert len((await client.get(DEPLOYMENTS)).json()["items"]) == 1


async def test_a_team_s_alias_has_a_slash_in_its_name(
    client: httpx2.AsyncClient, variants: tuple[VariantView, VariantView]
) -> None:
    path = "/api/aliases/desk/support-bot@production"
    assert (await client.post(f"{path}/deployments", json=move(variants[0]))).status_code == 201
    assert (await client.get(path)).json()["name"] == "desk/support-bot@production"


async def test_settings_a_fixed_text_and_the_way_back_are_moves_too(
    client: httpx2.AsyncClient, deployed: VariantView
) -> None:
    bodies: list[dict[str, Any]] = [
        {"kind": "settings", "settings": {"strict": True}, "reason": "new rule"},
        {"kind": "disable", "message": "Back soon.", "reason": "incident"},
    ]
    for body in bodies:
        assert (await client.post(DEPLOYMENTS, json=body)).status_code == 201
    plan = (await client.get(f"/api/aliases/{NAME}/rollback")).json()
    assert (plan["now"], plan["to"]["number"], plan["problem"]) == (3, 2, None)
    back = await client.post(DEPLOYMENTS, json={"kind": "rollback", "reason": "mended"})
    assert back.json()["current"]["message"] is None
    page = (await client.get(f"{DEPLOYMENTS}?limit=2")).json()
    rest = (await client.get(f"{DEPLOYMENTS}?limit=2&cursor={page['next_cursor']}")).json()
    kinds = [move["kind"] for move in page["items"] + rest["items"]]
    assert kinds == ["rollback", "disable", "settings", "move"]
    assert page["total_estimate"] == 4


async def test_what_was_served_at_a_time_is_told(
    client: httpx2.AsyncClient, deployed: VariantView, services: Services
) -> None:
    now = services.clock.now()
    at = f"/api/aliases/{NAME}/at"
    found = await client.get(at, params={"time": now.isoformat()})
    assert found.json()["targets"][0]["variant_hash"] == deployed.content_hash
    before = await client.get(at, params={"time": (now - timedelta(days=1)).isoformat()})
    assert before.status_code == 404


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"kind": "move", "variant": "3f9a20c17b54"}, "body.move.reason"),
        ({"kind": "retire", "reason": "x"}, "body"),
        ({"kind": "disable", "message": " ", "reason": "x"}, "body.disable.message"),
        (
            {"kind": "settings", "settings": {"overrides": ["colour"]}, "reason": "x"},
            "body.settings.settings.overrides.0",
        ),
    ],
)
async def test_what_is_no_move_is_refused_with_the_field(
    client: httpx2.AsyncClient, body: dict[str, Any], path: str
) -> None:
    response = await client.post(DEPLOYMENTS, json=body)
    assert (response.status_code, response.json()["path"]) == (422, path)


@pytest.mark.parametrize("time", ["yesterday", "0001-01-01T00:00:00+14:00", ""])
async def test_what_is_no_time_is_refused(
    client: httpx2.AsyncClient, deployed: VariantView, time: str
) -> None:
    response = await client.get(f"/api/aliases/{NAME}/at", params={"time": time})
    assert response.status_code == 422


async def test_only_those_who_may_move_an_alias_move_it(
    client_of: ClientOf, deployed: VariantView
) -> None:
    body = {"kind": "disable", "message": "Mine now.", "reason": "x"}
    viewer = await client_of(Role.VIEWER)
    assert (await viewer.post(DEPLOYMENTS, json=body)).status_code == 403
    elsewhere = await client_of(Role.OPERATOR, prefix="payments/")
    assert (await elsewhere.post(DEPLOYMENTS, json=body)).status_code == 404
    assert (await elsewhere.get(f"/api/aliases/{NAME}")).status_code == 404
    assert (await elsewhere.get("/api/aliases")).json()["items"] == []
    operator = await client_of(Role.OPERATOR)
    assert (await operator.post(DEPLOYMENTS, json=body)).status_code == 201


# --- what services fetch ------------------------------------------------------------------------

PUBLISHED = "/api/prompts/support-bot/aliases/production"


async def test_an_alias_is_published_with_all_that_a_service_needs(
    client: httpx2.AsyncClient, deployed: VariantView
) -> None:
    response = await client.get(PUBLISHED)
    published = response.json()
    assert published["content"]["messages"][0]["content"] == "You are version 1 of {{ shop }}."
    assert published["model"]["provider_model"] == "some-model"
    assert published["parameters"] == deployed.applied
    assert (published["variant_hash"], published["deployment"]) == (deployed.content_hash, 1)
    assert response.headers["cache-control"] == "private, max-age=5, stale-if-error=86400"


async def test_a_copy_that_is_still_right_is_not_sent_again(
    client: httpx2.AsyncClient, deployed: VariantView
) -> None:
    etag = (await client.get(PUBLISHED)).headers["etag"]
    assert not etag.startswith("W/")
    for known in (etag, f'"other", W/{etag}', "*"):
        again = await client.get(PUBLISHED, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    assert (await client.get(PUBLISHED, headers={"If-None-Match": '"x"'})).status_code == 200


async def test_a_move_is_another_tag(
    client: httpx2.AsyncClient, variants: tuple[VariantView, VariantView], deployed: VariantView
) -> None:
    other = "/api/aliases/support-bot@staging/deployments"
    assert (await client.post(other, json=move(variants[0]))).status_code == 201
    tags = {
        (await client.get(f"/api/prompts/support-bot/aliases/{label}")).headers["etag"]
        for label in ("production", "staging")
    }
    assert len(tags) == 2


async def test_a_key_fetches_the_aliases_that_it_is_bound_to(
    service_client: ServiceClient, deployed: VariantView
) -> None:
    bound = await service_client(
        "bot", KeyScope(permissions=frozenset({Permission.ALIAS_READ}), aliases=(NAME,))
    )
    assert (await bound.get(PUBLISHED)).status_code == 200
    other = await service_client(
        "shop", KeyScope(permissions=frozenset({Permission.ALIAS_READ}), aliases=("x@production",))
    )
    assert (await other.get(PUBLISHED)).status_code == 404


async def test_an_alias_whose_models_are_retired_is_gone_and_the_successor_is_named(
    client: httpx2.AsyncClient, deployed: VariantView, services: Services, actor: Actor
) -> None:
    await services.models.retire(actor, "openai/some-model", successor="openai/next-model")
    response = await client.get(PUBLISHED)
    assert response.status_code == 410
    assert "openai/next-model" in response.json()["detail"]


@pytest.mark.parametrize(
    "path",
    ["/api/prompts/support-bot/aliases/staging", "/api/prompts/other/aliases/production"],
)
async def test_an_alias_that_is_not_there_is_not_found(
    client: httpx2.AsyncClient, deployed: VariantView, path: str
) -> None:
    assert (await client.get(path)).status_code == 404


async def test_an_alias_is_moved_only_to_what_its_mover_may_read(
    services: Services, actor: Actor, client_of: ClientOf
) -> None:
    secret = await make_variant(services, actor, 1, "claims/secret")
    own = await make_variant(services, actor, 1, "payments/bot")
    operator = await client_of(Role.OPERATOR, prefix="payments/")
    url = "/api/aliases/payments/bot@production/deployments"
    for body in (
        move(secret),
        move(own, canaries=[{"variant": secret.short_hash, "weight": 0.1}]),
        move(own, fallbacks=[str(secret.id)]),
    ):
        assert (await operator.post(url, json=body)).status_code == 404
    assert (await operator.post(url, json=move(own))).status_code == 201


async def test_a_key_of_some_aliases_moves_no_other(
    variants: tuple[VariantView, VariantView], client_of: ClientOf, scoped_client: ScopedClient
) -> None:
    await client_of(Role.OPERATOR, name="opa")
    bound = await scoped_client("opa", aliases=[NAME])
    other = "/api/aliases/other@production/deployments"
    assert (await bound.post(other, json=move(variants[0]))).status_code == 404
    assert (await bound.post(DEPLOYMENTS, json=move(variants[0]))).status_code == 201
