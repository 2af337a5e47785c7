"""Migrations: upgrade, downgrade, create, and what a new one would hold.

Start-up only compares (`app.database.revisions`) and never comes here by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from app.core.errors import ConfigurationError
from app.database.base import Base
from app.database.engine import Database
from app.database.revisions import SchemaStatus, known_revisions, migrations_folder, read_status

__all__ = ["create", "difference", "downgrade", "is_ours", "upgrade"]

_QUEUE = "pgqueuer"  # what PGQueuer's tables begin with


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
        number = len(known_revisions()) + 1
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
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_name": is_ours,
            },
        )
        return list(compare_metadata(context, Base.metadata))

    async with database.engine.connect() as connection:
        return await connection.run_sync(work)


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Whether a migration may look at an object: the tables of the queue are PGQueuer's own."""
    return kind != "table" or not (name or "").startswith(_QUEUE)


async def _run(database: Database, step: Callable[[Config], None]) -> SchemaStatus:
    def work(connection: Connection) -> SchemaStatus:
        config = _config()
        config.attributes["connection"] = connection
        step(config)
        return read_status(connection)

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
