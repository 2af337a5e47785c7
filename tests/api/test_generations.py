"""Generations over HTTP: facts to those who may see their names, customers' texts to few."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert, select

from app.bootstrap import Services
from app.core.ids import new_id
from app.core.permissions import Role, local_actor
from app.core.settings import Settings, load_settings
from app.database import Database
from app.models import Generation, Run
from app.repositories.audit import AuditRepository
from app.repositories.generation_filters import MOST_RANGES
from app.repositories.generation_lists import MAX_SEARCHED
from app.schemas.prompts import PromptContent
from tests.api.conftest import KEY_SECRET, ClientOf, ScopedClient
from tests.api.measured import measure, stock
from tests.fake_provider import FakeProvider

SECRET = "my account is 4711"


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as server:
        yield server


@pytest.fixture
def settings(database_url: str, tmp_path: Path, provider: FakeProvider) -> Settings:
    """An alias serves no simulated model, so chats go to the fake provider."""
    return load_settings(
        tmp_path,
        {
            "WORKBENCH_DATABASE_URL": database_url,
            "WORKBENCH_KEY_SECRET": KEY_SECRET,
            "OPENAI_BASE_URL": provider.base_url,
            "OPENAI_API_KEY": "sk-test",
        },
    )


async def chat(services: Services, client: httpx2.AsyncClient, alias: str) -> None:
    """Serve an alias that is not there yet, and have one chat through it."""
    actor, name = local_actor(), alias.partition("@")[0]
    content = PromptContent.model_validate(
        {"messages": [{"role": "system", "content": "Help."}, {"placeholder": "history"}]}
    )
    prompt = await services.prompts.register(actor, name, content, number=1)
    model, _ = await services.models.resolve(actor, "openai/fake-model", add_missing=True)
    variant = await services.variants.ensure(actor, prompt.version, model, {})
    await services.aliases.move(actor, alias, variant.id, reason="a test")
    reply = await client.post(
        "/v1/chat/completions",
        json={
            "model": alias,
            "messages": [{"role": "user", "content": SECRET}],
            "user": "customer-7",
            "metadata": {"ticket": "T-1"},
        },
    )
    assert reply.status_code == 200, reply.text


async def chats(client: httpx2.AsyncClient, **parameters: Any) -> list[Any]:
    reply = await client.get("/api/generations", params=parameters)
    assert reply.status_code == 200, reply.text
    items: list[Any] = reply.json()["items"]
    return items


async def openings(database: Database) -> list[tuple[str, str]]:
    """Who opened what, from the audit chain."""
    async with database.read_session() as session:
        bodies = await AuditRepository(session).bodies()
    return [
        (body.split('"actor":"')[1].split('"')[0], body.split('"object_id":"')[1].split('"')[0])
        for _, body, _, _ in bodies
        if "production_content.opened" in body
    ]


async def test_the_generations_of_a_run_come_in_pages_and_by_status_and_key(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    run = (await measure(services, client))["runs"][0]["run"]["id"]
    found: list[Any] = []
    cursor = None
    while True:
        parameters = {"run_id": run, "limit": 4} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/api/generations", params=parameters)).json()
        found += page["items"]
        if (cursor := page["next_cursor"]) is None:
            break

    assert page["total_estimate"] == 10
    assert {item["key"] for item in found} == {f"sum-{i}" for i in range(10)}
    assert {item["prompt"] for item in found} == {"ask@1"}
    assert [item["key"] for item in await chats(client, run_id=run, key="sum-3")] == ["sum-3"]
    assert await chats(client, run_id=run, status="failed") == []
    assert len(await chats(client, run_id=run, model="simulated/small@1")) == 10
    assert await chats(client, run_id=run, prompt="ask@2") == []


async def test_one_generation_is_told_with_everything_it_rests_on(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    run = (await measure(services, client))["runs"][0]["run"]
    [facts] = await chats(client, run_id=run["id"], key="sum-3")

    detail = (await client.get(f"/api/generations/{facts['id']}")).json()

    assert (detail["run"], detail["dataset"], detail["chat"]) == (run["name"], "sums", None)
    assert detail["generation"]["input"] == {"question": "What is 3 + 1?"}
    assert detail["generation"]["output"]["role"] == "assistant"
    assert len(detail["attempts"]) == 1
    assert [score["scorer"] for score in detail["scores"]] == ["numeric_answer"]
    assert detail["content_withheld"] is False


async def test_production_is_found_by_alias_time_prompt_model_and_status(
    client: httpx2.AsyncClient, services: Services
) -> None:
    before = datetime.now(UTC)
    await chat(services, client, "pay/bot@production")
    await chat(services, client, "other/bot@production")
    hour = timedelta(hours=1)

    assert [item["alias"] for item in await chats(client)] == [
        "other/bot@production",
        "pay/bot@production",
    ]
    [found] = await chats(client, alias="pay/bot@production")
    assert (found["ending"], found["role"], found["prompt"]) == (
        "completed",
        "primary",
        "pay/bot@1",
    )
    assert len(await chats(client, since=before.isoformat())) == 2
    assert await chats(client, since=(before + hour).isoformat()) == []
    assert len(await chats(client, until=(before + hour).isoformat())) == 2
    assert await chats(client, until=before.isoformat()) == []
    assert len(await chats(client, prompt="pay/bot@1", model="openai/fake-model")) == 1
    assert await chats(client, status="failed") == []


@pytest.mark.parametrize(
    ("parameters", "path"),
    [
        ({"min_score": 0.5}, "scorer"),
        ({"text": " "}, "text"),
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "until"),
        ({"run_id": "00000000-0000-7000-8000-000000000000", "alias": "a@b"}, "alias"),
        ({"since": "2026-01-01T00:00:00"}, "query.since"),
        ({"model": "nobody/x"}, "model"),
    ],
)
async def test_a_filter_that_would_be_left_unread_is_refused(
    client: httpx2.AsyncClient, parameters: dict[str, str], path: str
) -> None:
    reply = await client.get("/api/generations", params=parameters)
    assert (reply.status_code, reply.json()["path"]) == (422, path)


async def test_a_customers_texts_are_withheld_from_all_but_those_who_may_read_them(
    client: httpx2.AsyncClient, client_of: ClientOf, services: Services
) -> None:
    await chat(services, client, "pay/bot@production")
    operator = await client_of(Role.OPERATOR)
    [facts] = await chats(operator)
    path = f"/api/generations/{facts['id']}"

    withheld = await operator.get(path)

    told = withheld.json()
    assert told["content_withheld"] is True
    assert (told["generation"]["request"], told["generation"]["output"]) == (None, None)
    assert (told["chat"]["subject"], told["chat"]["tags"]) == (None, None)
    assert told["chat"]["alias"] == "pay/bot@production"
    assert SECRET not in withheld.text
    assert "customer-7" not in withheld.text
    assert await openings(services.database) == []


async def test_every_opening_of_a_customers_texts_is_on_record(
    client: httpx2.AsyncClient, client_of: ClientOf, services: Services
) -> None:
    await chat(services, client, "pay/bot@production")
    auditor = await client_of(Role.AUDITOR, prefix="pay/", name="oda")
    [facts] = await chats(auditor)

    opened = [(await auditor.get(f"/api/generations/{facts['id']}")).json() for _ in range(2)]

    assert opened[0]["generation"]["request"]["messages"][-1]["content"] == SECRET
    assert (opened[0]["chat"]["subject"], opened[0]["chat"]["tags"]) == (
        "customer-7",
        {"ticket": "T-1"},
    )
    assert await openings(services.database) == [("user:oda", facts["id"])] * 2


async def test_production_below_other_names_is_not_there(
    client: httpx2.AsyncClient, client_of: ClientOf, services: Services
) -> None:
    await chat(services, client, "pay/bot@production")
    [facts] = await chats(client)
    path = f"/api/generations/{facts['id']}"
    outside = await client_of(Role.AUDITOR, prefix="other/")
    viewer = await client_of(Role.VIEWER)

    assert await chats(outside) == []
    assert (await outside.get(path)).status_code == 404
    assert await chats(viewer) == []
    assert (await viewer.get(path)).status_code == 404
    assert await openings(services.database) == []


async def test_everything_in_sight_comes_newest_first_and_in_pages(
    client: httpx2.AsyncClient, client_of: ClientOf, services: Services
) -> None:
    await stock(services, dataset="pay/sums", prompt="pay/ask")
    await measure(services, client, dataset="pay/sums", prompt="pay/ask")
    await chat(services, client, "pay/bot@production")
    found: list[Any] = []
    cursor = None
    while True:
        parameters = {"limit": 8} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/api/generations", params=parameters)).json()
        found += page["items"]
        if (cursor := page["next_cursor"]) is None:
            break

    assert page["total_estimate"] == len(found) == 21
    assert [item["purpose"] for item in found] == ["chat", *["experiment"] * 20]
    assert len({item["id"] for item in found}) == 21
    began = [item["started_at"] for item in found]
    assert began == sorted(began, reverse=True)
    team = await client_of(Role.AUDITOR, prefix="pay/")
    assert len(await chats(team)) == 21
    viewer = await client_of(Role.VIEWER, prefix="pay/")
    assert {item["purpose"] for item in await chats(viewer)} == {"experiment"}
    assert await chats(await client_of(Role.AUDITOR, prefix="other/")) == []


async def test_each_filter_finds_what_it_names_and_nothing_else(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    await measure(services, client)
    await chat(services, client, "pay/bot@production")
    [answer] = await chats(client, purpose="chat")
    cell = (await chats(client, purpose="experiment", key="sum-3"))[0]
    fitting: list[tuple[dict[str, Any], int]] = [
        ({"experiment": 1}, 20),
        ({"key": "sum-3"}, 2),
        ({"run_id": cell["run_id"], "key": "sum-3"}, 1),
        ({"prompt": "ask"}, 20),
        ({"prompt": "ask@1"}, 10),
        ({"provider": "simulated"}, 20),
        ({"provider": "openai"}, 1),
        ({"ending": "completed"}, 1),
        ({"ending": "failed"}, 0),
        ({"status": "completed", "finish_reason": "stop"}, 21),
        ({"finish_reason": "length"}, 0),
        ({"error_code": "timeout"}, 0),
        ({"subject": "customer-7"}, 1),
        ({"request_id": answer["request_id"]}, 1),
        ({"request_id": "nothing"}, 0),
        ({"review": "none"}, 21),
        ({"review": "flagged"}, 0),
        ({"min_latency_ms": 0}, 21),
        ({"max_tokens": 0}, 0),
        ({"min_cost": 1_000}, 0),
        ({"scorer": "numeric_answer", "min_score": 0}, 20),
        ({"scorer": "exact_match"}, 0),
        ({"text": "WHAT IS 3"}, 2),
        ({"text": "4711"}, 1),
        ({"text": "content"}, 0),
    ]

    found = [(parameters, len(await chats(client, **parameters))) for parameters, _ in fitting]

    assert found == fitting


async def copy_generations(database: Database, count: int) -> None:
    """Add as many copies of the generation that is there, each a second older."""
    async with database.write_session() as session:
        [facts] = (await session.execute(select(Generation.__table__))).mappings().all()
        copies = [
            {**facts, "id": new_id(), "started_at": facts["started_at"] - timedelta(seconds=back)}
            for back in range(1, count + 1)
        ]
        await session.execute(insert(Generation), copies)
        await session.commit()


async def copy_runs(database: Database, count: int) -> None:
    """Add as many copies of a run that is there, with its generations, each a second older."""
    async with database.write_session() as session:
        run = (await session.execute(select(Run.__table__).limit(1))).mappings().one()
        own = select(Generation.__table__).where(Generation.run_id == run["id"])
        facts = (await session.execute(own)).mappings().all()
        runs = [
            {**run, "id": new_id(), "name": f"copy-{number}", "position": 100 + number}
            for number in range(count)
        ]
        cells = [
            {
                **it,
                "id": new_id(),
                "run_id": copy["id"],
                "started_at": it["started_at"] - timedelta(seconds=back),
            }
            for back, copy in enumerate(runs, start=1)
            for it in facts
        ]
        await session.execute(insert(Run), runs)
        await session.execute(insert(Generation), cells)
        await session.commit()


@pytest.mark.parametrize(
    "parameters", [{"min_cost": 1_000}, {"provider": "openai", "purpose": "judge"}]
)
async def test_what_nothing_meets_is_looked_for_among_a_bounded_number_of_rows(
    client: httpx2.AsyncClient, services: Services, parameters: dict[str, Any]
) -> None:
    await chat(services, client, "pay/bot@production")
    await copy_generations(services.database, MAX_SEARCHED)

    first = (await client.get("/api/generations", params=parameters)).json()
    cursor = {"cursor": first["next_cursor"]}
    second = (await client.get("/api/generations", params=parameters | cursor)).json()

    assert (first["items"], first["searched"], first["is_bounded"]) == ([], MAX_SEARCHED, True)
    assert (second["items"], second["next_cursor"], second["is_bounded"]) == ([], None, False)


async def test_two_names_that_never_meet_are_an_empty_list_at_once(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await chat(services, client, "pay/bot@production")
    await chat(services, client, "other/bot@production")

    asked = {"alias": "pay/bot@production", "prompt": "other/bot"}
    page = (await client.get("/api/generations", params=asked)).json()

    assert (page["items"], page["next_cursor"], page["searched"]) == ([], None, None)
    assert len(await chats(client, alias="pay/bot@production", prompt="pay/bot")) == 1


async def test_pages_through_many_runs_lose_no_answer_and_repeat_none(
    client: httpx2.AsyncClient, client_of: ClientOf, services: Services
) -> None:
    await stock(services, dataset="pay/sums", prompt="pay/ask")
    await measure(services, client, dataset="pay/sums", prompt="pay/ask")
    await copy_runs(services.database, MOST_RANGES)
    viewer = await client_of(Role.VIEWER, prefix="pay/")
    found: list[str] = []
    parameters: dict[str, Any] = {"limit": 35, "purpose": "experiment", "status": "completed"}
    while True:
        page = (await viewer.get("/api/generations", params=parameters)).json()
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        parameters["cursor"] = page["next_cursor"]

    assert len(found) == len(set(found)) == 10 * (MOST_RANGES + 2)


async def searches(database: Database) -> list[str]:
    """The audit events of searches in customers' texts."""
    async with database.read_session() as session:
        bodies = await AuditRepository(session).bodies()
    return [body for _, body, _, _ in bodies if "production_content.searched" in body]


async def test_a_search_in_customers_texts_is_one_audit_event_without_what_was_sought(
    client: httpx2.AsyncClient, client_of: ClientOf, services: Services
) -> None:
    await chat(services, client, "pay/bot@production")
    operator = await client_of(Role.OPERATOR)

    blind = (await operator.get("/api/generations", params={"text": "4711"})).json()
    assert (blind["items"], blind["searched"], blind["left_out"]) == ([], 0, True)
    assert await chats(operator, subject="customer-7") == []
    assert await searches(services.database) == []

    told = (await client.get("/api/generations", params={"text": "4711"})).json()
    assert (len(told["items"]), told["searched"], told["left_out"]) == (1, 1, False)
    [event] = await searches(services.database)
    assert "4711" not in event


@pytest.mark.parametrize("others", [{}, {"min_latency_ms": 0}, {"status": "completed"}])
async def test_a_search_for_an_end_user_is_one_audit_event_without_who_it_was(
    client: httpx2.AsyncClient, services: Services, others: dict[str, Any]
) -> None:
    await chat(services, client, "pay/bot@production")

    assert await chats(client, subject="nobody", **others) == []
    assert await searches(services.database) == []
    assert len(await chats(client, subject="customer-7", **others)) == 1

    [event] = await searches(services.database)
    assert "customer-7" not in event
    assert '"searched":1' in event


async def test_a_search_counts_no_questions_to_judges_of_another_team(
    client: httpx2.AsyncClient, client_of: ClientOf, services: Services
) -> None:
    for team, examples in (("pay", 2), ("claims", 3)):
        names = {"dataset": f"{team}/sums", "prompt": f"{team}/ask"}
        await stock(services, **names, examples=examples)
        judge = "judge_correctness:model=simulated/small"
        await measure(services, client, **names, prompts=[f"{team}/ask@1"], scorers=[judge])
    team = await client_of(Role.AUDITOR, prefix="pay/")
    asked = {"min_latency_ms": 0, "limit": 100}

    everything = (await client.get("/api/generations", params=asked)).json()
    own = (await team.get("/api/generations", params=asked)).json()

    assert (len(everything["items"]), everything["searched"]) == (10, 10)
    assert {item["purpose"] for item in own["items"]} == {"experiment", "judge"}
    assert (len(own["items"]), own["searched"]) == (4, 4)


async def test_the_request_of_an_experiment_can_be_made_again_exactly(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    await measure(services, client)
    [cell, _] = await chats(client, key="sum-3")

    replay = (await client.get(f"/api/generations/{cell['id']}/replay")).json()

    assert (replay["outcome"], replay["identical"]) == ("identical", True)
    assert replay["rendered_hash"] == replay["stored_hash"]
    assert replay["hash_holds"] is True
    assert "messages" in replay["checked"]


async def test_a_chat_is_made_again_by_those_who_may_read_it_and_that_is_on_record(
    client: httpx2.AsyncClient, client_of: ClientOf, services: Services
) -> None:
    await chat(services, client, "pay/bot@production")
    [answer] = await chats(client)
    path = f"/api/generations/{answer['id']}/replay"
    operator = await client_of(Role.OPERATOR)

    withheld = (await operator.get(path)).json()
    assert (withheld["outcome"], withheld["identical"]) == ("impossible", None)
    assert await openings(services.database) == []

    replay = (await client.get(path)).json()
    assert replay["outcome"] == "identical"
    assert len(await openings(services.database)) == 1


async def test_reading_why_a_chat_was_marked_is_an_opening(
    client: httpx2.AsyncClient, client_of: ClientOf, services: Services
) -> None:
    await chat(services, client, "pay/bot@production")
    [answer] = await chats(client)
    path = f"/api/generations/{answer['id']}/reviews"
    auditor = await client_of(Role.AUDITOR, prefix="pay/", name="oda")
    operator = await client_of(Role.OPERATOR)

    await client.post(path, json={"mark": "ok"})
    assert [it["reason"] for it in (await auditor.get(path)).json()] == [None]
    await client.post(path, json={"mark": "flagged", "reason": SECRET})
    assert [it["reason"] for it in (await operator.get(path)).json()] == [None, None]
    assert await openings(services.database) == []

    assert [it["reason"] for it in (await auditor.get(path)).json()] == [SECRET, None]
    assert await openings(services.database) == [("user:oda", answer["id"])]


async def test_equal_requests_and_equal_answers_are_counted(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    for _ in range(2):
        await measure(services, client, again=True)
    cells = await chats(client, key="sum-3", prompt="ask@1")
    assert len(cells) == 2

    found = [
        (await client.get(f"/api/generations/{cell['id']}/same-answers")).json() for cell in cells
    ]

    assert [told["requests"] for told in found] == [1, 1]
    assert [(told["compared"], told["same"]) for told in found] == [(1, 1), (1, 1)]


async def test_a_key_of_some_aliases_sees_answers_of_no_other(
    client: httpx2.AsyncClient, scoped_client: ScopedClient, services: Services
) -> None:
    for alias in ("payments/bot@production", "claims/bot@production"):
        await chat(services, client, alias)
    bound = await scoped_client("everything", aliases=["payments/bot@production"])

    assert [item["alias"] for item in await chats(bound)] == ["payments/bot@production"]
    assert (await bound.get("/api/generations/counts")).json()["answers"] == 1
    seen = {
        item["alias"]: (await bound.get(f"/api/generations/{item['id']}")).status_code
        for item in await chats(client)
    }
    assert seen == {"payments/bot@production": 200, "claims/bot@production": 404}
