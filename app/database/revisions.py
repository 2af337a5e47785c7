"""Which schema revision a database has, and which this code needs; cheap enough for start-up.

Revisions are the numbers that the migration files begin with (`0001_foundation.py`), so
that comparing needs no migration tool: its import costs a third of a command's start.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from app.core.errors import ConfigurationError
from app.database.engine import Database

__all__ = ["SchemaStatus", "known_revisions", "migrations_folder", "read_status", "schema_status"]

_FILE = re.compile(r"(\d{4})_\w+\.py")


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


def known_revisions() -> list[str]:
    """Return the revisions of the migration files, oldest first."""
    names = (path.name for path in (migrations_folder() / "versions").glob("*.py"))
    return sorted(match[1] for name in names if (match := _FILE.fullmatch(name)))


async def schema_status(database: Database) -> SchemaStatus:
    """Compare the database with the newest revision known to this code.

    Raises `ConfigurationError` if the database is newer than the code.
    """
    async with database.engine.connect() as connection:
        return await connection.run_sync(read_status)


def read_status(connection: Connection) -> SchemaStatus:
    """Compare as `schema_status` does, on a connection at hand."""
    known = known_revisions()
    if not known:
        raise ConfigurationError("No migrations were found; the installation is incomplete.")
    current = _current(connection)
    if current is not None and current not in known:
        raise ConfigurationError(
            f"The database has the schema revision {current}, which this version of the "
            "workbench does not know. Install the version that wrote it, or a newer one."
        )
    pending = tuple(known if current is None else known[known.index(current) + 1 :])
    return SchemaStatus(current, known[-1], pending)


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if revision is None else str(revision)
