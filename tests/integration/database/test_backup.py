"""Copies of an embedded database, and a database that does not answer."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.core.errors import ConfigurationError, Unavailable
from app.database import Database
from app.database.backup import backup_sqlite


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite+aiosqlite:///{path}")
    try:
        yield database
    finally:
        await database.close()


async def test_copies_made_in_one_second_have_names_of_their_own(
    tmp_path: Path, sqlite_template: Path
) -> None:
    shutil.copy(sqlite_template, tmp_path / "workbench.db")
    async with opened(tmp_path / "workbench.db") as database:
        copies = {backup_sqlite(database) for _ in range(3)}
        other = backup_sqlite(database, kind="before-restore")
    assert len(copies) == 3
    assert all(copy.is_file() and copy.name.endswith(".backup.db") for copy in copies)
    assert other.name.endswith(".before-restore.db")


async def test_a_copy_overwrites_nothing(tmp_path: Path, sqlite_template: Path) -> None:
    shutil.copy(sqlite_template, tmp_path / "workbench.db")
    (tmp_path / "copy.db").write_text("mine")
    async with opened(tmp_path / "workbench.db") as database:
        with pytest.raises(ConfigurationError, match="exists already"):
            backup_sqlite(database, tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "mine"


async def test_a_database_that_answers_is_pinged(tmp_path: Path, sqlite_template: Path) -> None:
    shutil.copy(sqlite_template, tmp_path / "workbench.db")
    async with opened(tmp_path / "workbench.db") as database:
        await database.ping()


async def test_a_file_that_is_no_database_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "workbench.db").write_text("A letter, and no database at all.\n" * 100)
    async with opened(tmp_path / "workbench.db") as database:
        with pytest.raises(Unavailable, match="file is not a database"):
            await database.ping()


async def test_a_database_in_no_folder_does_not_answer(tmp_path: Path) -> None:
    async with opened(tmp_path / "nowhere" / "workbench.db") as database:
        with pytest.raises(Unavailable, match="unable to open"):
            await database.ping()
