"""A stream is a success only if all of it came."""

from __future__ import annotations

import asyncio

import pytest

from app.llm.client import LLMClient
from app.llm.errors import MalformedResponse, TruncatedStream
from app.llm.types import StreamEvent
from tests.fake_provider import FakeProvider, FaultScript, ProviderOptions
from tests.integration.llm.support import (
    Exchange,
    TinyServer,
    client_for,
    request,
    settings,
    url_of,
)

EVENTS = {"Content-Type": "text/event-stream"}


async def collect(client: LLMClient, model: str, dialect: str) -> list[StreamEvent]:
    wanted = request(model, text="é 🙂", dialect=dialect)
    return [event async for event in client.stream(wanted)]


async def recorded_stream() -> bytes:
    """Return the bytes of a whole good stream, as the fake provider sends them."""
    recorded = b""

    async with FakeProvider() as server, client_for(settings(server.base_url)) as client:
        events = await collect(client, "fake-model", "openai")
    assert events[-1].response is not None
    for text in [event.text for event in events[:-1]]:
        recorded += b'data: {"choices": [{"index": 0, "delta": {"content": "%b"}}]}\n\n' % (
            text.encode()
        )
    recorded += b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
    return recorded + b"data: [DONE]\n\n"


async def test_a_stream_cut_at_any_byte_before_its_end_is_never_a_success() -> None:
    whole = await recorded_stream()
    end = whole.index(b"[DONE]\n") + len(b"[DONE]\n")
    cut = 0

    async def play(exchange: Exchange) -> None:
        await exchange.answer(whole[:cut], headers=EVENTS)

    async with TinyServer(play) as server, client_for(settings(server.url)) as client:
        for cut in range(end):
            # An empty body is no stream at all; any other beginning is one that was cut off.
            with pytest.raises(TruncatedStream if cut else MalformedResponse) as caught:
                await collect(client, "m", "openai")
            assert (caught.value.partial_text or "") in "é 🙂"
        for cut in range(end, len(whole) + 1):  # noqa: B007 - `play` reads it
            events = await collect(client, "m", "openai")
            assert events[-1].response is not None
            assert events[-1].response.choices[0].message.text == "é 🙂"
    assert len(server.seen) == len(whole) + 1


async def test_an_ollama_stream_cut_at_any_byte_is_never_a_success() -> None:
    lines = [
        b'{"message": {"content": "hi"}, "done": false}',
        b'{"message": {"content": ""}, "done": true, "done_reason": "stop"}',
    ]
    whole = b"\n".join(lines)
    cut = 0

    async def play(exchange: Exchange) -> None:
        await exchange.answer(whole[:cut], headers={"Content-Type": "application/x-ndjson"})

    async with TinyServer(play) as server, client_for(settings(server.url, "ollama")) as client:
        for cut in range(len(whole)):  # noqa: B007 - `play` reads it
            # The SDK reads the piece of a line as a line: that is no JSON, hence malformed.
            with pytest.raises((TruncatedStream, MalformedResponse)):
                await collect(client, "m", "ollama")
        cut = len(whole)
        assert (await collect(client, "m", "ollama"))[-1].response is not None


@pytest.mark.parametrize("dialect", ["openai", "ollama"])
@pytest.mark.parametrize("fault", ["split-utf8", "merged-frames"])
async def test_how_the_network_cuts_a_stream_changes_nothing(dialect: str, fault: str) -> None:
    script = FaultScript(models={"fake-model": fault})
    async with (
        FakeProvider(ProviderOptions(script=script)) as server,
        client_for(settings(url_of(server, dialect), dialect)) as client,
    ):
        events = await collect(client, "fake-model", dialect)

    response = events[-1].response
    assert response is not None
    assert response.choices[0].message.text.startswith("é 🙂")
    assert "".join(event.text for event in events) == response.choices[0].message.text
    assert response.usage.output_tokens


@pytest.mark.parametrize("dialect", ["openai", "ollama"])
async def test_a_stream_and_a_plain_call_give_the_same_answer(dialect: str) -> None:
    async with (
        FakeProvider() as server,
        client_for(settings(url_of(server, dialect), dialect)) as client,
    ):
        streamed = (await collect(client, "fake-model", dialect))[-1].response
        plain = await client.generate(request(text="é 🙂", dialect=dialect))

    assert streamed is not None
    assert streamed.choices == plain.choices
    assert streamed.usage == plain.usage
    assert streamed.reported_model == plain.reported_model
    assert streamed.time_to_first_token_ms is not None
    assert plain.time_to_first_token_ms is None


async def test_streams_use_their_connection_again() -> None:
    whole = await recorded_stream()

    async def play(exchange: Exchange) -> None:
        assert exchange.headers["accept-encoding"] == "identity"
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        await exchange.send(b"Transfer-Encoding: chunked\r\n\r\n")
        await exchange.send(b"%x\r\n%b\r\n" % (len(whole), whole))
        await asyncio.sleep(0.02)
        await exchange.send(b"0\r\n\r\n")  # the end of the reply comes after that of the answer

    async with TinyServer(play) as server, client_for(settings(server.url)) as client:
        for _ in range(5):
            await collect(client, "m", "openai")

    assert server.connections == 1


async def test_a_server_that_never_ends_its_reply_costs_a_quarter_of_a_second_at_most() -> None:
    whole = await recorded_stream()

    async def play(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        await exchange.send(b"Transfer-Encoding: chunked\r\n\r\n")
        await exchange.send(b"%x\r\n%b\r\n" % (len(whole), whole))
        await asyncio.sleep(60)

    began = asyncio.get_running_loop().time()
    async with TinyServer(play) as server, client_for(settings(server.url)) as client:
        assert (await collect(client, "m", "openai"))[-1].response is not None
    assert asyncio.get_running_loop().time() - began < 5


async def test_a_server_that_does_not_stream_is_told_apart() -> None:
    async with TinyServer() as server, client_for(settings(server.url)) as client:
        with pytest.raises(MalformedResponse, match="stream was asked for"):
            await collect(client, "m", "openai")


async def test_what_follows_the_end_cannot_spoil_the_answer() -> None:
    whole = await recorded_stream()

    async def play(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        await exchange.send(b"Content-Length: 1000000\r\n\r\n" + whole + b"data: nonsense\n\n")
        raise ConnectionResetError  # the connection ends here

    async with TinyServer(play) as server, client_for(settings(server.url)) as client:
        events = await collect(client, "m", "openai")

    assert events[-1].response is not None
