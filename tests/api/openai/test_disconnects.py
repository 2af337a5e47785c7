"""Clients that go away in mid-stream: every answer is on record, and nothing is left over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from sqlalchemy import select

from app.database import Database
from app.models import ChatCall, Generation

WORDS = "Where is my parcel? " * 30  # about 150 pieces, hence most of a second
AT_ONCE = 50
DONE = b"data: [DONE]\n\n"


async def connect(
    server: Any, text: str = WORDS
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for a stream on a connection of its own."""
    address = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=2**20)
    body = orjson.dumps(
        {
            "model": "support-bot@production",
            "messages": [{"role": "user", "content": text}],
            "stream": True,
        }
    )
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Authorization: Bearer {server.key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
    return reader, writer


async def leave_after(server: Any, size: int) -> None:
    """Read so many bytes of the reply, none for 0, and break the connection."""
    reader, writer = await connect(server)
    if size:
        await reader.readexactly(size)
    writer.transport.abort()


async def until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for something in the server's thread, which cannot wake this loop."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:  # noqa: ASYNC110 # see above
        await asyncio.sleep(0.02)
    assert condition()


def connections(server: Any) -> int:
    return sum(server.services.database.connections().values())


@pytest.mark.parametrize(
    "clients",
    [AT_ONCE, pytest.param(200, marks=[pytest.mark.nightly, pytest.mark.timeout(300)])],
)
async def test_every_client_that_leaves_has_one_row_with_all_its_facts(
    slow_server: Any, clients: int
) -> None:
    await leave_after(slow_server, 2000)  # so that pools and the provider's connection are open
    await until(lambda: slow_server.services.chat.under_way == 0, 40)
    await until(lambda: connections(slow_server) == 0, 5)
    before = slow_server.process.tasks
    dice = Random(17)
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(size: int) -> None:
        async with turn:
            await leave_after(slow_server, size)

    # An answer has some 30,000 bytes with its head.
    sizes = [dice.choice((1, dice.randrange(1, 700), dice.randrange(1, 20_000)))
             for _ in range(clients)]  # fmt: skip
    await asyncio.gather(*(one(size) for size in sizes))

    await until(lambda: slow_server.services.chat.under_way == 0, 60)
    await until(lambda: connections(slow_server) == 0, 5)
    await until(lambda: slow_server.process.tasks <= before, 5)
    rows = await records(slow_server.services.settings.database_url)
    assert len(rows) == clients + 1
    assert sum(call.ending == "client_gone" for _, call in rows) > clients / 2
    for generation, call in rows:
        assert call.ending in ("client_gone", "completed")
        assert generation.status in ("completed", "cancelled")
        assert generation.finished_at is not None
        assert generation.latency_ms is not None
        assert generation.input_tokens
        assert generation.output_tokens is not None
        assert generation.provider == "openai"
        assert generation.model_version_id is not None
        assert generation.prompt_version_id is not None


async def test_streams_under_way_hold_no_database_connection(slow_server: Any) -> None:
    streams = await asyncio.gather(*(connect(slow_server, WORDS * 4) for _ in range(20)))
    try:
        await asyncio.gather(*(reader.readexactly(1500) for reader, _ in streams))
        # What is counted here for a moment is none of theirs: keys and aliases are read anew.
        await until(lambda: connections(slow_server) == 0, 5)
        assert slow_server.services.chat.under_way == 20
        ends = await asyncio.gather(*(reader.readuntil(DONE) for reader, _ in streams))
        assert len(ends) == 20
    finally:
        for _, writer in streams:
            writer.transport.abort()


async def test_a_client_that_leaves_before_the_first_byte_leaves_nothing_open(
    slow_server: Any,
) -> None:
    await leave_after(slow_server, 0)
    await until(lambda: slow_server.services.chat.under_way == 0, 40)
    rows = await records(slow_server.services.settings.database_url)
    assert all(call.ending is not None for _, call in rows)


async def records(url: str) -> list[tuple[Generation, ChatCall]]:
    database = Database(url)
    try:
        async with database.read_session() as session:
            statement = select(Generation, ChatCall).join(
                ChatCall, ChatCall.generation_id == Generation.id
            )
            return [(row[0], row[1]) for row in await session.execute(statement)]
    finally:
        await database.close()
