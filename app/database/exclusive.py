"""One process at a time, over all machines that share a PostgreSQL database.

The lock is one of the server's, held by a connection of its own: it is gone with its process,
however that ended, and nobody has to renew it. It needs a connection that stays the same one, so a
pooler in between must pool sessions.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text

from app.database.engine import Database

__all__ = ["exclusive"]


@asynccontextmanager
async def exclusive(database: Database, name: str) -> AsyncIterator[bool]:
    """Yield whether this process alone holds the name until the block ends.

    On SQLite always: the workspace's files are locked there (`workbench.runner.generation.lock`).
    """
    if database.is_sqlite:
        yield True
        return
    key = {"key": int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)}
    # Without a transaction: one that stays open would keep the server from cleaning up.
    async with database.engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        taken = await connection.execute(text("SELECT pg_try_advisory_lock(:key)"), key)
        if not taken.scalar_one():
            yield False
            return
        try:
            yield True
        finally:
            await connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)
