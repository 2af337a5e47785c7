"""One transaction round several: what a request with an idempotency key runs in.

While a `Transaction` is open, every session that its task opens, to write or to read, lives in it:
such a session begins with a savepoint, and its commit releases that savepoint. What services commit
is therefore kept or lost together, and with it the key and the reply. Services know nothing of it.

It is of one task and one connection. Whoever opens sessions side by side, or waits for another
task that writes, does so outside: on SQLite that task would wait for this one.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

__all__ = ["Transaction", "joined_session"]

_current: ContextVar[Transaction | None] = ContextVar("current_transaction", default=None)


class Transaction:
    """A transaction that sessions join from `begin` to `end`; `connection.commit()` keeps it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self.is_open = True

    @classmethod
    async def begin(cls, engine: AsyncEngine) -> Transaction:
        """Begin one on a connection of its own; from now on sessions of this task join it."""
        connection = await engine.connect()
        try:
            await connection.begin()
        except BaseException:
            await connection.close()
            raise
        transaction = cls(connection)
        _current.set(transaction)
        return transaction

    def session(self) -> AsyncSession:
        """Return a session inside it."""
        return AsyncSession(
            bind=self.connection,
            expire_on_commit=False,
            join_transaction_mode="create_savepoint",
        )

    async def end(self) -> None:
        """Roll back what was not committed and give the connection back; a second time nothing."""
        if self.is_open:
            self.is_open = False  # tasks that were begun inside see it too
            _current.set(None)
            # A task that is cancelled must not keep SQLite's only writer.
            await asyncio.shield(self.connection.close())


def joined_session() -> AsyncSession | None:
    """Return a session inside this task's transaction; None if it has none open."""
    transaction = _current.get()
    return transaction.session() if transaction is not None and transaction.is_open else None
