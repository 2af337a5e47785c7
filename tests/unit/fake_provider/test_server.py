"""The server on a socket: order, latency, connections, and what the ledger says of it all."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.fake_provider import (
    Drift,
    FakeProvider,
    FaultScript,
    Ledger,
    ProviderOptions,
    key_label,
    request_identity,
)

CHAT = "/v1/chat/completions"


def chat_body(text: str = "hello", **fields: object) -> dict[str, object]:
    """Return a chat request; `fields` add to it or replace what it has."""
    messages = [{"role": "user", "content": text}]
    return {"model": "fake-model", "messages": messages, **fields}


def raw_request(body: dict[str, object], path: str = CHAT) -> bytes:
    data = json.dumps(body).encode()
    return b"POST %b HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(data), data)


async def read_reply(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return the head and the body of one reply that has a Content-Length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    return head, await reader.readexactly(length)


@asynccontextmanager
async def connection(
    server: FakeProvider,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield reader, writer
    finally:
        writer.close()


def received(count: int) -> Callable[[Ledger], bool]:
    return lambda ledger: len(ledger.calls) >= count


async def post(
    http: aiohttp.ClientSession, server: FakeProvider, body: object, path: str = CHAT
) -> tuple[int, object]:
    async with http.post(f"{server.ollama_url}{path}", json=body) as reply:
        return reply.status, await reply.json(content_type=None)


# --- connections and order --------------------------------------------------------------------


async def test_requests_sent_at_once_on_one_connection_are_answered_in_order() -> None:
    options = ProviderOptions(latency_ms=5)
    async with FakeProvider(options) as server, connection(server) as (reader, writer):
        writer.write(b"".join(raw_request(chat_body(f"number {n}")) for n in range(20)))
        answers = [json.loads((await read_reply(reader))[1]) for _ in range(20)]
        texts = [answer["choices"][0]["message"]["content"] for answer in answers]
        assert texts == [f"number {n}" for n in range(20)]
        assert server.ledger.max_in_flight == 1


async def test_request_may_arrive_byte_by_byte() -> None:
    async with FakeProvider() as server, connection(server) as (reader, writer):
        for byte in raw_request(chat_body()):
            writer.write(bytes([byte]))
            await writer.drain()
        assert (await read_reply(reader))[0].startswith(b"HTTP/1.1 200 ")


async def test_connection_is_closed_when_the_client_asks_for_it() -> None:
    async with FakeProvider() as server, connection(server) as (reader, writer):
        writer.write(b"GET /api/version HTTP/1.1\r\nConnection: close\r\n\r\n")
        await read_reply(reader)
        assert await reader.read() == b""


async def test_bytes_that_are_no_request_are_refused_and_the_connection_ends() -> None:
    async with FakeProvider() as server, connection(server) as (reader, writer):
        writer.write(b"what is this\r\n\r\n")
        head, body = await read_reply(reader)
        assert head.startswith(b"HTTP/1.1 400 ")
        assert "request line" in json.loads(body)["error"]["message"]
        assert await reader.read() == b""


async def test_first_connections_are_reset_before_any_request() -> None:
    script = FaultScript(reset_connections=2)
    async with FakeProvider(ProviderOptions(script=script)) as server:
        for _ in range(2):
            async with connection(server) as (reader, _):
                with pytest.raises(ConnectionResetError):
                    await reader.read()
        async with connection(server) as (reader, writer):
            writer.write(raw_request(chat_body()))
            await read_reply(reader)
        summary = server.ledger.summary()
        assert (summary["reset_connections"], summary["received"]) == (2, 1)


async def test_leaving_the_block_drops_open_connections_and_waiting_replies() -> None:
    async with FakeProvider(ProviderOptions(latency_ms=60_000)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(raw_request(chat_body()))
        await server.until(lambda ledger: ledger.in_flight == 1)
    assert await reader.read() == b""
    assert server.ledger.summary()["by_outcome"] == {"client_gone": 1}
    writer.close()


# --- latency ----------------------------------------------------------------------------------


async def test_no_reply_is_early_and_replies_wait_side_by_side(
    http: aiohttp.ClientSession,
) -> None:
    # Long enough for all forty to arrive before the first is answered, on a busy machine too.
    async with FakeProvider(ProviderOptions(latency_ms=800)) as server:
        calls = server.ledger.calls
        async with asyncio.TaskGroup() as group:
            # One after the other, so that the replies fall due at forty different moments.
            for n in range(40):
                group.create_task(post(http, server, chat_body(str(n))))
                await server.until(received(n + 1))
        spans = [call.time_out - call.time_in for call in calls if call.time_out is not None]
        assert len(spans) == 40
        assert min(spans) >= 0.8
        assert server.ledger.max_in_flight == 40
        # One after the other would take 32 s.
        assert max(call.time_out or 0 for call in calls) - calls[0].time_in < 8


async def test_other_paths_answer_at_once(http: aiohttp.ClientSession) -> None:
    async with (
        FakeProvider(ProviderOptions(latency_ms=60_000)) as server,
        http.get(f"{server.base_url}/models") as reply,
    ):
        assert reply.status == 200


async def test_stream_events_are_spaced_by_the_interval(http: aiohttp.ClientSession) -> None:
    async with FakeProvider(ProviderOptions(stream_interval_ms=20)) as server:
        body = chat_body("12345678", stream=True)
        async with http.post(f"{server.base_url}/chat/completions", json=body) as reply:
            text = await reply.text()
        events = text.split("\n\n")[:-1]
        assert len(events) == 5  # role, two tokens, finish reason, [DONE]
        (call,) = server.ledger.calls
        assert call.time_out is not None
        assert call.time_out - call.time_in >= 0.08


# --- the ledger -------------------------------------------------------------------------------


async def test_calls_are_counted_by_what_became_of_them(http: aiohttp.ClientSession) -> None:
    options = ProviderOptions(closed=True, script=FaultScript(sequence=("ok", "500", "ok")))
    async with FakeProvider(options) as server:
        for body in (chat_body(), chat_body(), {"model": "other", "messages": [{"role": "user"}]}):
            await post(http, server, body)
        await post(http, server, {"messages": []})
        async with http.get(f"{server.ollama_url}/_ledger") as reply:
            summary = await reply.json()
    assert summary["received"] == 4
    assert summary["answered"] == 1
    assert summary["by_outcome"] == {"answered": 1, "fault": 1, "refused": 2}
    assert summary["by_fault"] == {"500": 1}
    assert summary["by_status"] == {"200": 1, "500": 1, "404": 1, "400": 1}
    assert summary["by_path"] == {CHAT: 4}
    assert summary["in_flight"] == 0


async def test_attempts_of_a_request_are_counted_whatever_its_parameters(
    http: aiohttp.ClientSession,
) -> None:
    async with FakeProvider() as server:
        for body in (chat_body(), chat_body(temperature=1), chat_body("other"), chat_body()):
            await post(http, server, body)
        identity = request_identity("fake-model", [{"role": "user", "content": "hello"}])
        attempts = [(call.identity == identity, call.attempt) for call in server.ledger.calls]
        assert attempts == [(True, 1), (True, 2), (False, 1), (True, 3)]


async def test_keys_are_told_apart_and_never_shown(http: aiohttp.ClientSession) -> None:
    async with FakeProvider() as server:
        for key in ("canary-one", "canary-two", "canary-one"):
            headers = {"Authorization": f"Bearer {key}"}
            url = f"{server.base_url}/chat/completions"
            async with http.post(url, json=chat_body(), headers=headers) as reply:
                await reply.read()
        async with http.get(f"{server.ollama_url}/_ledger/calls") as reply:
            assert "canary" not in await reply.text()
        by_key = server.ledger.summary()["by_key"]
        assert by_key == {key_label("Bearer canary-one"): 2, key_label("Bearer canary-two"): 1}


async def test_client_that_leaves_is_noted() -> None:
    async with FakeProvider(ProviderOptions(latency_ms=60_000)) as server:
        async with connection(server) as (_, writer):
            writer.write(raw_request(chat_body()))
            await server.until(lambda ledger: ledger.in_flight == 1)
        await server.until(lambda ledger: ledger.in_flight == 0)
        assert server.ledger.calls[0].outcome == "client_gone"


async def test_line_of_a_call_is_in_the_file_before_its_reply(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.jsonl"
    for latency_ms in (0, 5):
        async with FakeProvider(ProviderOptions(latency_ms=latency_ms, ledger=path)) as server:
            before = len(path.read_text().splitlines())
            for n in range(5):
                await post(http, server, chat_body(str(n)))
                lines = path.read_text().splitlines()
                assert len(lines) == before + n + 1
            assert json.loads(lines[-1])["identity"] == server.ledger.calls[-1].identity


async def test_reset_forgets_calls_attempts_and_the_place_in_the_sequence(
    http: aiohttp.ClientSession,
) -> None:
    async with FakeProvider(ProviderOptions(script=FaultScript(sequence=("503",)))) as server:
        statuses = []
        for _ in range(2):
            statuses += [(await post(http, server, chat_body()))[0] for _ in range(2)]
            await post(http, server, {}, "/_reset")
            assert server.ledger.summary()["received"] == 0
        assert statuses == [503, 200, 503, 200]


async def test_script_is_replaced_over_http_and_a_bad_one_is_refused(
    http: aiohttp.ClientSession,
) -> None:
    async with FakeProvider() as server:
        assert (await post(http, server, {"rates": {"401": 1}}, "/_script"))[0] == 200
        assert (await post(http, server, chat_body()))[0] == 401
        status, reply = await post(http, server, {"rates": {"402": 1}}, "/_script")
        assert status == 400
        assert "no fault called" in str(reply)
        assert (await post(http, server, chat_body()))[0] == 401


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "param", "code"),
    [
        ({"temperature": 0.2}, "temperature", "unsupported_value"),
        ({"temperature": 1}, None, None),  # the default is no refusal
        ({"temperature": 1, "top_p": 0.6}, None, "both"),
        ({"top_p": 0.6}, None, None),
        ({"max_tokens": 5}, "max_tokens", "unsupported_parameter"),
        ({"max_completion_tokens": 5}, None, None),
    ],
)
async def test_strict_provider_refuses_parameters_as_real_ones_do(
    http: aiohttp.ClientSession, parameters: dict[str, object], param: str | None, code: str | None
) -> None:
    strict = ProviderOptions(
        strict=frozenset({"temperature", "top_p_with_temperature", "max_tokens"})
    )
    async with FakeProvider(strict) as server:
        status, reply = await post(http, server, {**chat_body(), **parameters})
    assert isinstance(reply, dict)
    if code is None:
        assert status == 200
        return
    assert status == 400
    error = reply["error"]
    if code == "both":
        assert "`temperature` or `top_p`" in error["message"]
    else:
        assert (error["param"], error["code"]) == (param, code)


async def test_fault_that_a_request_cannot_show_is_refused_aloud(
    http: aiohttp.ClientSession,
) -> None:
    async with FakeProvider() as server:
        status, reply = await post(
            http, server, {**chat_body(), "model": "fault-keep-alive-comments"}
        )
        assert status == 400
        assert "cannot show the fault keep-alive-comments" in str(reply)
        assert server.ledger.summary()["by_outcome"] == {"refused": 1}


async def test_model_name_with_an_unknown_fault_is_refused_with_the_nearest_names(
    http: aiohttp.ClientSession,
) -> None:
    async with FakeProvider() as server:
        status, reply = await post(http, server, {**chat_body(), "model": "fault-429-second"})
        assert status == 400
        assert "429-seconds" in str(reply)


async def test_unknown_paths_and_methods_are_refused(http: aiohttp.ClientSession) -> None:
    async with FakeProvider() as server:
        for path in ("/v1/embeddings", "/_nothing"):
            assert (await post(http, server, {}, path))[0] == 404
        async with http.get(f"{server.ollama_url}{CHAT}") as reply:
            assert reply.status == 405
        assert server.ledger.summary()["by_path"] == {"/v1/embeddings": 1, CHAT: 1}


# --- answers ----------------------------------------------------------------------------------


async def test_equal_calls_get_equal_bytes_from_servers_with_equal_seeds(
    http: aiohttp.ClientSession,
) -> None:
    replies = []
    for _ in range(2):
        async with FakeProvider(ProviderOptions(answer="arithmetic", seed=4)) as server:
            url = f"{server.base_url}/chat/completions"
            async with http.post(url, json=chat_body("What is 2 + 2?")) as reply:
                replies.append((await reply.read(), reply.headers["x-request-id"]))
    assert replies[0] == replies[1]


async def test_model_drifts_after_the_given_number_of_calls(http: aiohttp.ClientSession) -> None:
    drift = Drift(2, model="fake-model-2", fingerprint="fp_new", digest="f" * 64)
    async with FakeProvider(ProviderOptions(drift=drift)) as server:
        reported, digests = [], []
        for _ in range(3):
            _, reply = await post(http, server, chat_body())
            assert isinstance(reply, dict)
            reported.append((reply["model"], reply["system_fingerprint"]))
            async with http.get(f"{server.ollama_url}/api/tags") as tags:
                digests.append((await tags.json())["models"][0]["digest"])
    assert reported == [("fake-model", "fp_fake")] * 2 + [("fake-model-2", "fp_new")]
    assert digests[0] == digests[1] != digests[2] == "f" * 64
