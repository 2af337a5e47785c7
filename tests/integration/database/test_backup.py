"""Copies of an embedded database, and a database that does not answer."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from app.core.errors import ConfigurationError, Unavailable, WorkbenchError
from app.database import Database
from app.database.backup import BEFORE_RESTORE, backup_sqlite, restore_sqlite


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


def test_a_database_in_no_folder_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no folder .*nowhere: make"):
        Database(f"sqlite+aiosqlite:///{tmp_path / 'nowhere' / 'workbench.db'}")


def test_an_address_that_cannot_be_read_is_refused_without_its_password() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Database("postgresql+asyncpg://u:canary@h:port/x")
    assert "canary" not in str(caught.value)
    assert "WORKBENCH_DATABASE_URL" in str(caught.value)


def replace_by_a_letter(path: Path) -> bytes:
    path.write_text("A letter, and no database at all.\n" * 100)
    return path.read_bytes()


def damage(path: Path) -> bytes:
    """Overwrite every page after the first, as a failing disk might; return the file."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
    return path.read_bytes()


async def test_a_copy_of_a_damaged_database_is_refused_and_not_left(
    tmp_path: Path, sqlite_template: Path
) -> None:
    damage(Path(shutil.copy(sqlite_template, tmp_path / "workbench.db")))
    async with opened(tmp_path / "workbench.db") as database:
        with pytest.raises(Unavailable, match=r"workbench\.db is damaged .*db restore BACKUP"):
            backup_sqlite(database, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.parametrize("kind", ["damaged", "no database"])
async def test_a_restore_mends_a_damaged_database_and_keeps_what_was_there(
    tmp_path: Path, sqlite_template: Path, kind: str
) -> None:
    path = Path(shutil.copy(sqlite_template, tmp_path / "workbench.db"))
    before = damage(path) if kind == "damaged" else replace_by_a_letter(path)
    async with opened(path) as database:
        assert backup_sqlite(database, kind=BEFORE_RESTORE).read_bytes() == before
        restore_sqlite(database, sqlite_template)
        await database.ping()
        backup_sqlite(database)


@pytest.mark.parametrize(
    ("user", "name", "words"),
    [
        ("postgres", "nowhere", "has no database 'nowhere': create it or correct"),
        ("stranger", "postgres", "does not admit the user 'stranger': correct user and password"),
    ],
)
async def test_a_server_that_refuses_is_told_with_what_to_correct(
    user: str, name: str, words: str, postgres_url: str
) -> None:
    url = make_url(postgres_url).set(
        drivername="postgresql+asyncpg", username=user, database=name, password="canary"
    )
    told = await refusal(url.render_as_string(hide_password=False))
    assert words in told
    assert "canary" not in told


async def test_a_server_that_does_not_answer_is_named_without_the_password() -> None:
    told = await refusal("postgresql+asyncpg://ann:canary@127.0.0.1:1/x")
    assert told == (
        "The database at 127.0.0.1:1 does not answer: start it or correct WORKBENCH_DATABASE_URL."
    )


async def refusal(url: str) -> str:
    """Return what a session on a server that cannot be used says."""
    database = Database(url)
    try:
        with pytest.raises(WorkbenchError) as caught:
            async with database.read_session() as session:
                await session.execute(text("SELECT 1"))
    finally:
        await database.close()
    return str(caught.value)
