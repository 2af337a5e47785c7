"""A pool whose connections are all in use says so in a sentence of its own."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import text

from app.core.errors import Unavailable
from app.database import Database


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_a_writer_that_does_not_come_free_is_unavailable(database: Database) -> None:
    database.engine.pool._timeout = 0.05  # type: ignore[attr-defined] # not twenty seconds
    async with AsyncExitStack() as held:
        busy = await held.enter_async_context(database.write_session())
        await busy.execute(text("SELECT 1"))
        with pytest.raises(Unavailable, match="in use"):
            async with database.write_session() as session:
                await session.execute(text("SELECT 1"))
    async with database.write_session() as session:
        assert (await session.execute(text("SELECT 1"))).scalar_one() == 1


async def test_a_session_that_is_left_in_mid_transaction_leaves_nothing_open(
    database: Database,
) -> None:
    async def begin_and_stop() -> None:
        async with database.write_session() as session:
            await session.execute(text("CREATE TABLE left_behind (id INTEGER)"))
            await asyncio.Event().wait()

    task = asyncio.create_task(begin_and_stop())
    while not database.connections()["write"]:  # noqa: ASYNC110 - a pool announces nothing
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert "left_behind" not in await database.table_names()
    async with database.write_session() as session:
        await session.execute(text("CREATE TABLE left_behind (id INTEGER)"))
        await session.commit()
