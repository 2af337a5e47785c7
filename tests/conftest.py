"""Fixtures that every test may use: both databases, a migrated template, blocked sockets."""

from __future__ import annotations

import asyncio
import shutil
import socket
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from app.core.clock import SystemClock
from app.core.permissions import Actor, local_actor
from app.database import Database
from app.database.schema import upgrade
from app.services.builtin_prompts import register_builtin_prompts
from app.services.prompts import PromptService
from tests.postgres import MigratedDatabases, database_on, execute, postgres_server

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared"

# How many examples a property is tried on: `--hypothesis-profile=nightly` tries many. How long one
# takes says more about what else the machine does than about the property.
_UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("every-change", _UNTIMED, max_examples=25)
settings.register_profile("nightly", _UNTIMED, max_examples=500)
settings.load_profile("every-change")

_LOOPBACK = {"127.0.0.1", "::1", "localhost", "0.0.0.0"}
_real_connect = socket.socket.connect


def _guarded_connect(self: socket.socket, address: Any) -> Any:
    if isinstance(address, tuple) and address[0] not in _LOOPBACK:
        raise RuntimeError(f"A test tried to reach {address[0]}: only loopback is allowed.")
    return _real_connect(self, address)


socket.socket.connect = _guarded_connect  # type: ignore[method-assign] # for the whole test process


@pytest.fixture
def actor() -> Actor:
    return local_actor()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A server for the session; a machine without PostgreSQL fails, nothing is skipped."""
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the newest schema and no rows."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    asyncio.run(_migrate(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def sqlite_template(migrated_sqlite: Path) -> Path:
    """The SQLite file that tests copy; where whole commands are tested, `used_sqlite`."""
    return migrated_sqlite


@pytest.fixture(scope="session")
def used_sqlite(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file as the first command leaves it: with the built-in prompts."""
    path = tmp_path_factory.mktemp("used") / "template.db"
    shutil.copy(migrated_sqlite, path)
    asyncio.run(_register_builtin_prompts(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> Iterator[str]:
    """The name of a migrated PostgreSQL database to copy."""
    name = f"template_{uuid.uuid4().hex[:8]}"
    asyncio.run(execute(postgres_url, f"CREATE DATABASE {name}"))
    asyncio.run(_migrate(_for_sqlalchemy(database_on(postgres_url, name))))
    yield name
    asyncio.run(execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def postgres_databases(postgres_url: str, postgres_template: str) -> Iterator[MigratedDatabases]:
    """Migrated PostgreSQL databases that tests take and give back."""
    databases = MigratedDatabases(postgres_url, postgres_template)
    yield databases
    asyncio.run(databases.drop_all())


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def database_url(
    database_kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[str]:
    """A migrated, empty database of its own for this test, once on each of the two kinds."""
    if database_kind == "sqlite":
        path = tmp_path / "workbench.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite+aiosqlite:///{path}"
        return
    databases: MigratedDatabases = request.getfixturevalue("postgres_databases")
    name = asyncio.run(databases.take())
    yield _for_sqlalchemy(databases.url(name))
    asyncio.run(databases.give_back(name))


@pytest.fixture
def empty_database_url(
    database_kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[str]:
    """A database without any table, once on each of the two kinds."""
    if database_kind == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}"
        return
    server: str = request.getfixturevalue("postgres_url")
    name = f"empty_{uuid.uuid4().hex[:12]}"
    asyncio.run(execute(server, f"CREATE DATABASE {name}"))
    yield _for_sqlalchemy(database_on(server, name))
    asyncio.run(execute(server, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


async def _migrate(url: str) -> None:
    database = Database(url)
    try:
        await upgrade(database)
    finally:
        await database.close()


async def _register_builtin_prompts(url: str) -> None:
    database = Database(url)
    try:
        await register_builtin_prompts(PromptService(database, SystemClock()))
    finally:
        await database.close()


def _for_sqlalchemy(url: str) -> str:
    return url.replace("postgresql://", "postgresql+asyncpg://", 1)
