"""What a downgrade would destroy, told before it is done.

The migrations themselves are asked: an empty database of the same revision is downgraded,
and what its schema loses is counted in the real one.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field

from alembic.util import CommandError
from sqlalchemy import Connection, func, inspect, select, table

from app.core.errors import ConfigurationError
from app.database.engine import Database
from app.database.revisions import schema_status
from app.database.schema import downgrade, upgrade

__all__ = ["DowngradeLoss", "downgrade_loss"]


@dataclass(frozen=True)
class DowngradeLoss:
    """`revisions` are undone, newest first; `tables` and `columns` go, with their rows' count."""

    target: str | None
    revisions: tuple[str, ...]
    tables: dict[str, int] = field(default_factory=dict)
    columns: dict[str, int] = field(default_factory=dict)

    @property
    def destroys(self) -> bool:
        """Whether anything stored would be gone; a table without rows is not."""
        return any(self.tables.values()) or any(self.columns.values())

    def __str__(self) -> str:
        """Name what would be gone, as in `prompt (3 rows), run.name (2 values)`."""
        parts = [f"{name} ({_counted(n, 'row')})" for name, n in self.tables.items() if n]
        parts += [f"{name} ({_counted(n, 'value')})" for name, n in self.columns.items() if n]
        return ", ".join(parts)


async def downgrade_loss(database: Database, revision: str) -> DowngradeLoss:
    """Return what going down to `revision` (`base` for all, `-1` for one) would destroy.

    Raises `ConfigurationError` for a revision that does not exist or is not below.
    """
    current = (await schema_status(database)).current
    if current is None:
        return DowngradeLoss(None, ())
    with tempfile.TemporaryDirectory() as folder:
        empty = Database(f"sqlite+aiosqlite:///{folder}/empty.db")
        try:
            await upgrade(empty, current)
            before = await _columns(empty)
            pending = (await schema_status(empty)).pending
            status = await downgrade(empty, revision)
            after = await _columns(empty)
        except CommandError as error:
            raise ConfigurationError(
                f"There is no revision {revision!r} below {current}: {error}.",
                hint="Use a revision of `workbench db status`, -1, or base.",
            ) from error
        finally:
            await empty.close()
    undone = tuple(r for r in reversed(status.pending) if r not in pending)
    tables = await _counts(database, [name for name in before if name not in after])
    kept = {name: columns - after[name] for name, columns in before.items() if name in after}
    rows = await _counts(database, [name for name, lost in kept.items() if lost])
    columns = {f"{name}.{c}": rows[name] for name, lost in kept.items() for c in sorted(lost)}
    return DowngradeLoss(status.current, undone, tables, columns)


async def _columns(database: Database) -> dict[str, set[str]]:
    """Return the columns of every table of ours."""

    def work(connection: Connection) -> dict[str, set[str]]:
        inspector = inspect(connection)
        return {
            name: {column["name"] for column in inspector.get_columns(name)}
            for name in inspector.get_table_names()
            if name != "alembic_version"
        }

    async with database.engine.connect() as connection:
        return await connection.run_sync(work)


async def _counts(database: Database, names: list[str]) -> dict[str, int]:
    async with database.read_session() as session:
        return {
            name: (
                await session.execute(select(func.count()).select_from(table(name)))
            ).scalar_one()
            for name in names
        }


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
