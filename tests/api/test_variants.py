"""The routes of variants."""

from __future__ import annotations

import httpx2
import pytest

from app.bootstrap import Services
from app.core.permissions import Actor, Role
from app.schemas.models import ModelDeclaration
from app.schemas.prompts import PromptContent
from tests.api.conftest import ClientOf

NEW = {"prompt": "desk/triage@1", "model": "simulated/small", "parameters": {"max_tokens": 7}}


@pytest.fixture
def database_kind() -> str:
    """What the routes call is tested on both databases elsewhere."""
    return "sqlite"


@pytest.fixture(autouse=True)
async def registry(services: Services, actor: Actor) -> None:
    """A prompt and a model."""
    await services.models.declare(actor, ModelDeclaration(model="simulated/small"))
    content = PromptContent.model_validate({"messages": [{"role": "user", "content": "a"}]})
    await services.prompts.publish(actor, "desk/triage", content, message="")


async def test_a_variant_is_made_once(client: httpx2.AsyncClient) -> None:
    made = await client.post("/api/variants", json=NEW)
    again = await client.post("/api/variants", json=NEW)
    assert (made.status_code, again.status_code) == (201, 200)
    assert again.json() == made.json()
    assert made.json()["model"] == "simulated/small@1"
    assert made.json()["asked"]["max_tokens"] == 7
    assert (await client.get(made.headers["location"])).json() == made.json()
    digits = made.json()["content_hash"].removeprefix("sha256:")[:6]
    assert (await client.get(f"/api/variants/{digits}")).json() == made.json()


@pytest.mark.parametrize(
    ("changed", "status", "path"),
    [
        ({"prompt": "nothing@1"}, 404, None),
        ({"prompt": "x y"}, 422, "prompt"),
        ({"model": "simulated/none"}, 404, None),
        ({"parameters": {"temperature": 9}}, 422, "parameters.temperature"),
        ({"parameters": {"x": 9}}, 422, "parameters.x"),
    ],
)
async def test_what_cannot_be_made_is_refused(
    client: httpx2.AsyncClient, changed: dict[str, object], status: int, path: str | None
) -> None:
    refused = await client.post("/api/variants", json={**NEW, **changed})
    assert refused.status_code == status
    assert refused.json().get("path") == path


async def test_a_retired_model_makes_no_variant(
    client: httpx2.AsyncClient, services: Services, actor: Actor
) -> None:
    await services.models.retire(actor, "simulated/small")
    refused = await client.post("/api/variants", json={**NEW, "model": "simulated/small@1"})
    assert refused.status_code == 409


async def test_a_variant_is_its_prompt_s(client: httpx2.AsyncClient, client_of: ClientOf) -> None:
    made = await client.post("/api/variants", json=NEW)
    other = await client_of(Role.RESEARCHER, prefix="payments/")
    assert (await other.get(made.headers["location"])).status_code == 404
    assert (await other.post("/api/variants", json=NEW)).status_code == 404
    own = await client_of(Role.RESEARCHER, prefix="desk/")
    assert (await own.get(made.headers["location"])).status_code == 200
    assert (await own.post("/api/variants", json=NEW)).status_code == 200


async def test_variants_of_one_prompt_are_listed(client: httpx2.AsyncClient) -> None:
    await client.post("/api/variants", json=NEW)
    for prompt, count in (("desk/triage", 1), ("other", 0)):
        page = (await client.get("/api/variants", params={"prompt": prompt})).json()
        assert len(page["items"]) == page["total_estimate"] == count
