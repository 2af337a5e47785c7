"""Spending over HTTP: what calls cost in a month, of what the asker may see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.bootstrap import Services
from app.core.permissions import Role, local_actor
from app.core.settings import Settings, load_settings
from app.schemas.models import PriceDeclaration
from app.schemas.prompts import PromptContent
from tests.api.conftest import KEY_SECRET, ClientOf, ScopedClient
from tests.api.measured import asked, done, measure, stock
from tests.fake_provider import FakeProvider

MODEL = "openai/fake-model"
PRICE = PriceDeclaration.model_validate({"from": "2026-01-01", "input": 200, "output": 800})


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as server:
        yield server


@pytest.fixture
def settings(database_url: str, tmp_path: Path, provider: FakeProvider) -> Settings:
    """A simulated model costs nothing, so calls go to the fake provider."""
    return load_settings(
        tmp_path,
        {
            "WORKBENCH_DATABASE_URL": database_url,
            "WORKBENCH_KEY_SECRET": KEY_SECRET,
            "OPENAI_BASE_URL": provider.base_url,
            "OPENAI_API_KEY": "sk-test",
        },
    )


async def model(services: Services, *, priced: bool = True) -> None:
    await services.models.resolve(local_actor(), MODEL, add_missing=True)
    if priced:
        await services.models.add_price(local_actor(), MODEL, PRICE)


async def serve(services: Services, alias: str) -> None:
    """Let the model answer under an alias."""
    actor, name = local_actor(), alias.partition("@")[0]
    content = PromptContent.model_validate(
        {"messages": [{"role": "system", "content": "Help."}, {"placeholder": "history"}]}
    )
    prompt = await services.prompts.register(actor, name, content, number=1)
    version = await services.models.get(f"{MODEL}@1")
    variant = await services.variants.ensure(actor, prompt.version, version, {})
    await services.aliases.move(actor, alias, variant.id, reason="a test")


async def chat(client: httpx2.AsyncClient, alias: str) -> None:
    body = {"model": alias, "messages": [{"role": "user", "content": "hello"}]}
    reply = await client.post("/v1/chat/completions", json=body)
    assert reply.status_code == 200, reply.text


async def spending(client: httpx2.AsyncClient, **parameters: str) -> Any:
    reply = await client.get("/api/spending", params=parameters)
    assert reply.status_code == 200, reply.text
    return reply.json()


def cost_of(standing: Any) -> Decimal:
    return sum((Decimal(run["totals"]["cost"]) for run in standing["runs"]), Decimal(0))


async def test_nothing_spent_is_zero_and_no_model(client: httpx2.AsyncClient) -> None:
    told = await spending(client)

    nothing = {"calls": 0, "dollars": "0", "unpriced": 0, "models": []}
    assert [told[part] for part in ("experiments", "judges", "production")] == [nothing] * 3
    assert told["budgets"] == []


async def test_an_experiment_costs_what_its_runs_cost(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    await model(services)
    standing = await measure(services, client, models=[MODEL])

    told = (await spending(client))["experiments"]

    assert told["calls"] == 20
    assert Decimal(told["dollars"]) == cost_of(standing) > 0
    assert [found["model"] for found in told["models"]] == [f"{MODEL}@1"]


async def test_judges_are_counted_apart_from_the_runs_that_they_judge(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    await model(services)
    await measure(services, client, scorers=[f"judge_correctness:model={MODEL}"])

    told = await spending(client)

    assert Decimal(told["judges"]["dollars"]) > 0
    assert told["judges"]["models"][0]["model"] == f"{MODEL}@1"
    assert Decimal(told["experiments"]["dollars"]) == 0
    assert told["experiments"]["models"][0]["model"] == "simulated/small@1"


async def test_chats_cost_by_the_model_that_answered(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await model(services)
    await serve(services, "bot@production")
    await chat(client, "bot@production")

    told = (await spending(client))["production"]

    assert (told["calls"], told["unpriced"]) == (1, 0)
    assert Decimal(told["dollars"]) > 0


async def test_an_answer_without_a_price_is_unknown_and_never_nothing(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await model(services, priced=False)
    await serve(services, "bot@production")
    await chat(client, "bot@production")

    told = (await spending(client))["production"]

    assert (told["calls"], told["unpriced"], told["dollars"]) == (1, 1, None)


async def test_a_call_counts_in_the_month_in_utc_in_which_it_began(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    await model(services)
    await measure(services, client, models=[MODEL])
    now = datetime.now(UTC)
    before = now.replace(day=1) - timedelta(days=1)

    this, last = [await spending(client, month=f"{it:%Y-%m}") for it in (now, before)]

    assert (this["experiments"]["calls"], last["experiments"]["calls"]) == (20, 0)
    assert this["starts_at"] == last["ends_at"] == f"{now:%Y-%m}-01T00:00:00Z"


async def test_budgets_of_experiments_that_are_not_finished_stand_beside_what_was_spent(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    await model(services)
    body = asked(name="too dear", models=[MODEL], budget=0.05)
    await done(services, client, await client.post("/api/experiments", json=body))
    await measure(services, client, models=[MODEL], repetitions=2, budget=1000)

    [told] = (await spending(client))["budgets"]

    assert (told["name"], Decimal(told["amount"])) == ("too dear", Decimal("0.05"))
    assert 0 <= Decimal(told["spent"]) <= Decimal("0.05")
    assert Decimal(told["leased"]) == 0


async def test_everybody_is_told_of_what_they_may_see(
    client: httpx2.AsyncClient,
    services: Services,
    client_of: ClientOf,
    scoped_client: ScopedClient,
) -> None:
    await stock(services, dataset="pay/sums", prompt="pay/ask")
    await model(services)
    await measure(services, client, models=[MODEL], dataset="pay/sums", prompt="pay/ask")
    for alias in ("pay/bot@production", "ship/bot@production"):
        await serve(services, alias)
        await chat(client, alias)
    viewer, payer = await client_of(Role.VIEWER), await client_of(Role.AUDITOR, prefix="pay/")
    shipper = await client_of(Role.AUDITOR, prefix="ship/")
    one_alias = await scoped_client("everything", aliases=["ship/bot@production"])

    assert (await spending(viewer))["production"] is None
    counts = [await spending(it) for it in (payer, shipper, one_alias)]
    assert [it["experiments"]["calls"] for it in counts] == [20, 0, 20]
    assert [it["production"]["calls"] for it in counts] == [1, 1, 1]
    assert (await (await client_of()).get("/api/spending")).status_code == 403


@pytest.mark.parametrize("month", ["2026", "2026-13", "26-01", "2026-1", "٢٠٢٦-01"])
async def test_what_is_no_month_is_refused_in_a_sentence(
    client: httpx2.AsyncClient, month: str
) -> None:
    reply = await client.get("/api/spending", params={"month": month})

    assert reply.status_code == 422
    assert "2026-03" in reply.json()["detail"]
