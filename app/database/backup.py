"""Backup and restore of an embedded SQLite database, by SQLite's own online backup."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from app.core.errors import ConfigurationError
from app.database.engine import Database

__all__ = ["backup_sqlite", "restore_sqlite"]


def backup_sqlite(database: Database, target: Path | None = None, *, kind: str = "backup") -> Path:
    """Copy a consistent state of the database to `target` and return the copy's path.

    Without a target the copy stands beside the database, its name says the time and `kind`.
    Raises `ConfigurationError` on PostgreSQL, and when the target exists.
    """
    source = _file(database)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")  # to the microsecond: no two are equal
    path = target or source.with_name(f"{source.stem}.{stamp}.{kind}{source.suffix}")
    if path.exists():
        raise ConfigurationError(f"{path} exists already; choose another file.")
    _copy(source, path)
    return path


def restore_sqlite(database: Database, backup: Path) -> None:
    """Replace the database's content by a backup's.

    Raises `ConfigurationError` if the file is no SQLite database in good order.
    """
    if not backup.is_file():
        raise ConfigurationError(f"There is no file {backup}.")
    try:
        with closing(sqlite3.connect(f"file:{backup}?mode=ro", uri=True)) as connection:
            answer = connection.execute("PRAGMA integrity_check").fetchone()[0]
            connection.execute("SELECT version_num FROM alembic_version")
    except sqlite3.DatabaseError as error:
        raise ConfigurationError(f"{backup} is no backup of a workspace: {error}.") from error
    if answer != "ok":
        raise ConfigurationError(f"{backup} is damaged: {answer}.")
    _copy(backup, _file(database))


def _file(database: Database) -> Path:
    if database.path is None:
        raise ConfigurationError(
            "Backup and restore are for the embedded SQLite database; "
            "for PostgreSQL use pg_dump and pg_restore."
        )
    return database.path


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(target)) as write:
        read.backup(write)
