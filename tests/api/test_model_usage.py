"""What a model version was used for and what stands on it, over the API."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx2
import pytest

from app.bootstrap import Services
from app.core.permissions import Role, local_actor
from app.schemas.experiments import NewExperiment, RequestedVariant
from tests.api.conftest import ClientOf
from tests.api.measured import measure, stock

SMALL = "/api/models/simulated/small@1"
ALIAS = "desk/ask@production"
CHATS = 2


@pytest.fixture
async def measured(services: Services, client: httpx2.AsyncClient) -> dict[str, Any]:
    """An experiment of two runs over ten examples, and an alias that answered twice."""
    await stock(services, dataset="desk/sums", prompt="desk/ask")
    standing: dict[str, Any] = await measure(
        services, client, dataset="desk/sums", prompt="desk/ask"
    )
    variant = (await client.get("/api/variants")).json()["items"][0]["id"]
    found = await services.variants.get(variant)
    await services.aliases.move(
        local_actor(), ALIAS, found.id, reason="a test", allow_simulated=True
    )
    body = {
        "model": ALIAS,
        "messages": [{"role": "user", "content": "hello"}],
        "prompt": {"variables": {"question": "What is 1 + 1?"}},
    }
    for _ in range(CHATS):
        answered = await client.post("/v1/chat/completions", json=body)
        assert answered.status_code == 200, answered.text
    return standing


async def get(client: httpx2.AsyncClient, path: str) -> Any:
    response = await client.get(path)
    assert response.status_code == 200, response.text
    return response.json()


async def test_usage_is_told_by_day_purpose_and_status(
    client: httpx2.AsyncClient, measured: dict[str, Any]
) -> None:
    usage = await get(client, f"{SMALL}/usage")
    counted: Counter[str] = Counter()
    for row in usage["rows"]:
        counted[row["purpose"]] += row["generations"]
    assert counted == {"experiment": 20, "chat": CHATS}
    assert usage["model"] == "simulated/small@1"
    assert usage["purposes"] == ["experiment", "judge", "chat"]
    assert usage["last_used_at"] is not None
    completed = next(row for row in usage["rows"] if row["status"] == "completed")
    assert completed["input_tokens"] > 0
    assert completed["cost"] == "0"  # simulated models are priced, at nothing
    assert completed["without_cost"] == 0


async def test_usage_before_its_days_is_not_counted(
    client: httpx2.AsyncClient, measured: dict[str, Any]
) -> None:
    assert (await client.get(f"{SMALL}/usage?days=0")).status_code == 422
    assert (await client.get(f"{SMALL}/usage?days=367")).status_code == 422
    usage = await get(client, f"{SMALL}/usage?days=1")
    assert usage["since"] <= usage["rows"][0]["day"] + "T99"


async def test_usage_shows_only_purposes_that_one_may_read_everywhere(
    client_of: ClientOf, measured: dict[str, Any]
) -> None:
    viewer = await client_of(Role.VIEWER)
    usage = await get(viewer, f"{SMALL}/usage")
    assert usage["purposes"] == ["experiment", "judge"]
    assert {row["purpose"] for row in usage["rows"]} == {"experiment"}
    outside = await client_of(*Role, prefix="payments/")
    usage = await get(outside, f"{SMALL}/usage")
    assert (usage["purposes"], usage["rows"], usage["last_used_at"]) == ([], [], None)


async def test_bindings_are_the_aliases_that_serve_it_now_and_open_experiments(
    services: Services, client: httpx2.AsyncClient, measured: dict[str, Any]
) -> None:
    bound = await get(client, f"{SMALL}/bindings")
    [alias] = bound["aliases"]
    assert (alias["alias"], alias["role"], alias["deployment"]) == (ALIAS, "primary", 1)
    assert alias["prompt"].startswith("desk/ask@")
    assert bound["experiments"] == []  # the one there is has ended
    new = NewExperiment(
        dataset=await services.datasets.get("desk/sums@1"),
        variants=(
            RequestedVariant(
                prompt=await services.prompts.get("desk/ask@1"),
                model=await services.models.get("simulated/small@1"),
                parameters={},
                binding={"question": "question"},
            ),
        ),
    )
    begun = await services.experiments.create(local_actor(), new)
    [experiment] = (await get(client, f"{SMALL}/bindings"))["experiments"]
    assert (experiment["number"], experiment["dataset"]) == (begun.number, "desk/sums@1")


async def test_what_no_longer_serves_is_not_bound(
    services: Services, client: httpx2.AsyncClient, measured: dict[str, Any]
) -> None:
    disable = {"kind": "disable", "message": "Back soon.", "reason": "a test"}
    moved = await client.post(f"/api/aliases/{ALIAS}/deployments", json=disable)
    assert moved.status_code < 300, moved.text
    assert (await get(client, f"{SMALL}/bindings"))["aliases"] == []


async def test_other_teams_names_are_not_told(
    client_of: ClientOf, measured: dict[str, Any]
) -> None:
    outside = await client_of(*Role, prefix="payments/")
    bound = await get(outside, f"{SMALL}/bindings")
    assert (bound["aliases"], bound["experiments"]) == ([], [])


async def test_parameters_tell_bounds_defaults_and_what_is_left_out(
    client: httpx2.AsyncClient,
) -> None:
    facts = {
        "temperature": {"unsupported": True},
        "max_tokens": {"wire": "max_completion_tokens", "default": 25_000},
    }
    declared = {"model": "openai/x", "max_output_tokens": 32_000, "parameters": facts}
    assert (await client.post("/api/models", json=declared)).status_code == 201
    told = {item["name"]: item for item in await get(client, "/api/models/openai/x/parameters")}
    assert told["temperature"]["unsupported"] is True
    assert told["temperature"]["left_out"] == "not supported by the model"
    assert told["max_tokens"]["sent_as"] == "max_completion_tokens"
    assert (told["max_tokens"]["default"], told["max_tokens"]["default_from"]) == (25_000, "model")
    assert (told["max_tokens"]["minimum"], told["max_tokens"]["maximum"]) == (1, 32_000)
    assert told["stop"]["minimum"] is None
    await client.post("/api/models", json={"model": "simulated/small"})
    told = {item["name"]: item for item in await get(client, f"{SMALL}/parameters")}
    assert (told["temperature"]["default"], told["temperature"]["default_from"]) == (0.2, "house")


async def test_the_list_is_searched_by_a_part_of_the_name(client: httpx2.AsyncClient) -> None:
    for model in ("simulated/small", "simulated/large"):
        await client.post("/api/models", json={"model": model})
    listed = await get(client, "/api/models?search=LAR")
    assert [model["name"] for model in listed["items"]] == ["large"]
    assert (await get(client, "/api/models?search=_"))["items"] == []
