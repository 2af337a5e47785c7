"""Schema revisions: compare, upgrade, downgrade. Start-up compares and never migrates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from app.core.errors import ConfigurationError
from app.database.base import Base
from app.database.engine import Database

__all__ = [
    "SchemaStatus",
    "create",
    "difference",
    "downgrade",
    "has_migrations",
    "schema_status",
    "upgrade",
]


@dataclass(frozen=True)
class SchemaStatus:
    """`current` is None for an empty database; `pending` are the revisions still to run."""

    current: str | None
    head: str
    pending: tuple[str, ...]

    @property
    def up_to_date(self) -> bool:
        return self.current == self.head


def migrations_folder() -> Path:
    """Return the migrations: inside an installed package, or beside it in a clone."""
    here = Path(__file__).parent
    installed = here / "_migrations"
    return installed if installed.is_dir() else here.parent.parent / "migrations"


def has_migrations() -> bool:
    """Whether there is any revision yet."""
    return ScriptDirectory.from_config(_config()).get_current_head() is not None


async def schema_status(database: Database) -> SchemaStatus:
    """Compare the database with the newest revision known to this code.

    Raises `ConfigurationError` if the database is newer than the code.
    """
    async with database.engine.connect() as connection:
        return await connection.run_sync(lambda sync: _status(sync))


async def upgrade(database: Database, revision: str = "head") -> SchemaStatus:
    """Run the pending migrations in one transaction."""
    return await _run(database, lambda config: command.upgrade(config, revision))


async def downgrade(database: Database, revision: str) -> SchemaStatus:
    """Undo migrations down to `revision` (`base` for all, `-1` for one)."""
    return await _run(database, lambda config: command.downgrade(config, revision))


async def create(database: Database, message: str) -> str:
    """Write a migration file from the difference between tables and database; return its path."""

    def work(connection: Connection) -> str:
        config = _config()
        config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
        config.attributes["connection"] = connection
        number = len(list(ScriptDirectory.from_config(config).walk_revisions())) + 1
        script = command.revision(
            config, message=message, autogenerate=True, rev_id=f"{number:04d}"
        )
        if script is None or isinstance(script, list):
            raise ConfigurationError("Exactly one migration was expected.")
        return str(script.path)

    async with database.engine.connect() as connection:
        return await connection.run_sync(work)


async def difference(database: Database) -> list[Any]:
    """Return what the tables have and the database has not; empty when they agree."""

    def work(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return list(compare_metadata(context, Base.metadata))

    async with database.engine.connect() as connection:
        return await connection.run_sync(work)


async def _run(database: Database, step: Callable[[Config], None]) -> SchemaStatus:
    def work(connection: Connection) -> SchemaStatus:
        config = _config()
        config.attributes["connection"] = connection
        step(config)
        return _status(connection)

    async with database.engine.connect() as connection:
        if database.is_sqlite:
            # Batch migrations rebuild tables; with foreign keys on, dropping the old one
            # would cascade. The pragma only works outside a transaction.
            raw = await connection.get_raw_connection()
            await _pragma(raw, "foreign_keys=OFF")
            try:
                status = await connection.run_sync(work)
                await connection.commit()
            finally:
                await _pragma(raw, "foreign_keys=ON")
        else:
            await connection.exec_driver_sql("SET lock_timeout = '5s'")
            status = await connection.run_sync(work)
            await connection.commit()
    return status


async def _pragma(raw: Any, pragma: str) -> None:
    cursor = await raw.driver_connection.execute(f"PRAGMA {pragma}")
    await cursor.close()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    return config


def _status(connection: Connection) -> SchemaStatus:
    script = ScriptDirectory.from_config(_config())
    head = script.get_current_head()
    if head is None:
        raise ConfigurationError("No migrations were found; the installation is incomplete.")
    current = MigrationContext.configure(connection).get_current_revision()
    known = {revision.revision for revision in script.walk_revisions()}
    if current is not None and current not in known:
        raise ConfigurationError(
            f"The database has the schema revision {current}, which this version of the "
            "workbench does not know. Install the version that wrote it, or a newer one."
        )
    pending = [r.revision for r in script.iterate_revisions(head, current or "base")]
    return SchemaStatus(current, head, tuple(reversed(pending)))
