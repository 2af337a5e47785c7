"""Bodies are checked while they arrive: JSON only, bounded in size, depth and time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise

import httpx2
import pytest
from fastapi import Depends, FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from app.api.authorisation import PUBLIC
from app.api.bodies import MAX_DEPTH, Bodies, BodyRules, JSONDepth, PatientRequest
from app.core.permissions import Role
from app.core.settings import Settings
from app.main import create_app
from tests.api.conftest import ClientOf, key_of

JSON_TYPE = {"content-type": "application/json"}
LIMIT = 10_000


@pytest.fixture
def database_kind() -> str:
    """No body reaches a database here."""
    return "sqlite"


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the application with a small limit and a route that tells a body's length."""
    small = {"max_body_bytes": LIMIT, "max_import_bytes": 10 * LIMIT}
    application = create_app(settings.model_copy(update=small))

    @application.post("/length", dependencies=[Depends(PUBLIC)])
    @application.delete("/length", dependencies=[Depends(PUBLIC)])
    async def length(request: Request) -> int:
        return len(await request.body())

    async with application.router.lifespan_context(application):
        key = await key_of(application.state.services, "ana", Role.RESEARCHER)
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=application),
            base_url="http://test",
            headers={"Authorization": f"Bearer {key}"},
        ) as client:
            yield client


async def post(client: httpx2.AsyncClient, body: bytes, **headers: str) -> httpx2.Response:
    return await client.post("/length", content=body, headers={**JSON_TYPE, **headers})


async def test_a_body_within_the_rules_arrives_whole(client: httpx2.AsyncClient) -> None:
    body = json.dumps({"a": "x" * (LIMIT - 9)}).encode()
    assert len(body) == LIMIT
    assert (await post(client, body)).json() == LIMIT


async def test_a_request_without_a_body_needs_no_media_type(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/length")).json() == 0
    assert (await client.delete("/length")).json() == 0


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
async def test_what_is_not_sent_as_json_is_415(client: httpx2.AsyncClient, media_type: str) -> None:
    reply = await client.post("/length", content=b"{}", headers={"content-type": media_type})
    assert reply.status_code == 415
    assert reply.json()["type"] == "urn:workbench:problem:unsupported_media_type"


async def test_a_charset_is_no_other_type(client: httpx2.AsyncClient) -> None:
    reply = await client.post(
        "/length", content=b"{}", headers={"content-type": "Application/JSON; charset=utf-8"}
    )
    assert reply.status_code == 200


async def test_nothing_is_unpacked(client: httpx2.AsyncClient) -> None:
    assert (await post(client, b"{}", **{"content-encoding": "gzip"})).status_code == 415


async def test_a_longer_body_is_413_by_its_announcement(client: httpx2.AsyncClient) -> None:
    reply = await post(client, b"x" * (LIMIT + 1))
    assert reply.status_code == 413
    assert reply.headers["connection"] == "close"


async def test_a_longer_body_is_413_whatever_it_announces(client: httpx2.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(LIMIT):
            yield b"1234"

    reply = await client.post("/length", content=pieces(), headers=JSON_TYPE)
    assert reply.status_code == 413


async def test_an_import_may_be_larger(client: httpx2.AsyncClient) -> None:
    body = json.dumps({"name": "x", "text": "x" * LIMIT}).encode()
    imported = await client.post("/api/datasets", content=body, headers=JSON_TYPE)
    assert imported.json()["detail"] != (await post(client, body)).json()["detail"]
    assert imported.status_code == 422
    elsewhere = await client.post("/api/variants", content=body, headers=JSON_TYPE)
    assert elsewhere.status_code == 413


@pytest.mark.parametrize("path", ["/api/datasets", "/api/datasets/nobody", "/v1/chat/completions"])
@pytest.mark.parametrize("credential", [None, "wb_unknown"])
async def test_no_body_is_read_of_whoever_has_not_signed_in(
    client: httpx2.AsyncClient, path: str, credential: str | None
) -> None:
    read = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield b"{no JSON"

    client.headers.pop("Authorization")
    headers = JSON_TYPE if credential is None else {**JSON_TYPE, "Authorization": credential}
    request = client.build_request("POST", path, content=pieces(), headers=headers)
    reply = await client.send(request)
    without_body = await client.post(path, headers=headers)
    assert (reply.status_code, read) == (without_body.status_code, 0)
    assert reply.status_code == (404 if path.endswith("nobody") else 401)


async def test_a_wrong_credential_is_counted_once_though_a_body_comes_with_it(
    client: httpx2.AsyncClient,
) -> None:
    wrong = {**JSON_TYPE, "Authorization": "Bearer wb_no_such_key"}
    replies = [await client.post("/api/datasets", content=b"{}", headers=wrong) for _ in range(6)]
    assert [reply.status_code for reply in replies] == [401] * 5 + [429]


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
async def test_a_body_that_nests_too_deep_is_invalid(
    client: httpx2.AsyncClient, opening: bytes
) -> None:
    assert (await post(client, opening * MAX_DEPTH)).status_code == 200
    reply = await post(client, opening * (MAX_DEPTH + 1))
    assert reply.status_code == 422
    assert reply.json()["path"] == "body"


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b"\xff\xfe{\x00}\x00", b'{"x": ' + b"9" * 5000 + b"}"]
)
async def test_what_no_parser_reads_is_invalid(
    application: FastAPI, client_of: ClientOf, body: bytes
) -> None:
    signed_in = await client_of(Role.ADMIN)
    reply = await signed_in.post("/api/models", content=body, headers=JSON_TYPE)
    assert reply.status_code == 422
    assert (reply.json()["path"] or "").startswith("body")


async def test_nul_is_no_character_of_a_body(client: httpx2.AsyncClient) -> None:
    assert (await post(client, rb'{"a": "\u0000"}')).status_code == 422
    assert (await post(client, rb'{"a": "\\\u0000"}')).status_code == 422
    assert (await post(client, rb'{"a": "\\u0000"}')).status_code == 200


async def test_the_event_loop_goes_on_while_a_large_body_is_parsed() -> None:
    value = {"examples": [{"key": f"k{n}", "input": {"n": n}} for n in range(100_000)]}
    body = json.dumps(value).encode()

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    parsing = asyncio.create_task(PatientRequest({"type": "http", "headers": []}, receive).json())
    turns = 0
    while not parsing.done():
        turns += 1
        await asyncio.sleep(0.001)
    assert parsing.result() == value
    assert turns > 5  # in one go it would be two or three


async def test_what_was_parsed_aside_is_stored_or_refused_as_usual(client_of: ClientOf) -> None:
    ana = await client_of(Role.RESEARCHER)
    examples = [{"input": {"text": f"{n} " + "x" * 300}} for n in range(1_000)]
    body = json.dumps({"name": "large", "examples": examples}).encode()
    stored = await ana.post("/api/datasets", content=body, headers=JSON_TYPE)
    assert (stored.status_code, stored.json()["version"]["example_count"]) == (201, 1_000)
    refused = await ana.post("/api/datasets", content=body[:-1], headers=JSON_TYPE)
    assert refused.status_code == 422


async def test_a_body_that_does_not_arrive_in_time_is_408() -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("the body never arrived")

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    middleware = Bodies(application, BodyRules(max_bytes=10, timeout_s=0.01))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "app": FastAPI()}
    await middleware(scope, receive, send)
    assert sent[0]["status"] == 408


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


_TEXTS = st.text(alphabet=st.sampled_from('ab"\\[]{}\n\u00e9'), max_size=8)
_VALUES = st.recursive(
    _TEXTS | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=20,
)


@given(value=_VALUES, cuts=st.lists(st.integers(min_value=0, max_value=400), max_size=8))
def test_the_depth_is_the_same_however_the_text_is_cut(value: object, cuts: list[int]) -> None:
    text = json.dumps(value).encode()
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    depth = JSONDepth()
    for start, end in pairwise(places):
        depth.feed(text[start:end])
    assert depth.deepest == depth_of(value)


def test_a_cut_anywhere_in_a_string_changes_nothing() -> None:
    value = ["[[[", {"\\": '"[[', "]]": "\\\\[[["}, '\\"', []]
    text = json.dumps(value).encode()
    for cut in range(len(text)):
        depth = JSONDepth()
        depth.feed(text[:cut])
        depth.feed(text[cut:])
        assert depth.deepest == depth_of(value), cut


def test_no_text_makes_the_scan_slow() -> None:
    """Quadratic work on one of these would take minutes."""
    for text in (b'"' + b'\\"' * 1_000_000, b'"' * 2_000_001, b"[" * 2_000_000, b"\\" * 2_000_000):
        JSONDepth().feed(text)
