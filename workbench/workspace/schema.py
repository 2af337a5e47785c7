"""The database's schema and built-in prompts when a command opens the workspace."""

from __future__ import annotations

from app.bootstrap import Services
from app.core.errors import ConfigurationError
from app.database import Database
from app.database.backup import backup_sqlite
from app.database.revisions import schema_status
from app.services.builtin_prompts import register_builtin_prompts

__all__ = ["prepare_schema", "refuse_foreign"]


async def prepare_schema(services: Services) -> str | None:
    """Bring an embedded SQLite database to the newest schema, after a backup copy.

    Any other database is compared and refused if it is behind, and so is a SQLite file of
    another program. Then the built-in prompts are registered, if they are not. Returns a
    sentence about what was done, or None.
    """
    note = await _bring_up_to_date(services.database)
    await register_builtin_prompts(services.prompts)
    return note


async def _bring_up_to_date(database: Database) -> str | None:
    status = await schema_status(database)
    if status.up_to_date:
        return None
    if not database.is_sqlite:
        raise ConfigurationError(
            f"The database's schema is at revision {status.current or 'none'} and this version "
            f"needs {status.head}.",
            hint="Run `workbench db upgrade` (make a backup first).",
        )
    # Imported here: the migration tool would cost every command a third of its start.
    from app.database.schema import upgrade

    copy = None
    if status.current is not None:
        copy = backup_sqlite(database)
    else:
        await refuse_foreign(database)
    await upgrade(database)
    return None if copy is None else f"Database upgraded to {status.head}; backup in {copy.name}."


async def refuse_foreign(database: Database) -> None:
    """Raise `ConfigurationError` for a SQLite file that has tables and none of ours."""
    tables = await database.table_names()
    if tables and "alembic_version" not in tables:
        raise ConfigurationError(
            f"The database {database.path} belongs to another program (it has the table "
            f"{min(tables)!r} and no schema of the workbench): name another file in "
            "WORKBENCH_DATABASE_URL.",
            path="database_url",
        )
