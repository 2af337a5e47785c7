"""Five limits hold for every call: connect, first byte, idle gap, total, bytes."""

from __future__ import annotations

import asyncio
import gzip
import resource
import socket
import time
import zlib

import pytest

from app.core.settings import CallLimits
from app.llm.errors import LLMError, MalformedResponse, ResponseTooLarge, Timeout
from app.llm.types import LLMRequest
from tests.fake_provider import FakeProvider, FaultScript, ProviderOptions
from tests.integration.llm.support import (
    Exchange,
    TinyServer,
    client_for,
    request,
    settings,
)

LONG = {"connect_s": 5, "first_byte_s": 5, "idle_s": 5, "total_s": 5}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENTS = HEAD % b"text/event-stream"


def limits(**seconds: float) -> CallLimits:
    return CallLimits.model_validate({**LONG, "max_bytes": 1 << 20, **seconds})


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def fail(url: str, chosen: CallLimits, *, stream: bool = False) -> LLMError:
    """Return the error of a call that must fail well before the long limits."""
    began = time.monotonic()
    async with client_for(settings(url, limits=chosen)) as client:
        with pytest.raises(LLMError) as caught:
            if stream:
                async for _ in client.stream(request()):
                    pass
            else:
                await client.generate(request())
    assert time.monotonic() - began < 3
    return caught.value


async def test_time_to_connect() -> None:
    # A full backlog: the kernel drops further connection attempts instead of refusing them.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]
        try:
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", port))
            error = await fail(f"http://127.0.0.1:{port}", limits(connect_s=0.2))
        finally:
            for one in waiting:
                one.close()

    assert isinstance(error, Timeout)
    assert "connect limit" in str(error)


@pytest.mark.parametrize("stream", [False, True])
async def test_time_to_the_first_byte(stream: bool) -> None:
    async def silent(exchange: Exchange) -> None:
        await asyncio.sleep(60)

    async with TinyServer(silent) as server:
        error = await fail(server.url, limits(first_byte_s=0.2), stream=stream)

    assert isinstance(error, Timeout)
    assert "first byte limit" in str(error)


async def test_a_head_that_drips_is_no_first_byte() -> None:
    async def drip(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while True:
            await exchange.send(b"a")
            await asyncio.sleep(0.02)

    async with TinyServer(drip) as server:
        error = await fail(server.url, limits(first_byte_s=0.2))

    assert "first byte limit" in str(error)


@pytest.mark.parametrize("stream", [False, True])
async def test_idle_gap(stream: bool) -> None:
    async def pause(exchange: Exchange) -> None:
        await exchange.send((EVENTS if stream else HEAD % b"application/json") + chunk(b"data: {"))
        await asyncio.sleep(60)

    async with TinyServer(pause) as server:
        error = await fail(server.url, limits(idle_s=0.2), stream=stream)

    assert isinstance(error, Timeout)
    assert "idle limit" in str(error)


@pytest.mark.parametrize(
    "keep_alive", [b": keep-alive\n\n", b"\n", b"\r\n", b"event: ping\n\n", b"data:\n\n", b":"]
)
async def test_keep_alives_do_not_end_the_idle_gap(keep_alive: bytes) -> None:
    async def keep(exchange: Exchange) -> None:
        await exchange.send(EVENTS)
        while True:
            await exchange.send(chunk(keep_alive))
            await asyncio.sleep(0.02)

    async with TinyServer(keep) as server:
        error = await fail(server.url, limits(idle_s=0.2), stream=True)

    assert isinstance(error, Timeout)
    assert "idle limit" in str(error)


async def test_content_does_end_the_idle_gap() -> None:
    async with (
        FakeProvider(ProviderOptions(stream_interval_ms=60)) as server,
        client_for(settings(server.base_url, limits=limits(idle_s=0.2))) as client,
    ):
        events = [e async for e in client.stream(request(text="one two three four five six"))]

    assert events[-1].response is not None
    assert events[-1].response.latency_ms > 400


async def test_a_slow_reader_is_not_taken_for_a_slow_provider() -> None:
    async with (
        FakeProvider(ProviderOptions(stream_interval_ms=5)) as server,
        client_for(settings(server.base_url, limits=limits(idle_s=0.15))) as client,
    ):
        events = []
        async for event in client.stream(request(text="one two three")):
            events.append(event)
            await asyncio.sleep(0.2)

    assert events[-1].response is not None


@pytest.mark.parametrize("stream", [False, True])
async def test_total_time(stream: bool) -> None:
    script = FaultScript(models={"fake-model": "endless-body"}, drip_interval_s=0.02)
    async with FakeProvider(ProviderOptions(script=script)) as server:
        error = await fail(server.base_url, limits(total_s=0.4), stream=stream)

    assert isinstance(error, Timeout)
    assert "total limit" in str(error)


async def test_the_total_bounds_the_other_limits() -> None:
    async def silent(exchange: Exchange) -> None:
        await asyncio.sleep(60)

    async with TinyServer(silent) as server:
        error = await fail(server.url, limits(total_s=0.2))

    assert "total limit" in str(error)


@pytest.mark.parametrize("fault", ["oversized-body", "gzip-bomb"])
@pytest.mark.parametrize("stream", [False, True])
async def test_bytes_after_decompression(fault: str, stream: bool) -> None:
    script = FaultScript(models={"fake-model": fault}, oversized_bytes=256 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with FakeProvider(ProviderOptions(script=script)) as server:
        error = await fail(server.base_url, limits(), stream=stream)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024

    assert isinstance(error, ResponseTooLarge)
    assert grown_mb < 64


async def test_an_error_body_is_bounded_too() -> None:
    async def big(exchange: Exchange) -> None:
        await exchange.answer(b"x" * (2 << 20), status=500)

    async with TinyServer(big) as server:
        assert isinstance(await fail(server.url, limits()), ResponseTooLarge)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_compressed_answer_is_read(encoding: str) -> None:
    async def compressed(exchange: Exchange) -> None:
        assert exchange.headers["accept-encoding"] == "gzip, deflate"
        body = b'{"choices": [{"message": {"content": "fine"}, "finish_reason": "stop"}]}'
        squeezed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
        await exchange.answer(squeezed, headers={"Content-Encoding": encoding})

    async with TinyServer(compressed) as server, client_for(settings(server.url)) as client:
        response = await client.generate(request())

    assert response.choices[0].message.text == "fine"


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
async def test_a_body_that_cannot_be_decompressed_is_malformed(encoding: str) -> None:
    async def broken(exchange: Exchange) -> None:
        await exchange.answer(b"no such thing", headers={"Content-Encoding": encoding})

    async with TinyServer(broken) as server:
        assert isinstance(await fail(server.url, limits()), MalformedResponse)


async def test_a_reply_that_is_no_http_is_malformed() -> None:
    async def gibberish(exchange: Exchange) -> None:
        await exchange.send(b"SSH-2.0-nonsense\r\n\r\n")

    async with TinyServer(gibberish) as server:
        assert isinstance(await fail(server.url, limits()), MalformedResponse)


async def test_every_limit_holds_for_the_ollama_sdk_as_well() -> None:
    script = FaultScript(
        models={"a": "slow-first-byte", "b": "idle-gap", "c": "endless-body", "d": "gzip-bomb"},
        drip_interval_s=0.02,
    )
    chosen = limits(first_byte_s=0.3, idle_s=0.2, total_s=0.5)
    async with (
        FakeProvider(ProviderOptions(script=script)) as server,
        client_for(settings(server.ollama_url, "ollama", limits=chosen)) as client,
    ):

        async def told(wanted: LLMRequest) -> str:
            with pytest.raises(LLMError) as caught:
                await client.generate(wanted)
            return str(caught.value)

        words = [await told(request(model, dialect="ollama")) for model in "abcd"]

    for text, limit in zip(
        words, ["first byte limit", "idle limit", "total limit", "max_bytes"], strict=True
    ):
        assert limit in text
