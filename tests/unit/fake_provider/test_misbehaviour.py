"""The bytes of those faults whose meaning lies in the bytes."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime

import aiohttp
import psutil
import pytest

from tests.fake_provider import FakeProvider, FakeProviderProcess, FaultScript, ProviderOptions

MESSAGES = [{"role": "user", "content": "twelve chars"}]


@pytest.fixture
async def server() -> AsyncIterator[FakeProvider]:
    script = FaultScript(retry_after_s=3, oversized_bytes=3 << 20, drip_interval_s=0.01)
    async with FakeProvider(ProviderOptions(script=script)) as running:
        yield running


async def raw_reply(server: FakeProvider, fault: str, *, stream: bool, within_s: float) -> bytes:
    """Return all that arrives on a connection of its own until it ends or the time is up.

    Raises:
        ConnectionResetError: the server tore the connection down.
    """
    body = json.dumps({"model": f"fault-{fault}", "messages": MESSAGES, "stream": stream}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    received = b""
    try:
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        async with asyncio.timeout(within_s):
            while piece := await reader.read(65536):
                received += piece
    except TimeoutError:
        pass
    finally:
        writer.close()
    return received


def chunks_of(reply: bytes) -> tuple[list[bytes], bytes]:
    """Return the whole chunks of a chunked reply, and what follows them; b"" if it ended well."""
    rest = reply.partition(b"\r\n\r\n")[2]
    chunks: list[bytes] = []
    while rest:
        size, _, following = rest.partition(b"\r\n")
        length = int(size, 16)
        if len(following) < length + 2:
            return chunks, rest
        rest = following[length + 2 :]
        if length == 0:
            return chunks, rest
        chunks.append(following[:length])
    return chunks, rest


async def headers_of(
    http: aiohttp.ClientSession, server: FakeProvider, fault: str
) -> dict[str, str]:
    body = {"model": f"fault-{fault}", "messages": MESSAGES}
    async with http.post(f"{server.base_url}/chat/completions", json=body) as reply:
        assert reply.status == 429
        return {name.lower(): value for name, value in reply.headers.items()}


async def test_waiting_time_is_told_in_each_of_the_forms(
    http: aiohttp.ClientSession, server: FakeProvider
) -> None:
    asked_at = time.time()
    assert (await headers_of(http, server, "429-seconds"))["retry-after"] == "3"
    assert (await headers_of(http, server, "429-ms"))["retry-after-ms"] == "3000"
    date = (await headers_of(http, server, "429-date"))["retry-after"]
    told = parsedate_to_datetime(date).timestamp()
    assert asked_at + 3 <= told <= time.time() + 4
    silent = await headers_of(http, server, "429-no-header")
    assert not {"retry-after", "retry-after-ms"} & set(silent)


async def test_truncated_body_promises_twice_what_it_sends(server: FakeProvider) -> None:
    reply = await raw_reply(server, "truncated-body", stream=False, within_s=5)
    head, _, body = reply.partition(b"\r\n\r\n")
    promised = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    assert len(body) == promised // 2


async def test_truncated_chunk_is_shorter_than_it_says(server: FakeProvider) -> None:
    reply = await raw_reply(server, "truncated-chunked", stream=True, within_s=5)
    _, unfinished = chunks_of(reply)
    size, _, sent = unfinished.partition(b"\r\n")
    assert 0 < len(sent) < int(size, 16)


@pytest.mark.parametrize(
    ("fault", "beginning"),
    [("reset-after-headers", b"HTTP/1.1 200 OK\r\n"), ("reset-mid-body", b"HTTP/1.1 200 OK\r\n")],
)
async def test_what_was_sent_arrives_before_the_reset(
    server: FakeProvider, fault: str, beginning: bytes
) -> None:
    body = json.dumps({"model": f"fault-{fault}", "messages": MESSAGES}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(beginning)
    with pytest.raises(ConnectionResetError):
        while await reader.read(1):
            pass
    writer.close()


async def test_endless_replies_go_on_until_the_client_leaves(server: FakeProvider) -> None:
    for fault in ("endless-body", "keep-alive-comments"):
        reply = await raw_reply(server, fault, stream=True, within_s=0.2)
        piece = b": keep-alive" if fault == "keep-alive-comments" else b'"content":"more"'
        assert reply.count(piece) >= 3
    await server.until(lambda ledger: ledger.in_flight == 0)
    assert all(call.client_gone for call in server.ledger.calls)


@pytest.mark.parametrize("stream", [False, True])
async def test_oversized_body_is_a_good_answer_behind_its_padding(
    http: aiohttp.ClientSession, server: FakeProvider, stream: bool
) -> None:
    body = {"model": "fault-oversized-body", "messages": MESSAGES, "stream": stream}
    async with http.post(f"{server.base_url}/chat/completions", json=body) as reply:
        data = await reply.read()
    assert len(data) > 3 << 20
    if stream:
        assert data.startswith(b":  ")
        assert data.endswith(b"data: [DONE]\n\n")
    else:
        assert json.loads(data)["choices"][0]["message"]["content"] == "twelve chars"


@pytest.mark.parametrize("stream", [False, True])
async def test_gzip_bomb_is_valid_and_hundreds_of_times_smaller_than_its_content(
    server: FakeProvider, stream: bool
) -> None:
    reply = await raw_reply(server, "gzip-bomb", stream=stream, within_s=5)
    head, _, body = reply.partition(b"\r\n\r\n")
    assert b"Content-Encoding: gzip" in head
    content = gzip.decompress(body)  # checks length and CRC
    assert len(content) > 3 << 20
    assert len(content) > 500 * len(body)
    assert content.endswith(b"[DONE]\n\n" if stream else b"}")


async def test_characters_are_split_across_chunks_and_join_again(server: FakeProvider) -> None:
    reply = await raw_reply(server, "split-utf8", stream=True, within_s=5)
    chunks, unfinished = chunks_of(reply)
    assert unfinished == b""
    with pytest.raises(UnicodeDecodeError):
        chunks[0].decode()
    assert "🙂" in b"".join(chunks).decode()


async def test_merged_frames_come_as_one_chunk_and_good_ones_as_many(server: FakeProvider) -> None:
    merged, _ = chunks_of(await raw_reply(server, "merged-frames", stream=True, within_s=5))
    good, _ = chunks_of(await raw_reply(server, "absent-usage", stream=True, within_s=5))
    assert [chunk.count(b"data: ") for chunk in merged] == [6]
    assert [chunk.count(b"data: ") for chunk in good] == [1] * 6


async def test_awkward_text_carries_a_nul_and_a_lone_surrogate(server: FakeProvider) -> None:
    reply = await raw_reply(server, "awkward-text", stream=False, within_s=5)
    answer = json.loads(reply.partition(b"\r\n\r\n")[2])
    assert answer["choices"][0]["message"]["content"] == "a\x00b\ud800c twelve chars"


async def test_redirect_that_is_followed_shows_on_the_ledger(
    http: aiohttp.ClientSession, server: FakeProvider
) -> None:
    body = {"model": "fault-307-redirect", "messages": MESSAGES}
    url = f"{server.base_url}/chat/completions"
    async with http.post(url, json=body, allow_redirects=False) as reply:
        assert reply.status == 307
    assert "/elsewhere" not in server.ledger.summary()["by_path"]
    async with http.post(url, json=body) as reply:
        assert reply.status == 404
    assert server.ledger.summary()["by_path"]["/elsewhere"] == 1


async def test_flood_goes_no_faster_than_the_client_reads(
    http: aiohttp.ClientSession,
) -> None:
    script = FaultScript(oversized_bytes=64 << 20)
    async with FakeProvider(ProviderOptions(script=script)) as server:
        body = {"model": "fault-oversized-body", "messages": MESSAGES}
        async with http.post(f"{server.base_url}/chat/completions", json=body) as reply:
            for _ in range(20):
                async with http.get(f"{server.ollama_url}/api/version") as other:
                    await other.read()
            assert server.ledger.in_flight == 1
            await reply.read()
        await server.until(lambda ledger: ledger.in_flight == 0)


async def test_hundreds_of_megabytes_cost_the_server_no_memory(
    http: aiohttp.ClientSession,
) -> None:
    script = FaultScript(oversized_bytes=256 << 20)
    with FakeProviderProcess(ProviderOptions(script=script)) as server:
        process = psutil.Process(server.pid)
        before = process.memory_info().rss
        body = {"model": "fault-oversized-body", "messages": MESSAGES}
        received = 0
        async with http.post(f"{server.base_url}/chat/completions", json=body) as reply:
            async for piece in reply.content.iter_any():
                received += len(piece)
        assert received > 256 << 20
        assert process.memory_info().rss - before < 16 << 20
