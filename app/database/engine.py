"""Engines and the two kinds of session: read, and write.

SQLite: WAL, synchronous FULL, foreign keys on. A write session begins with `BEGIN
IMMEDIATE` on the single writing connection: a deferred transaction that reads and then
writes loses updates or fails at once as busy, whatever the time limit. A read session is
deferred and query-only on a few connections of its own. PostgreSQL: one pool for both, without
JIT: statements here read up to some thousand rows, and to compile one takes longer than to run it.
There each statement of a session sees what was committed when it began; those of a report session,
and of every session on SQLite, see one state of the database.

No session is ever held across a call to a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from opentelemetry.trace import Tracer
from sqlalchemy import Connection, event, inspect, text
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session
from sqlalchemy.pool import AsyncAdaptedQueuePool, PoolProxiedConnection

from app.core.errors import ConfigurationError, Unavailable
from app.database.joining import Transaction, joined_session
from app.database.sqlite_connection import open_connection
from app.database.tracing import trace_statements

__all__ = ["AsyncSession", "Database", "DatabaseError", "IntegrityError"]

DatabaseError = DBAPIError

_SQLITE_READERS = 3
_BUSY_TIMEOUT_MS = 20_000
_POOL_SIZE, _POOL_OVERFLOW, _POOL_TIMEOUT_S = 10, 20, 5

_SQLITE_DAMAGED = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB"})
_NOT_ADMITTED = frozenset({"28000", "28P01"})  # SQLSTATE: no such user, wrong password
_NO_SUCH_DATABASE = "3D000"
_NOT_READY = frozenset({"57P01", "57P02", "57P03"})  # the server is starting or stopping
_TOO_MANY = "53300"  # connections, of everybody together
_CONNECTION_FAILED = "08"  # the class of these states


class _ReportSession(Session):
    """A session whose statements PostgreSQL plans for their values, every time."""


@event.listens_for(_ReportSession, "after_begin")
def _plan_for_values(_session: Session, _transaction: object, connection: Connection) -> None:
    connection.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))


class Database:
    """The engines of one process. `await close()` when done.

    Raises `ConfigurationError` for an address that cannot be read and for a SQLite file that
    cannot be: its folder is missing, or it is a folder itself. A session raises `Unavailable`
    if the server does not answer or the file is damaged, and `ConfigurationError` if the
    server does not know the user or the database.

    With a `tracer` every statement is a span.
    """

    def __init__(self, url: str, tracer: Tracer | None = None) -> None:
        self.url = url
        _parsed(url)
        self.is_sqlite = url.startswith("sqlite")
        if self.is_sqlite:
            if self.path is not None:
                _require_place(self.path)
            self._writer = _sqlite_engine(url, pool_size=1, write=True)
            self._reader = _sqlite_engine(url, pool_size=_SQLITE_READERS, write=False)
        else:
            self._writer = self._reader = _postgresql_engine(url)
        if tracer is not None:
            for engine in {self._writer, self._reader}:
                trace_statements(engine.sync_engine, tracer)
        options: dict[str, Any] = {"expire_on_commit": False}
        self._write_sessions = async_sessionmaker(self._writer, **options)
        self._read_sessions = async_sessionmaker(self._reader, **options)
        self._report_sessions = self._read_sessions
        if not self.is_sqlite:
            self._report_sessions = async_sessionmaker(
                self._reader.execution_options(isolation_level="REPEATABLE READ"),
                sync_session_class=_ReportSession,
                **options,
            )

    def write_session(self) -> AsyncSession:
        """Return a session that writes; inside the task's own `Transaction` if it has one."""
        return joined_session() or self._write_sessions()

    def read_session(self) -> AsyncSession:
        """Return a session that reads; inside the task's own `Transaction` if it has one."""
        return joined_session() or self._read_sessions()

    def report_session(self) -> AsyncSession:
        """Return a session that reads, for sums over ranges that hold anything from nothing to
        everything; inside the task's own `Transaction` if it has one.

        All its statements see the database as the first one did: what is put together from
        several neither lacks nor counts twice what was written meanwhile. PostgreSQL keeps to
        that by REPEATABLE READ, which costs a reader nothing and never fails it.

        PostgreSQL also plans each statement for its values.
        A plan for any values, which it would make after five executions of a statement, supposes
        that a range holds little; of ninety days it then reads row by row, for seconds.
        """
        return joined_session() or self._report_sessions()

    async def begin(self) -> Transaction:
        """Begin a transaction that the sessions of this task join until it ends."""
        return await Transaction.begin(self._writer)

    @property
    def engine(self) -> AsyncEngine:
        """The writing engine, for migrations."""
        return self._writer

    @property
    def path(self) -> Path | None:
        """The file of a SQLite database."""
        database = _parsed(self.url).database
        return Path(database) if self.is_sqlite and database else None

    def connections(self) -> Mapping[str, int]:
        """Return how many connections are in use, by the pool they are of."""
        pools = {"write": self._writer.pool}
        if self._reader is not self._writer:
            pools["read"] = self._reader.pool
        return {name: pool.checkedout() for name, pool in pools.items()}  # type: ignore[attr-defined] # queue pools all count

    async def ping(self) -> None:
        """Raise `Unavailable` if the database does not answer."""
        try:
            async with self._reader.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except (DatabaseError, OSError) as error:
            raise Unavailable(f"The database does not answer: {_first_line(error)}.") from error

    async def table_names(self) -> frozenset[str]:
        """Return the tables that there are, ours or not, without SQLite's own."""
        async with self._reader.connect() as connection:
            return frozenset(await connection.run_sync(lambda it: inspect(it).get_table_names()))

    async def close(self) -> None:
        """Close all connections."""
        await self._writer.dispose()
        if self._reader is not self._writer:
            await self._reader.dispose()


def _first_line(error: BaseException) -> str:
    cause = getattr(error, "orig", None) or error
    return str(cause).splitlines()[0] if str(cause) else type(cause).__name__


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):  # their text repeats the password
        raise ConfigurationError(
            "WORKBENCH_DATABASE_URL is no address of a database: write sqlite:///FILE or "
            "postgresql://USER:PASSWORD@HOST:PORT/DATABASE.",
            path="database_url",
        ) from None


def _require_place(path: Path) -> None:
    """Refuse a file that SQLite can neither open nor make."""
    if not path.parent.is_dir():
        raise ConfigurationError(
            f"The database {path} cannot be made because there is no folder {path.parent}: make "
            "the folder or correct WORKBENCH_DATABASE_URL.",
            path="database_url",
        )
    if path.is_dir():
        raise ConfigurationError(
            f"The database {path} is a folder and no file: move it away, then bring your data "
            "back by `workbench db restore BACKUP`.",
            path="database_url",
        )


def _tell_damage(context: ExceptionContext) -> None:
    """Raise `Unavailable` in place of SQLite's error if that says the file is damaged."""
    error = context.original_exception
    name = str(getattr(error, "sqlite_errorname", ""))
    if any(name.startswith(damaged) for damaged in _SQLITE_DAMAGED) and context.engine:
        raise Unavailable(
            f"The database {context.engine.url.database} is damaged ({_first_line(error)}): "
            "bring a backup back by `workbench db restore BACKUP`."
        ) from None


def _connection_refusal(error: Exception, url: URL) -> ConfigurationError | Unavailable | None:
    """Return what to say of a failed connection to PostgreSQL; None if it is not a known kind.

    States are SQLSTATE, PostgreSQL's documentation, appendix A.
    """
    state = str(getattr(error, "sqlstate", None) or "")
    where = f"{url.host}:{url.port or 5432}" if url.host else str(url.query.get("host", "?"))
    if state in _NOT_ADMITTED:
        return ConfigurationError(
            f"The database at {where} does not admit the user {url.username!r}: correct user and "
            "password in WORKBENCH_DATABASE_URL.",
            path="database_url",
        )
    if state == _NO_SUCH_DATABASE:
        return ConfigurationError(
            f"The server at {where} has no database {url.database!r}: create it or correct "
            "WORKBENCH_DATABASE_URL.",
            path="database_url",
        )
    if state == _TOO_MANY:
        return Unavailable(f"The database at {where} has no connection left; try again.")
    silent = state in _NOT_READY or state.startswith(_CONNECTION_FAILED)
    if silent or isinstance(error, OSError):
        return Unavailable(
            f"The database at {where} does not answer: start it or correct WORKBENCH_DATABASE_URL."
        )
    return None


class _Pool(AsyncAdaptedQueuePool):
    """A pool that says so if none of its connections comes free in time."""

    def connect(self) -> PoolProxiedConnection:
        try:
            return super().connect()
        except PoolTimeout:
            raise Unavailable("All connections to the database are in use; try again.") from None


def _serialise(value: object) -> str:
    return orjson.dumps(value).decode()


def _sqlite_engine(url: str, *, pool_size: int, write: bool) -> AsyncEngine:
    path = _parsed(url).database

    async def connect() -> Any:
        return await open_connection(path or "")

    engine = create_async_engine(
        url,
        **({"async_creator": connect} if path else {}),
        # Every session ends its own transaction; a rollback at each return would be for nothing.
        pool_reset_on_return=None,
        poolclass=_Pool,
        pool_size=pool_size,
        max_overflow=0,
        hide_parameters=True,  # an error's text must not carry what people wrote
        pool_timeout=_BUSY_TIMEOUT_MS / 1000,
        json_serializer=_serialise,
        json_deserializer=orjson.loads,
    )

    event.listen(engine.sync_engine, "handle_error", _tell_damage)

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
        engine = create_async_engine(
            url,
            poolclass=_Pool,
            pool_timeout=_POOL_TIMEOUT_S,
            pool_size=_POOL_SIZE,
            max_overflow=_POOL_OVERFLOW,
            pool_pre_ping=True,
            connect_args={"server_settings": {"jit": "off"}},
            hide_parameters=True,
            json_serializer=_serialise,
            json_deserializer=orjson.loads,
        )
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "PostgreSQL needs the driver asyncpg: install prompt-workbench[postgres]."
        ) from error

    @event.listens_for(engine.sync_engine, "do_connect")
    def connect(dialect: Any, _record: object, arguments: Any, options: Any) -> Any:
        try:
            return dialect.connect(*arguments, **options)
        except Exception as error:
            refusal = _connection_refusal(error, engine.url)
            if refusal is None:
                raise
            raise refusal from None

    return engine
