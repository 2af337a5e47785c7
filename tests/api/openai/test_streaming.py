"""How a stream starts, keeps its connection, fails and is left: driven as an ASGI server does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from starlette.types import Message

from app.api.streaming import EventStream, StreamFaults, unless_gone

FAULTS = StreamFaults(lambda error: f"data: failed: {error}\n\n".encode(), (ValueError,))
PING = b": keep-alive\n\n"


@dataclass
class Client:
    """The server's side of one connection: what was sent, and when the client goes."""

    sent: list[Message] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    written: asyncio.Event = field(default_factory=asyncio.Event)
    left: int = 0
    broken: bool = False

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.broken:
            raise OSError("the connection is closed")
        self.sent.append(message)
        self.written.set()

    async def until(self, condition: Callable[[bytes], bool]) -> None:
        """Wait until what was written so far is as wanted."""
        async with asyncio.timeout(5):
            while not condition(self.body):
                self.written.clear()
                await self.written.wait()

    def leave(self) -> None:
        self.left += 1

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def is_whole(self) -> bool:
        return bool(self.sent) and self.sent[-1].get("more_body") is False

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])


async def play(
    client: Client, pieces: AsyncIterator[bytes], *, keep_alive_s: float = 60
) -> asyncio.Task[None]:
    """Start answering a client."""
    stream = EventStream(
        pieces,
        headers=lambda: {"x-workbench-alias": "a@b"},
        faults=FAULTS,
        leave=client.leave,
        keep_alive_s=keep_alive_s,
    )
    return asyncio.create_task(stream({"type": "http"}, client.receive, client.send))


async def pieces(*parts: bytes | Exception | asyncio.Event) -> AsyncIterator[bytes]:
    """Yield texts, wait for events, raise errors."""
    for part in parts:
        if isinstance(part, Exception):
            raise part
        if isinstance(part, asyncio.Event):
            await part.wait()
        else:
            yield part


@pytest.fixture
def client() -> Client:
    return Client()


async def test_pieces_are_written_as_they_come(client: Client) -> None:
    more = asyncio.Event()
    answering = await play(client, pieces(b"one ", more, b"two"))
    await client.until(lambda body: body == b"one ")
    assert not client.is_whole
    more.set()
    await answering
    assert client.body == b"one two"
    assert client.is_whole
    assert client.left == 0


async def test_the_headers_keep_proxies_from_holding_the_stream_back(client: Client) -> None:
    await (await play(client, pieces(b"x")))
    assert client.sent[0]["status"] == 200
    assert client.headers == {
        b"content-type": b"text/event-stream; charset=utf-8",
        b"cache-control": b"no-cache",
        b"x-accel-buffering": b"no",
        b"x-workbench-alias": b"a@b",
    }


async def test_nothing_starts_before_the_first_piece(client: Client) -> None:
    more = asyncio.Event()
    answering = await play(client, pieces(more, b"x"))
    for _ in range(10):
        await asyncio.sleep(0)
    assert client.sent == []
    more.set()
    await answering


async def test_an_error_before_the_start_is_raised_for_an_ordinary_answer(client: Client) -> None:
    with pytest.raises(ValueError, match="early"):
        await (await play(client, pieces(ValueError("early"))))
    assert client.sent == []


async def test_an_error_after_the_start_is_the_last_event(client: Client) -> None:
    await (await play(client, pieces(b"one ", ValueError("late"))))
    assert client.body == b"one data: failed: late\n\n"
    assert client.is_whole


async def test_an_error_that_nobody_expects_is_told_and_raised(client: Client) -> None:
    with pytest.raises(KeyError):
        await (await play(client, pieces(b"one ", KeyError("bug"))))
    assert b"failed" in client.body


async def test_silence_is_filled_with_comments(client: Client) -> None:
    more = asyncio.Event()
    answering = await play(client, pieces(more, b"x"), keep_alive_s=0.01)
    await client.until(lambda body: body.startswith(PING + PING))
    more.set()
    await answering
    assert client.body.replace(PING, b"") == b"x"
    assert client.headers[b"x-workbench-alias"] == b"a@b"


async def test_an_error_after_a_comment_is_an_event(client: Client) -> None:
    more = asyncio.Event()
    answering = await play(client, pieces(more, ValueError("late")), keep_alive_s=0.01)
    await client.until(lambda body: PING in body)
    more.set()
    await answering
    assert client.body.endswith(b"data: failed: late\n\n")


async def test_a_busy_stream_has_no_comments(client: Client) -> None:
    async def busy() -> AsyncIterator[bytes]:
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            yield b"x"
            await asyncio.sleep(0.001)

    await (await play(client, busy(), keep_alive_s=0.1))
    assert PING not in client.body


async def test_a_client_that_goes_is_noticed_at_once(client: Client) -> None:
    answering = await play(client, pieces(b"one ", asyncio.Event()))
    await client.until(lambda body: body == b"one ")
    client.gone.set()
    await answering
    assert client.left == 1
    assert not client.is_whole


async def test_a_server_that_cannot_write_means_a_client_that_is_gone(client: Client) -> None:
    client.broken = True
    await (await play(client, pieces(b"one ", asyncio.Event())))
    assert client.left == 1


async def test_a_server_that_stops_leaves_the_call(client: Client) -> None:
    answering = await play(client, pieces(b"one ", asyncio.Event()))
    await client.until(lambda body: body == b"one ")
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    assert client.left == 1


async def test_no_task_outlives_the_response(client: Client) -> None:
    before = asyncio.all_tasks()
    answering = await play(client, pieces(b"one ", asyncio.Event()))
    await client.until(lambda body: body == b"one ")
    client.gone.set()
    await answering
    assert asyncio.all_tasks() == before


# --- plain answers --------------------------------------------------------------------------------


async def answer_after(event: asyncio.Event) -> str:
    await event.wait()
    return "answer"


async def test_an_answer_is_given_to_a_client_that_waits(client: Client) -> None:
    ready = asyncio.Event()
    ready.set()
    assert await unless_gone(client.receive, answer_after(ready), client.leave) == "answer"
    assert client.left == 0


async def test_an_answer_is_not_waited_for_when_the_client_is_gone(client: Client) -> None:
    client.gone.set()
    answer = answer_after(asyncio.Event())
    assert await unless_gone(client.receive, answer, client.leave) is None
    assert client.left == 1


async def test_what_fails_before_the_client_goes_is_raised(client: Client) -> None:
    async def fail() -> str:
        raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"):
        await unless_gone(client.receive, fail(), client.leave)
    assert client.left == 0
