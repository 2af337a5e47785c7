"""Many small writes in few transactions, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from app.core.clock import SystemClock
from app.core.errors import Unavailable
from app.database import AsyncSession, Database, DatabaseError, IntegrityError
from app.repositories.content import ContentRepository, content_row
from app.services.write_batches import WriteBatches


class Writer:
    """Writes texts, and keeps the batches that it was given."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.now = SystemClock().now()
        self.row = content_row("the same", self.now)

    async def write(self, session: AsyncSession, items: Sequence[str]) -> Sequence[int]:
        self.batches.append(list(items))
        rows = [self.row if it == "same" else content_row(it, self.now) for it in items]
        await ContentRepository(session).add_all(rows)
        return [len(it) for it in items]


@pytest.fixture
def writer() -> Writer:
    return Writer()


async def _count(database: Database, writer: Writer) -> int:
    async with database.read_session() as session:
        bodies = await ContentRepository(session).bodies([writer.row["id"]])
    return len(bodies)


async def test_items_that_arrive_together_share_a_transaction(
    database: Database, writer: Writer
) -> None:
    batches = WriteBatches(database, writer.write)
    results = await asyncio.gather(*(batches.submit("x" * n) for n in range(40)))
    assert results == list(range(40))
    assert sum(map(len, writer.batches)) == 40 and len(writer.batches) <= 3
    await batches.close()


async def test_one_item_alone_waits_for_nobody(database: Database, writer: Writer) -> None:
    """With a window of an hour a writer that gathers when it is idle would never end."""
    batches = WriteBatches(database, writer.write, window_s=3_600)
    for n in range(3):
        assert await batches.submit("x" * n) == n
    assert [len(batch) for batch in writer.batches] == [1, 1, 1]
    await batches.close()


async def test_an_item_that_fails_does_not_fail_its_neighbours(
    database: Database, writer: Writer
) -> None:
    batches = WriteBatches(database, writer.write)
    assert await batches.submit("same") == 4  # its row is there now
    items = ["a", "same", "ab"]
    results = await asyncio.gather(*(batches.submit(it) for it in items), return_exceptions=True)
    assert (results[0], results[2]) == (1, 2)
    assert isinstance(results[1], IntegrityError)
    assert await _count(database, writer) == 1
    await batches.close()


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("It does not answer."),
        ConnectionResetError(),
        DatabaseError("SELECT 1", None, RuntimeError("disk full")),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_database_that_does_not_answer_is_asked_once_for_all(
    database: Database, error: Exception
) -> None:
    asked = []

    async def refuse(session: AsyncSession, items: Sequence[str]) -> Sequence[int]:
        asked.append(len(items))
        raise error

    batches = WriteBatches(database, refuse)
    results = await asyncio.gather(*(batches.submit("x") for _ in range(5)), return_exceptions=True)
    assert results == [error] * 5
    assert asked == [5]
    await batches.close()


async def test_a_database_that_hangs_is_not_waited_for_without_end(database: Database) -> None:
    async def hang(session: AsyncSession, items: Sequence[str]) -> Sequence[int]:
        await session.connection()
        await asyncio.Event().wait()
        return []

    batches = WriteBatches(database, hang, longest_s=0.1)
    with pytest.raises(Unavailable, match=r"0\.1 s"):
        await batches.submit("x")
    await batches.close()
    async with database.write_session() as session:  # the connection is free again
        await session.connection()


async def test_who_gives_up_takes_nothing_back(database: Database, writer: Writer) -> None:
    batches = WriteBatches(database, writer.write)
    submitted = asyncio.create_task(batches.submit("same"))
    await asyncio.sleep(0)
    submitted.cancel()
    await batches.close()
    assert submitted.cancelled()
    assert await _count(database, writer) == 1


async def test_closing_writes_what_was_submitted_and_takes_no_more(
    database: Database, writer: Writer
) -> None:
    batches = WriteBatches(database, writer.write)
    submitted = asyncio.create_task(batches.submit("same"))
    await asyncio.sleep(0)
    await batches.close()
    assert await submitted == 4
    with pytest.raises(Unavailable):
        await batches.submit("late")
