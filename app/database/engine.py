"""Engines and the two kinds of session: read, and write.

SQLite: WAL, synchronous FULL, foreign keys on. A write session begins with `BEGIN
IMMEDIATE` on the single writing connection: a deferred transaction that reads and then
writes loses updates or fails at once as busy, whatever the time limit. A read session is
deferred and query-only on a few connections of its own. PostgreSQL: one pool for both.

No session is ever held across a call to a model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from app.core.errors import ConfigurationError, Unavailable

__all__ = ["AsyncSession", "Database", "DatabaseError", "IntegrityError"]

DatabaseError = DBAPIError

_SQLITE_READERS = 3
_BUSY_TIMEOUT_MS = 20_000
_POOL_SIZE, _POOL_OVERFLOW = 10, 20


class Database:
    """The engines of one process. `await close()` when done."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        if self.is_sqlite:
            self._writer = _sqlite_engine(url, pool_size=1, write=True)
            self._reader = _sqlite_engine(url, pool_size=_SQLITE_READERS, write=False)
        else:
            self._writer = self._reader = _postgresql_engine(url)
        options: dict[str, Any] = {"expire_on_commit": False}
        self.write_session = async_sessionmaker(self._writer, **options)
        self.read_session = async_sessionmaker(self._reader, **options)

    @property
    def engine(self) -> AsyncEngine:
        """The writing engine, for migrations."""
        return self._writer

    @property
    def path(self) -> Path | None:
        """The file of a SQLite database."""
        database = make_url(self.url).database
        return Path(database) if self.is_sqlite and database else None

    async def ping(self) -> None:
        """Raise `Unavailable` if the database does not answer."""
        try:
            async with self._reader.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except (DatabaseError, OSError) as error:
            raise Unavailable(f"The database does not answer: {_first_line(error)}.") from error

    async def close(self) -> None:
        """Close all connections."""
        await self._writer.dispose()
        if self._reader is not self._writer:
            await self._reader.dispose()


def _first_line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return str(cause).splitlines()[0] if str(cause) else type(cause).__name__


def _serialise(value: object) -> str:
    return orjson.dumps(value).decode()


def _sqlite_engine(url: str, *, pool_size: int, write: bool) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        hide_parameters=True,  # an error's text must not carry what people wrote
        pool_timeout=_BUSY_TIMEOUT_MS / 1000,
        json_serializer=_serialise,
        json_deserializer=orjson.loads,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver begins nothing; `begin` below does
        cursor = connection.cursor()
        try:
            for pragma in (
                f"busy_timeout={_BUSY_TIMEOUT_MS}",
                "journal_mode=WAL",
                "synchronous=FULL",
                "foreign_keys=ON",
                "journal_size_limit=67108864",
                *(() if write else ("query_only=ON",)),
            ):
                cursor.execute(f"PRAGMA {pragma}")
        except Exception:  # the file is no database; the pool would leave the connection open
            connection.close()
            raise
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _postgresql_engine(url: str) -> AsyncEngine:
    try:
        return create_async_engine(
            url,
            pool_size=_POOL_SIZE,
            max_overflow=_POOL_OVERFLOW,
            pool_pre_ping=True,
            hide_parameters=True,
            json_serializer=_serialise,
            json_deserializer=orjson.loads,
        )
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "PostgreSQL needs the driver asyncpg: install prompt-workbench[postgres]."
        ) from error
