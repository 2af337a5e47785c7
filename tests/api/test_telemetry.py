"""Spans of requests, model calls and statements: who called whom, how long, and never content."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy import Engine, event, text

from app.api.authorisation import PUBLIC
from app.core import telemetry
from app.database import DatabaseError
from tests.api.watched import ALIAS, MODEL, Watched, until, watch, watched_settings
from tests.fake_provider import FakeProvider, ProviderOptions

QUESTION = "the question nobody may trace"
ANSWER = "the answer nobody may trace"
NAMES = {
    value
    for name, value in vars(telemetry).items()
    if name.isupper() and isinstance(value, str) and name != "CONVENTIONS"
}


def break_down(application: FastAPI) -> None:
    @application.get("/broken/{what}", dependencies=[Depends(PUBLIC)])
    async def broken(what: str) -> None:
        raise ZeroDivisionError(what)


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider(ProviderOptions(answer=f"fixed:{ANSWER}")) as server:
        yield server


@pytest.fixture
async def watched(
    database_url: str, tmp_path: Path, provider: FakeProvider
) -> AsyncIterator[Watched]:
    settings = watched_settings(tmp_path, database_url, provider.base_url)
    async with watch(settings, routes=break_down) as watched:
        yield watched
        assert_harmless(watched)


def assert_harmless(watched: Watched) -> None:
    """Every span has its time and only known attributes; none holds what anybody wrote."""
    for span in watched.spans:
        assert facts(span)["latency_ms"] >= 0
        assert set(facts(span)) <= NAMES, span.name
        assert not span.events
    everything = "".join(span.to_json() for span in watched.spans) + watched.log.getvalue()
    for secret in ("nobody may trace", watched.key, watched.key[-20:], "sk-test", "Bearer"):
        assert secret not in everything


def facts(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def only(spans: Sequence[ReadableSpan], name: str) -> ReadableSpan:
    (found,) = [span for span in spans if span.name == name]
    return found


def is_child(span: ReadableSpan, parent: ReadableSpan) -> bool:
    assert parent.context is not None
    return span.parent is not None and span.parent.span_id == parent.context.span_id


CHAT = "POST /v1/chat/completions"
CALL = "chat fake-model"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_chats_call_belongs_to_its_request(watched: Watched, stream: bool) -> None:
    await watched.serve()
    watched.forget()
    reply = await watched.chat(text=QUESTION, stream=stream)
    assert reply.status_code == 200
    request, call = only(watched.spans, CHAT), only(watched.spans, CALL)
    assert (request.kind, call.kind) == (SpanKind.SERVER, SpanKind.CLIENT)
    assert is_child(call, request)
    told = facts(request)
    assert told.pop("latency_ms") >= facts(call)["latency_ms"]
    assert told == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "request_id": reply.headers["x-request-id"],
        "provider": "openai",
        "model": f"{MODEL}@1",
        "alias": ALIAS,
        "generation_id": reply.headers["x-workbench-generation"],
    }
    assert facts(call)["gen_ai.prompt.name"] == "support-bot@1"
    assert facts(call)["request_id"] == reply.headers["x-request-id"]
    assert ("gen_ai.response.time_to_first_chunk" in facts(call)) is stream


async def test_what_was_asked_of_the_model_is_in_numbers_only(watched: Watched) -> None:
    await watched.serve()
    watched.forget()
    await watched.chat(text=QUESTION, max_tokens=32, stop=["may trace"])
    told = facts(only(watched.spans, CALL))
    assert told["gen_ai.request.max_tokens"] == 32
    assert told["gen_ai.request.temperature"] == 0.2
    assert told["gen_ai.usage.input_tokens"] > 0
    assert told["gen_ai.response.finish_reasons"] == ("stop",)


async def test_a_call_names_its_conversation(watched: Watched) -> None:
    await watched.serve()
    begun = await watched.client.post("/api/conversations", json={"alias": ALIAS})
    where = f"/api/conversations/{begun.json()['id']}/messages"
    watched.forget()
    assert (await watched.client.post(where, json={"content": QUESTION})).status_code == 201
    request = only(watched.spans, "POST /api/conversations/{conversation_id}/messages")
    call = only(watched.spans, CALL)
    assert is_child(call, request)
    assert facts(call)["gen_ai.conversation.id"] == begun.json()["id"]
    assert facts(request)["provider"] == "openai"


async def test_a_failed_call_is_an_error_by_its_code(watched: Watched) -> None:
    await watched.serve("openai/fault-401")
    watched.forget()
    reply = await watched.chat(text=QUESTION)
    request, call = only(watched.spans, CHAT), only(watched.spans, "chat fault-401")
    assert facts(call)["error.type"] == "authentication"
    assert facts(call)["http.response.status_code"] == 401
    assert (call.status.status_code, call.status.description) == (StatusCode.ERROR, None)
    assert facts(request)["error.type"] == str(reply.status_code) == "502"


async def test_a_fallbacks_call_stands_beside_the_one_that_failed(watched: Watched) -> None:
    await watched.serve("openai/fault-401", MODEL)
    watched.forget()
    assert (await watched.chat(text=QUESTION)).status_code == 200
    request = only(watched.spans, CHAT)
    failed, answered = only(watched.spans, "chat fault-401"), only(watched.spans, CALL)
    assert is_child(failed, request) and is_child(answered, request)
    assert facts(request)["model"] == f"{MODEL}@1"
    assert request.status.status_code is StatusCode.UNSET


async def test_a_call_whose_client_left_stays_in_its_trace_and_its_lines_keep_the_request(
    watched: Watched,
) -> None:
    await watched.serve()
    watched.forget()
    await watched.leave_during_a_chat(text=QUESTION, headers={"x-request-id": "req-gone"})
    await until(lambda: watched.services.chat.under_way == 0)
    request, call = only(watched.spans, CHAT), only(watched.spans, CALL)
    assert is_child(call, request)
    assert facts(request)["http.response.status_code"] == 499
    assert {line["request_id"] for line in watched.lines} == {"req-gone"}
    assert {line["event"] for line in watched.lines} == {"llm_call", "http_request"}


async def test_a_request_reads_inside_its_own_trace(watched: Watched) -> None:
    await watched.client.get("/api/prompts")
    request = only(watched.spans, "GET /api/prompts")
    inside = [span for span in watched.spans if is_child(span, request)]
    selects = [span for span in inside if facts(span).get("db.collection.name") == "prompt"]
    assert selects
    for span in selects:
        assert facts(span)["db.operation.name"] == "SELECT"
        assert facts(span)["provider"] == facts(span)["db.system.name"]
        assert facts(span)["provider"] in ("sqlite", "postgresql")
    assert "provider" not in facts(request)


async def test_a_request_writes_inside_its_own_trace(watched: Watched) -> None:
    reply = await watched.client.post("/api/users", json={"name": "bea"})
    assert reply.status_code == 201, reply.text
    request = only(watched.spans, "POST /api/users")
    names = {span.name for span in watched.spans if is_child(span, request)}
    assert {"INSERT user", "INSERT audit_event"} <= names


async def test_a_chats_record_is_written_with_spans_too(watched: Watched) -> None:
    await watched.serve()
    watched.forget()
    await watched.chat(text=QUESTION)
    names = [span.name for span in watched.spans]
    assert names.count("INSERT generation") == 1
    assert "INSERT attempt" in names


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """Every statement that any engine executes."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)


async def test_no_call_and_no_statement_is_without_its_span(
    watched: Watched, provider: FakeProvider, statements: list[str]
) -> None:
    await watched.serve("openai/fault-401", MODEL)
    watched.forget()
    statements.clear()
    requests = [watched.chat(text=QUESTION, stream=number % 2 == 0) for number in range(6)]
    await asyncio.gather(*requests, watched.client.get("/api/users"))
    spans = [facts(span) for span in watched.spans]
    assert sum("http.route" in span for span in spans) == 7
    assert sum("gen_ai.operation.name" in span for span in spans) == len(provider.ledger.calls)
    assert sum("db.system.name" in span for span in spans) == len(statements) > 0


async def test_a_statement_that_fails_is_an_error_by_its_state(watched: Watched) -> None:
    async with watched.services.database.engine.connect() as connection:
        with pytest.raises(DatabaseError):
            await connection.execute(text("SELECT 'nobody may trace' FROM nowhere"))
    failed = facts(only(watched.spans, "SELECT nowhere"))
    assert failed["error.type"] in ("OperationalError", "42P01")


async def test_an_address_that_nobody_knows_is_not_repeated(watched: Watched) -> None:
    await watched.client.get("/nobody-may-trace/the question nobody may trace")
    request = only(watched.spans, "GET unmatched")
    assert facts(request)["http.route"] == "unmatched"
    assert facts(request)["http.response.status_code"] == 404


async def test_a_wrong_credential_is_no_attribute(watched: Watched) -> None:
    wrong = {"Authorization": "Bearer wb_aaaaaaaaaaaa_nobody-may-trace"}
    reply = await watched.client.get("/api/prompts", headers=wrong)
    assert reply.status_code == 401
    assert facts(only(watched.spans, "GET /api/prompts"))["http.response.status_code"] == 401


async def test_a_mistake_of_ours_is_an_error_with_its_class(watched: Watched) -> None:
    reply = await watched.client.get("/broken/division")
    request = only(watched.spans, "GET /broken/{what}")
    assert reply.status_code == facts(request)["http.response.status_code"] == 500
    assert facts(request)["error.type"] == "ZeroDivisionError"
    assert request.status.status_code is StatusCode.ERROR


async def test_a_caller_who_traces_finds_us_in_their_trace(watched: Watched) -> None:
    parent = f"00-{'a1' * 16}-{'b2' * 8}-01"
    await watched.client.get("/health", headers={"traceparent": parent})
    request = only(watched.spans, "GET /health")
    assert request.context is not None and request.parent is not None
    assert format(request.context.trace_id, "032x") == "a1" * 16
    assert format(request.parent.span_id, "016x") == "b2" * 8


async def test_every_line_of_a_request_has_its_id(watched: Watched) -> None:
    await watched.serve()
    watched.forget()
    reply = await watched.chat(text=QUESTION)
    lines = {line["event"]: line for line in watched.lines}
    assert set(lines) == {"llm_call", "http_request"}
    assert {line["request_id"] for line in lines.values()} == {reply.headers["x-request-id"]}
    told = lines["http_request"]
    assert (told["method"], told["route"]) == ("POST", "/v1/chat/completions")
    assert (told["status"], told["alias"], told["provider"]) == (200, ALIAS, "openai")
    assert told["generation_id"] == reply.headers["x-workbench-generation"]
    assert told["latency_ms"] > 0
