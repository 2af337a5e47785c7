"""A PostgreSQL server that is there and takes no connection now is unavailable, not in error."""

from __future__ import annotations

import asyncio
import struct

import pytest
from sqlalchemy import text

from app.core.errors import Unavailable
from app.database import Database

_SSL_REQUEST = 80877103  # PostgreSQL's documentation, "Message Formats"


def refusal(state: str) -> bytes:
    """An ErrorResponse with this SQLSTATE."""
    fields = b"SFATAL\0" + f"C{state}\0".encode() + b"Mnot now\0\0"
    return b"E" + struct.pack("!i", len(fields) + 4) + fields


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("53300", "has no connection left"),
        ("57P01", "does not answer"),
        ("57P02", "does not answer"),
        ("57P03", "does not answer"),
    ],
)
async def test_a_server_that_takes_no_connection_now_is_unavailable(state: str, told: str) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length, kind = struct.unpack("!ii", await reader.readexactly(8))
        if kind == _SSL_REQUEST:
            writer.write(b"N")
            (length,) = struct.unpack("!i", await reader.readexactly(4))
            await reader.readexactly(length - 4)
        else:
            await reader.readexactly(length - 8)
        writer.write(refusal(state))
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        database = Database(f"postgresql+asyncpg://somebody:word@127.0.0.1:{port}/db")
        with pytest.raises(Unavailable, match=told):
            async with database.read_session() as session:
                await session.execute(text("SELECT 1"))
        await database.close()
