"""The schema: reversible, equal to the tables, guarded; on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from app.core.errors import ConfigurationError
from app.database import Database, DatabaseError
from app.database.revisions import schema_status
from app.database.schema import difference, downgrade, upgrade


@pytest.fixture
async def empty(empty_database_url: str):
    database = Database(empty_database_url)
    yield database
    await database.close()


async def test_an_empty_database_has_every_revision_pending(empty: Database) -> None:
    status = await schema_status(empty)
    assert status.current is None
    assert status.pending[0] == "0001"
    assert not status.up_to_date


async def test_migrations_go_up_down_and_up_again(empty: Database) -> None:
    assert (await upgrade(empty)).up_to_date
    assert (await downgrade(empty, "base")).current is None
    assert (await upgrade(empty)).up_to_date


async def test_the_migrated_database_equals_the_tables(database: Database) -> None:
    assert await difference(database) == []


async def test_a_database_newer_than_the_code_is_refused(database: Database) -> None:
    async with database.write_session() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        await session.commit()
    with pytest.raises(ConfigurationError, match="9999"):
        await schema_status(database)


INSERT_PROMPT = (
    "INSERT INTO prompt (id, name, created_at, created_by) VALUES"
    " ('0190a000000070008000000000000001', 'p', '2026-01-01', 'x')"
)
INSERT_VERSION = (
    "INSERT INTO prompt_version (id, prompt_id, number, content_hash, messages, variables,"
    " parameters, description, message, origin, author, created_at, published_at) VALUES"
    " ('0190a000000070008000000000000002', '0190a000000070008000000000000001', {number},"
    " 'sha256:x', '[]', '{{}}', '{{}}', '', '', 'file', 'x', '2026-01-01', {published})"
)


async def _execute(database: Database, *statements: str) -> None:
    async with database.write_session() as session:
        for statement in statements:
            await session.execute(text(statement))
        await session.commit()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE prompt_version SET messages = '[1]'",
        "UPDATE prompt_version SET number = 2",
        "DELETE FROM prompt_version",
    ],
)
async def test_a_published_prompt_version_never_changes(database: Database, statement: str) -> None:
    await _execute(
        database, INSERT_PROMPT, INSERT_VERSION.format(number=1, published="'2026-01-01'")
    )
    with pytest.raises(DatabaseError, match="append-only"):
        await _execute(database, statement)


async def test_a_draft_is_published_once_and_its_text_never_changes(database: Database) -> None:
    await _execute(database, INSERT_PROMPT, INSERT_VERSION.format(number="NULL", published="NULL"))
    with pytest.raises(DatabaseError, match="append-only"):
        await _execute(database, "UPDATE prompt_version SET messages = '[1]'")
    await _execute(database, "UPDATE prompt_version SET number = 1, published_at = '2026-01-02'")
    with pytest.raises(DatabaseError, match="append-only"):
        await _execute(database, "UPDATE prompt_version SET number = 2")


def test_migrations_name_no_code_of_ours() -> None:
    """A migration that imports our code changes with it."""
    folder = Path(__file__).parents[3] / "migrations" / "versions"
    for file in folder.glob("*.py"):
        assert "import app" not in file.read_text()
        assert "from app" not in file.read_text()
