"""Many small writes in few transactions: one writer, group commit.

A transaction that makes sure its rows survive a power cut costs a millisecond or more, whatever it
holds. So one task writes for everybody: whatever arrived while the last transaction was under way
goes into the next one. Nobody waits when nothing is under way; when the writer is busy it gathers
for `window_s` more before it begins.

The invariants: an item is written or its `submit` raises. An item that fails does not fail its
neighbours: a batch that fails by what is written is written again item by item. One that fails
because the database does not answer fails as a whole, or all would wait for each. Cancelling a
`submit` does not take the item back.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from app.core.errors import Unavailable, WorkbenchError
from app.database import AsyncSession, Database, DatabaseError, IntegrityError

__all__ = ["WriteBatches"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

_MOST = 500
_SQLSTATES_OF_ITEMS = frozenset({"22", "23", "40"})
"""Classes of PostgreSQL's states (its documentation, appendix A): data, integrity, and transactions
that were rolled back for the sake of another."""


class WriteBatches(Generic[ItemT, ResultT]):
    """Writes items by `write`, which gets a session and a batch and returns a result for each.

    `write` does not commit. It may be called twice with an item: whatever it did the first time was
    rolled back, unless the connection broke in the very commit.
    """

    def __init__(
        self,
        database: Database,
        write: Callable[[AsyncSession, Sequence[ItemT]], Awaitable[Sequence[ResultT]]],
        *,
        window_s: float = 0.002,
        longest_s: float = 30.0,
    ) -> None:
        self._database = database
        self._write = write
        self._window_s = window_s
        self._longest_s = longest_s
        self._waiting: list[tuple[ItemT, asyncio.Future[ResultT]]] = []
        self._arrived = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    async def submit(self, item: ItemT) -> ResultT:
        """Return the item's result when it is committed.

        Raises what writing it raised, `Unavailable` if the database does not answer or the writer
        is closed.
        """
        if self._closing:
            raise Unavailable("The server is stopping: nothing is written any more.")
        if self._task is None:
            # Without the context of whoever happens to come first: it may be in a transaction.
            self._task = asyncio.create_task(
                self._run(), name="write batches", context=contextvars.Context()
            )
        future: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._arrived.set()
        return await future

    async def close(self) -> None:
        """Write what was submitted, then end."""
        self._closing = True
        self._arrived.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        busy = False
        while True:
            if not self._waiting:
                if self._closing:
                    return
                busy = False
                self._arrived.clear()
                await self._arrived.wait()
            if busy:
                await asyncio.sleep(self._window_s)
            batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            if batch:
                await self._commit(batch)
            busy = True

    async def _commit(self, batch: Sequence[tuple[ItemT, asyncio.Future[ResultT]]]) -> None:
        try:
            results = await self._transaction([item for item, _ in batch])
        except Exception as error:  # whatever it is, the submitters have to hear it
            if len(batch) > 1 and _is_of_items(error):
                for one in batch:
                    await self._commit([one])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)

    async def _transaction(self, items: Sequence[ItemT]) -> Sequence[ResultT]:
        try:
            async with (
                asyncio.timeout(self._longest_s),
                self._database.write_session() as session,
            ):
                results = await self._write(session, items)
                await session.commit()
        except TimeoutError as error:
            raise Unavailable(
                f"The database did not write within {self._longest_s:g} s: try again later."
            ) from error
        return results


def _is_of_items(error: Exception) -> bool:
    """Whether something that is written may be the cause, and not the database's state."""
    if isinstance(error, DatabaseError):
        state = str(getattr(error.orig, "sqlstate", None) or "")
        return isinstance(error, IntegrityError) or state[:2] in _SQLSTATES_OF_ITEMS
    return not isinstance(error, (WorkbenchError, OSError))
