"""Backup and restore of an embedded SQLite database, by SQLite's own online backup."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from app.core.errors import ConfigurationError, Unavailable
from app.database.engine import Database

__all__ = ["BEFORE_RESTORE", "backup_sqlite", "restore_sqlite"]

BEFORE_RESTORE = "before-restore"
"""The kind of the copy that is made of what a restore replaces."""

_DAMAGED = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB"})


def backup_sqlite(database: Database, target: Path | None = None, *, kind: str = "backup") -> Path:
    """Copy a consistent state of the database to `target` and return the copy's path.

    Without a target the copy stands beside the database, its name says the time and `kind`.
    Raises `ConfigurationError` on PostgreSQL, and when the target exists; `Unavailable`, and
    leaves no copy, when the database is damaged. Only the copy before a restore is made of a
    damaged database too, byte by byte: restoring is its remedy.
    """
    source = _file(database)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")  # to the microsecond: no two are equal
    path = target or source.with_name(f"{source.stem}.{stamp}.{kind}{source.suffix}")
    if path.exists():
        raise ConfigurationError(f"{path} exists already; choose another file.")
    damage = _copy_checked(source, path)
    if damage is None:
        return path
    _remove(path)
    if kind != BEFORE_RESTORE:
        raise Unavailable(
            f"The database {source} is damaged ({damage}), so no copy was made: bring an earlier "
            "backup back by `workbench db restore BACKUP`."
        )
    for suffix in ("", "-wal"):  # what is not yet in the file stands in its log
        part = source.with_name(source.name + suffix)
        if part.is_file():
            shutil.copyfile(part, path.with_name(path.name + suffix))
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
    target = _file(database)
    if target.is_file() and _is_no_database(target):
        _remove(target)  # SQLite writes into no file that it cannot read
    _copy(backup, target)


def _file(database: Database) -> Path:
    if database.path is None:
        raise ConfigurationError(
            "Backup and restore are for the embedded SQLite database; "
            "for PostgreSQL use pg_dump and pg_restore."
        )
    return database.path


def _copy_checked(source: Path, target: Path) -> str | None:
    """Copy, and return what is wrong with the copy; None if it is in good order."""
    try:
        _copy(source, target)
        with closing(sqlite3.connect(target)) as connection:
            answer = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        if _says_damaged(error):
            return str(error)
        _remove(target)
        raise
    return None if answer == "ok" else answer.splitlines()[-1]


def _is_no_database(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.DatabaseError as error:
        return _says_damaged(error)
    return False


def _says_damaged(error: sqlite3.DatabaseError) -> bool:
    name = getattr(error, "sqlite_errorname", "")  # missing if the module itself raised it
    return any(name.startswith(damaged) for damaged in _DAMAGED)


def _remove(database: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(target)) as write:
        read.backup(write)
