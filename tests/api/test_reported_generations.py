"""Answers that services report: what is put on record, at what price, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import select

from app.bootstrap import Services
from app.core.permissions import Actor, Permission, Role
from app.models import Attempt, ChatCall, Generation
from app.repositories.content import ContentRepository
from app.schemas.aliases import read_deployment_request
from app.schemas.api_keys import KeyScope
from app.schemas.models import PriceDeclaration
from app.schemas.prompts import PromptContent
from app.schemas.variants import VariantView
from tests.api.conftest import ClientOf, ServiceClient

NAME = "support-bot@production"
URL = "/api/generations"


async def make_variant(services: Services, actor: Actor, number: int) -> VariantView:
    content = PromptContent.model_validate(
        {
            "messages": [
                {"role": "system", "content": f"Version {number} of {{{{ shop }}}}."},
                {"placeholder": "history"},
            ],
            "variables": {"shop": {"type": "string"}},
        }
    )
    prompt = await services.prompts.register(actor, "support-bot", content, number=number)
    model, _ = await services.models.resolve(actor, "openai/some-model", add_missing=True)
    return await services.variants.ensure(actor, prompt.version, model, {"temperature": 0})


@pytest.fixture
async def variants(services: Services, actor: Actor) -> tuple[VariantView, VariantView]:
    """Two variants of one prompt: the alias means the first and has the second as fallback."""
    first, second = [await make_variant(services, actor, number) for number in (1, 2)]
    request = {"kind": "move", "variant": first.short_hash, "fallbacks": [second.short_hash]}
    await services.aliases.deploy(
        actor, NAME, read_deployment_request({**request, "reason": "first"})
    )
    price = PriceDeclaration.model_validate({"from": "2026-01-01", "input": 2, "output": 8})
    await services.models.add_price(actor, "openai/some-model", price)
    return first, second


@pytest.fixture
def report(services: Services, variants: tuple[VariantView, VariantView]) -> dict[str, Any]:
    return {
        "alias": NAME,
        "variables": {"shop": "Example"},
        "history": [{"role": "user", "content": "Where is my parcel?"}],
        "output": {"role": "assistant", "content": "It arrives tomorrow.", "annotations": []},
        "finish_reason": "stop",
        "usage": {"input_tokens": 1000, "output_tokens": 500},
        "latency_ms": 640.5,
        "started_at": services.clock.now().isoformat(),
        "subject": "customer-4711",
        "tags": {"channel": "mail"},
    }


async def stored(
    services: Services, generation_id: str
) -> tuple[Generation, ChatCall, list[Attempt]]:
    async with services.database.read_session() as session:
        statement = (
            select(Generation, ChatCall)
            .join(ChatCall, ChatCall.generation_id == Generation.id)
            .where(Generation.id == UUID(generation_id))
        )
        generation, call = (await session.execute(statement)).one()
        attempts = select(Attempt).where(Attempt.generation_id == generation.id)
        return generation, call, list((await session.execute(attempts)).scalars())


async def bodies(services: Services, *ids: UUID | None) -> list[Any]:
    async with services.database.read_session() as session:
        found = await ContentRepository(session).bodies(it for it in ids if it is not None)
    return [None if it is None else found[it] for it in ids]


async def test_a_report_is_on_record_like_an_answer_of_ours(
    client: httpx2.AsyncClient,
    services: Services,
    variants: tuple[VariantView, VariantView],
    report: dict[str, Any],
) -> None:
    response = await client.post(URL, json=report)
    assert response.status_code == 201, response.text
    told = response.json()
    assert (told["role"], told["deployment"], told["status"]) == ("primary", 1, "completed")
    assert Decimal(told["cost"]) == Decimal("0.006")  # 1,000 x $2 and 500 x $8 per million
    generation, call, attempts = await stored(services, told["id"])
    assert (generation.origin, generation.purpose) == ("reported", "chat")
    assert generation.variant_id == variants[0].id
    assert (generation.prompt_version_id, generation.provider) == (
        variants[0].prompt_version_id,
        "openai",
    )
    assert (generation.latency_ms, generation.usage_source) == (640.5, "provider")
    assert generation.model_price_id is not None
    assert (call.ending, call.is_exact, call.role) == ("completed", True, "primary")
    assert [attempt.cost for attempt in attempts] == [generation.cost]
    request, output, tags = await bodies(
        services, generation.request_content_id, generation.output_content_id, call.tags_content_id
    )
    assert [message["content"] for message in request["messages"]] == [
        "Version 1 of Example.",
        "Where is my parcel?",
    ]
    assert output == {"role": "assistant", "content": "It arrives tomorrow."}
    assert tags == {"channel": "mail"}


async def test_messages_as_they_went_out_are_taken_and_not_called_exact(
    client: httpx2.AsyncClient, services: Services, report: dict[str, Any]
) -> None:
    del report["variables"], report["history"]
    report["messages"] = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
    told = (await client.post(URL, json=report)).json()
    _, call, _ = await stored(services, told["id"])
    assert call.is_exact is False


async def test_a_target_of_the_deployment_is_named_by_its_variant(
    client: httpx2.AsyncClient,
    variants: tuple[VariantView, VariantView],
    report: dict[str, Any],
    services: Services,
    actor: Actor,
) -> None:
    told = await client.post(URL, json=report | {"variant": variants[1].short_hash})
    assert told.json()["role"] == "fallback"
    other = await make_variant(services, actor, 3)
    refused = await client.post(URL, json=report | {"variant": other.short_hash})
    assert (refused.status_code, refused.json()["path"]) == (422, "variant")


async def test_without_an_alias_a_variant_is_enough(
    client: httpx2.AsyncClient,
    variants: tuple[VariantView, VariantView],
    report: dict[str, Any],
) -> None:
    del report["alias"]
    told = (await client.post(URL, json=report | {"variant": variants[0].content_hash})).json()
    assert (told["alias"], told["role"], told["prompt"]) == (None, None, "support-bot@1")


async def test_what_the_alias_meant_when_the_answer_was_made_is_recorded(
    client: httpx2.AsyncClient,
    services: Services,
    actor: Actor,
    variants: tuple[VariantView, VariantView],
    report: dict[str, Any],
) -> None:
    await services.aliases.move(actor, NAME, variants[1].id, reason="second")
    told = (await client.post(URL, json=report)).json()
    assert (told["deployment"], told["prompt"]) == (1, "support-bot@1")
    told = (await client.post(URL, json=report | {"deployment": 2})).json()
    assert (told["deployment"], told["prompt"]) == (2, "support-bot@2")


@pytest.mark.parametrize(
    ("changes", "status", "error_code", "ending"),
    [
        (
            {"ending": "failed", "error": {"code": "server_error", "message": "500"}},
            "failed", "server_error", "failed",
        ),
        ({"ending": "timeout", "error": {"message": "60 s"}}, "failed", "timeout", "timeout"),
        (
            {"ending": "upstream_cut", "output": {"role": "assistant", "content": "It arr"}},
            "incomplete", "truncated_stream", "upstream_cut",
        ),
        ({"ending": "client_gone"}, "cancelled", None, "client_gone"),
        (
            {
                "ending": "client_gone", "finish_reason": "stop",
                "output": {"role": "assistant", "content": "All of it."},
            },
            "completed", None, "client_gone",
        ),
        (
            {"ending": "refused", "output": {"role": "assistant", "refusal": "No."}},
            "refused", None, "refused",
        ),
    ],
)  # fmt: skip
async def test_every_ending_has_its_status(
    client: httpx2.AsyncClient,
    services: Services,
    report: dict[str, Any],
    changes: dict[str, Any],
    status: str,
    error_code: str | None,
    ending: str,
) -> None:
    del report["output"], report["finish_reason"]
    response = await client.post(URL, json=report | changes)
    assert response.status_code == 201, response.text
    generation, call, _ = await stored(services, response.json()["id"])
    assert (generation.status, generation.error_code, call.ending) == (status, error_code, ending)


async def test_tokens_that_nobody_counted_are_estimated_and_marked(
    client: httpx2.AsyncClient, report: dict[str, Any]
) -> None:
    del report["usage"]
    told = (await client.post(URL, json=report)).json()
    assert told["usage_source"] == "estimated"
    assert told["input_tokens"] > 0
    assert told["output_tokens"] > 0


async def test_a_report_that_is_sent_twice_is_one_row(
    client: httpx2.AsyncClient, services: Services, report: dict[str, Any]
) -> None:
    headers = {"Idempotency-Key": "report-1"}
    first, second = [await client.post(URL, json=report, headers=headers) for _ in range(2)]
    assert first.json() == second.json()
    changed = await client.post(URL, json=report | {"latency_ms": 1}, headers=headers)
    assert changed.status_code == 422
    async with services.database.read_session() as session:
        assert len((await session.execute(select(ChatCall))).all()) == 1


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"alias": None}, "body"),
        ({"messages": [{"role": "user", "content": "x"}]}, "body"),
        ({"variables": None, "history": []}, "body"),
        ({"output": None}, "body"),
        ({"output": {"role": "user", "content": "x"}}, "body"),
        ({"ending": "failed"}, "body"),
        ({"error": {"message": "x"}}, "body"),
        (
            {"usage": {"input_tokens": 1, "output_tokens": 1, "cached_input_tokens": 2}},
            "body.usage",
        ),
        ({"usage": {"input_tokens": -1, "output_tokens": 1}}, "body.usage.input_tokens"),
        ({"latency_ms": -1}, "body.latency_ms"),
        ({"tags": {str(number): "x" for number in range(17)}}, "body.tags"),
        ({"tags": {"name": "x" * 513}}, "body.tags.name"),
        ({"subject": "x" * 201}, "body.subject"),
        ({"surprise": 1}, "body.surprise"),
        ({"variables": {}}, "variables.shop"),
        ({"started_at": "2020-01-01T00:00:00Z"}, "started_at"),
        ({"deployment": 7}, "deployment"),
    ],
)
async def test_what_does_not_fit_is_refused_with_the_field(
    client: httpx2.AsyncClient, report: dict[str, Any], changes: dict[str, Any], path: str
) -> None:
    response = await client.post(URL, json=report | changes)
    assert (response.status_code, response.json()["path"]) == (422, path)


async def test_a_time_to_come_is_refused(
    client: httpx2.AsyncClient, services: Services, report: dict[str, Any]
) -> None:
    later = (services.clock.now() + timedelta(hours=1)).isoformat()
    assert (await client.post(URL, json=report | {"started_at": later})).status_code == 422


async def test_a_key_reports_answers_of_its_own_aliases_only(
    service_client: ServiceClient,
    variants: tuple[VariantView, VariantView],
    report: dict[str, Any],
) -> None:
    permissions = frozenset({Permission.CHAT_REPORT})
    bound = await service_client("bot", KeyScope(permissions=permissions, aliases=(NAME,)))
    assert (await bound.post(URL, json=report)).status_code == 201
    without = {key: value for key, value in report.items() if key != "alias"}
    told = await bound.post(URL, json=without | {"variant": variants[0].short_hash})
    assert told.status_code == 403
    other = await service_client("shop", KeyScope(permissions=permissions, aliases=("x@live",)))
    assert (await other.post(URL, json=report)).status_code == 404


async def test_reporting_needs_its_permission(client_of: ClientOf, report: dict[str, Any]) -> None:
    operator = await client_of(Role.OPERATOR)
    assert (await operator.post(URL, json=report)).status_code == 403
