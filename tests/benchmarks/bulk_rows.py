"""Very many rows into a database of either kind, past triggers and foreign keys.

PostgreSQL takes them by COPY, SQLite by one prepared statement. Values are those that the models'
columns take; the columns' own types convert them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import asyncpg
from sqlalchemy import Table

from app.database import Database

__all__ = ["BulkRows"]

Convert = Callable[[Any], Any] | None


class _Target(Protocol):
    async def insert(self, table: Table, rows: list[tuple[Any, ...]]) -> None: ...

    async def finish(self) -> None: ...


class BulkRows:
    """Rows of several tables, collected and inserted in batches. To be used as a context: at its
    end all is written, and the database knows what it holds (ANALYZE)."""

    def __init__(self, database: Database, *, batch: int = 20_000) -> None:
        self._database = database
        self._batch = batch
        self._rows: dict[str, list[tuple[Any, ...]]] = {}
        self._tables: dict[str, tuple[Table, tuple[tuple[str, Convert], ...]]] = {}
        self._target: _Target | None = None

    async def __aenter__(self) -> Self:
        path = self._database.path
        self._target = _SQLite(str(path)) if path else await _PostgreSQL.connect(self._database.url)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            for name in self._rows:
                await self._write(name)
        await self._opened.finish()

    def add(self, table: Table, values: Mapping[str, Any]) -> None:
        """Collect one row; columns that are not named are NULL."""
        if table.name not in self._tables:
            self._tables[table.name] = (table, self._columns(table))
            self._rows[table.name] = []
        self._rows[table.name].append(
            tuple(
                value if convert is None or value is None else convert(value)
                for name, convert in self._tables[table.name][1]
                for value in (values.get(name),)
            )
        )

    async def write_full(self) -> None:
        """Insert the rows of every table that has a whole batch of them."""
        for name, rows in self._rows.items():
            if len(rows) >= self._batch:
                await self._write(name)

    @property
    def _opened(self) -> _Target:
        if self._target is None:
            raise RuntimeError("Enter the context first.")
        return self._target

    async def _write(self, name: str) -> None:
        rows, self._rows[name] = self._rows[name], []
        if rows:
            await self._opened.insert(self._tables[name][0], rows)

    def _columns(self, table: Table) -> tuple[tuple[str, Convert], ...]:
        dialect = self._database.engine.dialect
        return tuple(
            (column.name, column.type.dialect_impl(dialect).bind_processor(dialect))
            for column in table.columns
        )


class _SQLite:
    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA synchronous=OFF")

    async def insert(self, table: Table, rows: list[tuple[Any, ...]]) -> None:
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        marks = ", ".join("?" * len(table.columns))
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})', rows)
        self._connection.execute("COMMIT")

    async def finish(self) -> None:
        self._connection.execute("ANALYZE")
        self._connection.close()


class _PostgreSQL:
    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    @classmethod
    async def connect(cls, url: str) -> _PostgreSQL:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        # Neither append-only triggers nor foreign keys, for this connection alone.
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("SET synchronous_commit = off")
        return cls(connection)

    async def insert(self, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        await self._connection.copy_records_to_table(
            table.name, records=rows, columns=[column.name for column in table.columns]
        )

    async def finish(self) -> None:
        await self._connection.execute("VACUUM ANALYZE")
        await self._connection.close()
