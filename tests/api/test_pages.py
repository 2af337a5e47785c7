"""Lists come in pages by cursor: every item once, in order, and only what the caller may see."""

from __future__ import annotations

import httpx2
import pytest

from app.bootstrap import Services
from app.core.permissions import Actor, Role
from app.schemas.datasets import ExampleInput
from app.schemas.models import ModelDeclaration
from app.schemas.pages import encode_cursor
from app.schemas.prompts import PromptContent
from tests.api.conftest import ClientOf

NAMES = ["desk/a", "desk/b", "payments/a", "payments/b", "paymentsx", "z"]


@pytest.fixture
async def filled(services: Services, actor: Actor) -> Services:
    """Prompts and datasets under `NAMES`, three versions of the first, a variant of each."""
    await services.models.declare(actor, ModelDeclaration(model="simulated/small"))
    model = await services.models.get("simulated/small")
    for name in NAMES:
        for text in "abc" if name == NAMES[0] else "a":
            content = PromptContent.model_validate(
                {"messages": [{"role": "user", "content": text}]}
            )
            prompt = await services.prompts.publish(actor, name, content, message="")
            rows = [ExampleInput(input={"x": f"{text}{row}"}) for row in range(3)]
            await services.datasets.import_version(actor, name, rows, source="test")
        await services.variants.ensure(actor, prompt.version, model, {})
    return services


async def every_page(client: httpx2.AsyncClient, path: str, limit: int) -> list[dict[str, object]]:
    items: list[dict[str, object]] = []
    cursor: str | None = None
    while True:
        url = httpx2.URL(path).copy_set_param("limit", limit)
        got = await client.get(url if cursor is None else url.copy_set_param("cursor", cursor))
        assert got.status_code == 200, got.text
        page = got.json()
        assert len(page["items"]) <= limit
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            assert page["total_estimate"] == len(items)
            return items


LISTS = [
    "/api/prompts",
    "/api/prompts/desk/a/versions",
    "/api/models",
    "/api/variants",
    "/api/datasets",
    "/api/datasets/desk/a/versions",
    "/api/datasets/desk/a/versions/1/examples",
    "/api/datasets/desk/a/versions/2/diff?before=desk/a@1",
]


async def test_pages_of_any_size_have_the_same_items(
    client: httpx2.AsyncClient, filled: Services
) -> None:
    for path in LISTS:
        whole = await every_page(client, path, 500)
        assert whole, path
        for limit in (1, 2, len(whole)):
            assert await every_page(client, path, limit) == whole, path


@pytest.mark.parametrize("noun", ["prompts", "datasets"])
async def test_a_list_has_only_names_below_the_caller_s_prefixes(
    client_of: ClientOf, filled: Services, noun: str
) -> None:
    limited = await client_of(Role.VIEWER, prefix="payments/")
    listed = await every_page(limited, f"/api/{noun}", 1)
    assert [item["name"] for item in listed] == ["payments/a", "payments/b"]


async def test_variants_are_listed_with_their_prompts(
    client_of: ClientOf, filled: Services
) -> None:
    limited = await client_of(Role.VIEWER, prefix="payments/")
    listed = await every_page(limited, "/api/variants", 1)
    assert [item["prompt"] for item in listed] == ["payments/b@1", "payments/a@1"]


SINGLE = [
    "prompts/{}/versions",
    "prompts/{}/versions/1",
    "prompts/{}/versions/1/diff?before=payments/a@1",
    "prompts/payments/a/versions/1/diff?before={}@1",
    "prompts/{}/drafts",
    "datasets/{}/versions",
    "datasets/{}/versions/1",
    "datasets/{}/versions/1/examples",
    "datasets/{}/versions/1/diff?before=payments/a@1",
    "datasets/payments/a/versions/1/diff?before={}@1",
]


async def test_outside_the_prefix_there_is_nothing(client_of: ClientOf, filled: Services) -> None:
    limited = await client_of(Role.VIEWER, prefix="payments/")
    for path in SINGLE:
        hidden = await limited.get(f"/api/{path.format('desk/a')}")
        missing = await limited.get(f"/api/{path.format('desk/none')}")
        assert hidden.status_code == missing.status_code == 404, path
        assert hidden.json()["detail"] == missing.json()["detail"]
        assert (await limited.get(f"/api/{path.format('payments/a')}")).status_code == 200, path


async def test_a_cursor_of_another_list_is_invalid(
    client: httpx2.AsyncClient, filled: Services
) -> None:
    others = ("x", "", "AAAA", encode_cursor(1, 2), encode_cursor(2**40), encode_cursor("\0"))
    for path in ("/api/prompts/desk/a/versions", "/api/prompts/desk/a/drafts", "/api/variants"):
        for cursor in others:
            got = await client.get(path, params={"cursor": cursor})
            assert got.status_code == 422
            assert got.json()["path"] == "cursor"


async def test_a_page_has_1_to_500_items(client: httpx2.AsyncClient) -> None:
    for limit in ("0", "501", "x"):
        got = await client.get("/api/prompts", params={"limit": limit})
        assert got.status_code == 422
        assert got.json()["path"] == "query.limit"
