"""What Prometheus reads: counts that agree with what happened, labels that nobody can invent."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from fastapi import Depends, FastAPI
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from app.api.authorisation import PUBLIC
from app.core.errors import Abandoned
from app.core.metrics import Metrics
from app.core.observers import EndedChat
from app.core.permissions import Permission, Role, local_actor
from app.core.settings import ChatSettings
from app.llm.types import Message
from app.schemas.aliases import read_deployment_request
from app.schemas.api_keys import KeyScope, NewApiKey
from app.schemas.chat import ChatRequest
from app.schemas.jobs import RunRequest
from app.schemas.limits import LimitValues
from tests.api.conftest import key_of
from tests.api.measured import asked, stock
from tests.api.watched import ALIAS, MODEL, Watched, until, watch, watched_settings
from tests.conftest import REPOSITORY
from tests.fake_provider import FakeProvider, ProviderOptions

SERVED = f'alias="{ALIAS}",model="{MODEL}@1"'
PAGE = REPOSITORY / "docs" / "howto" / "observe.md"

Samples = Mapping[str, float]


def break_down(application: FastAPI) -> None:
    @application.get("/broken", dependencies=[Depends(PUBLIC)])
    async def broken() -> None:
        raise ZeroDivisionError


@pytest.fixture
def database_kind() -> str:
    """Counting is the same over any database; one is enough."""
    return "sqlite"


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider(ProviderOptions(latency_ms=50)) as server:
        yield server


@pytest.fixture
async def watched(
    database_url: str, tmp_path: Path, provider: FakeProvider
) -> AsyncIterator[Watched]:
    settings = watched_settings(tmp_path, database_url, provider.base_url)
    hasty = settings.model_copy(update={"chat": ChatSettings(drain_s=0)})
    async with watch(hasty, routes=break_down) as watched:
        yield watched


def samples(text: str) -> Samples:
    """Return every sample of the text format by its name and labels, as in `name{a="1",b="2"}`."""
    return {
        f"{sample.name}{{{_labels(sample.labels)}}}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))


async def scraped(watched: Watched) -> Samples:
    reply = await watched.client.get("/metrics")
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    return samples(reply.text)


async def test_only_whoever_may_read_metrics_does(watched: Watched) -> None:
    viewer = await key_of(watched.services, "vera", Role.VIEWER)
    scope = KeyScope(permissions=frozenset({Permission.METRICS_READ}))
    new = NewApiKey(name="prometheus", is_service=True, scope=scope)
    service = (await watched.services.api_keys.create(local_actor(), new)).secret
    team = await key_of(watched.services, "tom", Role.OPERATOR, prefix="payments/")
    for key, status in ((viewer, 403), (team, 403), ("wb_nobody", 401), (service, 200)):
        headers = {"Authorization": f"Bearer {key}"}
        reply = await watched.client.get("/metrics", headers=headers)
        assert reply.status_code == status, reply.text


async def test_an_answer_is_counted_with_its_tokens_time_and_cost(watched: Watched) -> None:
    await watched.serve(priced=True)
    plain, streamed = await watched.chat(), await watched.chat(stream=True)
    assert (plain.status_code, streamed.status_code) == (200, 200)
    used = plain.json()["usage"]
    found = await scraped(watched)
    ended = f'{{alias="{ALIAS}",ending="completed",model="{MODEL}@1",provider="openai"'
    assert found[f'workbench_chats_total{ended},role="primary"}}'] == 2
    assert found[f"workbench_chat_seconds_count{{{SERVED}}}"] == 2
    assert found[f"workbench_chat_seconds_sum{{{SERVED}}}"] >= 0.1
    assert found[f"workbench_time_to_first_token_seconds_count{{{SERVED}}}"] == 1
    token = f'workbench_tokens_total{{alias="{ALIAS}",direction="'
    assert found[f'{token}input",model="{MODEL}@1"}}'] == 2 * used["prompt_tokens"]
    assert found[f'{token}output",model="{MODEL}@1"}}'] == 2 * used["completion_tokens"]
    dollars = (2 * used["prompt_tokens"] + 4 * used["completion_tokens"]) / 1_000_000
    assert found[f"workbench_cost_dollars_total{{{SERVED}}}"] == pytest.approx(dollars)
    assert found["workbench_chats_under_way{}"] == 0


async def test_an_answer_that_failed_is_counted_by_its_error(watched: Watched) -> None:
    await watched.serve("openai/fault-401")
    assert (await watched.chat()).status_code == 502
    found = await scraped(watched)
    labels = f'alias="{ALIAS}",code="authentication",model="openai/fault-401@1"'
    assert found[f"workbench_chat_errors_total{{{labels}}}"] == 1
    assert found[_requests("POST", "/v1/chat/completions", 502)] == 1


async def test_an_answer_under_way_is_counted_until_it_ends(watched: Watched) -> None:
    await watched.serve("openai/fault-slow-first-byte")
    message = Message("user", "Is anybody there?")
    request = ChatRequest(ALIAS, (message,), request_id="req-1", request_hash="sha256:0")
    call = await watched.services.chat.begin(local_actor(), request)
    assert (await scraped(watched))["workbench_chats_under_way{}"] == 1
    call.leave()
    with pytest.raises(Abandoned):
        await call.result()
    found = await scraped(watched)
    assert found["workbench_chats_under_way{}"] == 0
    gone = [name for name in found if "workbench_chats_total" in name and "client_gone" in name]
    assert len(gone) == 1


async def test_the_text_of_a_disabled_alias_is_counted_and_leaves_nothing_under_way(
    watched: Watched,
) -> None:
    await watched.serve()
    request = read_deployment_request({"kind": "disable", "message": "Closed.", "reason": "a test"})
    await watched.services.aliases.deploy(local_actor(), ALIAS, request)
    answered = await watched.chat()
    found = await scraped(watched)
    assert found["workbench_chats_under_way{}"] == 0
    assert sum(v for name, v in found.items() if name.startswith("workbench_chats_total")) == 1
    assert answered.json()["choices"][0]["message"]["content"] == "Closed."


async def test_a_request_turned_away_is_counted_by_whose_limit_it_was(watched: Watched) -> None:
    await watched.serve(priced=True)
    limits = watched.services.limits
    once = LimitValues(requests_per_minute=1, on_reach="stop")
    await limits.set(local_actor(), "alias", ALIAS, once)
    assert [(await watched.chat()).status_code for _ in range(2)] == [200, 429]
    broke = LimitValues(dollars_per_day=Decimal("0.000001"), on_reach="stop")
    await limits.set(local_actor(), "user", "everything", broke)
    assert (await watched.chat()).status_code == 429
    found = await scraped(watched)
    refused = "workbench_limit_refusals_total"
    assert found[f'{refused}{{holder_kind="alias",reason="rate"}}'] == 1
    assert found[f'{refused}{{holder_kind="user",reason="budget"}}'] == 1
    assert found["workbench_chats_under_way{}"] == 0


async def test_a_mistake_of_ours_is_counted_as_an_internal_error(watched: Watched) -> None:
    assert (await watched.client.get("/broken")).status_code == 500
    assert (await scraped(watched))[_requests("GET", "/broken", 500)] == 1


async def test_connections_and_jobs_are_looked_up_when_asked(watched: Watched) -> None:
    await stock(watched.services)
    request = RunRequest.model_validate(asked())
    await watched.services.jobs.start_experiment(local_actor(), request)
    await watched.client.get("/api/users")  # the first use of a key is noted, by a writer
    await until(lambda: not any(watched.services.database.connections().values()))
    found = await scraped(watched)
    assert found['workbench_jobs{status="queued"}'] == 1
    assert found['workbench_jobs{status="running"}'] == 0
    assert found['workbench_database_connections{pool="read"}'] == 0
    assert found['workbench_database_connections{pool="write"}'] == 0
    async with watched.services.database.engine.connect():
        assert (await scraped(watched))['workbench_database_connections{pool="write"}'] == 1


async def test_nobody_outside_can_make_a_label(watched: Watched) -> None:
    await watched.serve()
    await watched.chat()
    for name in ("invented-1", "invented/model", "invented@production"):
        assert (await watched.chat(name)).status_code == 404
        await watched.client.get(f"/api/{name}")
        await watched.client.get(f"/api/prompts/{name}")
        await watched.client.request("INVENTED", "/health")
    text = (await watched.client.get("/metrics")).text
    assert "invented" not in text.lower()
    assert set(re.findall(r'method="([^"]*)"', text)) <= {"GET", "POST", "OTHER"}


async def test_the_page_lists_exactly_what_is_exported(watched: Watched) -> None:
    one = EndedChat("a", "r", "p", "m", "failed", "timeout", 1, 1, 1, 1, Decimal(1))
    watched.metrics.chat_ended(one)
    watched.metrics.limit_refused("key", budget_spent=True)
    documented = {
        (name, kind, frozenset(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in re.findall(
            r"^\| `(workbench_\w+)` \| (\w+) \| ([^|]*)\|", PAGE.read_text(), re.MULTILINE
        )
    }
    await watched.client.get("/health")
    assert documented == _exported((await watched.client.get("/metrics")).text)


def _exported(text: str) -> set[tuple[str, str, frozenset[str]]]:
    """Return name, kind and labels of everything but the times at which counting began."""
    return {
        (name, kind, frozenset(labels) - {"le"})
        for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE)
        if not name.endswith("_created")
        for labels in [re.findall(r'(\w+)="', _first_sample(text, name))]
    }


def _first_sample(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(name))


def _requests(method: str, route: str, status: int) -> str:
    labels = f'method="{method}",route="{route}",status="{status}"'
    return f"workbench_http_requests_total{{{labels}}}"


texts = st.sampled_from(["a", "b", 'c"\\\n'])
counts = st.none() | st.integers(0, 10**9)
ended_chats = st.builds(
    EndedChat,
    alias=st.none() | texts,
    role=st.none() | texts,
    provider=texts,
    model=texts,
    ending=texts,
    error_code=st.none() | texts,
    seconds=st.floats(0, 10**6),
    time_to_first_token_s=st.none() | st.floats(0, 10**6),
    input_tokens=counts,
    output_tokens=counts,
    dollars=st.none() | st.decimals(0, 1000, places=6),
)


@given(st.lists(ended_chats, max_size=20))
def test_what_is_counted_adds_up(chats: list[EndedChat]) -> None:
    metrics = Metrics()
    for chat in chats:
        metrics.chat_began()
        metrics.chat_ended(chat)
    totals: Counter[str] = Counter()
    for name, value in samples(metrics.render().decode()).items():
        totals[name.partition("{")[0]] += value  # type: ignore[assignment] # a counter of floats
    assert totals["workbench_chats_total"] == len(chats)
    assert totals["workbench_chat_seconds_count"] == len(chats)
    assert totals["workbench_chat_errors_total"] == sum(it.error_code is not None for it in chats)
    tokens = sum((it.input_tokens or 0) + (it.output_tokens or 0) for it in chats)
    assert totals["workbench_tokens_total"] == tokens
    spent = float(sum(it.dollars or 0 for it in chats))
    assert totals["workbench_cost_dollars_total"] == pytest.approx(spent)
    assert totals["workbench_chats_under_way"] == 0
