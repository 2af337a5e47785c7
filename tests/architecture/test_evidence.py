"""Evidence cannot be changed, a text is erased once and for all, a rewritten audit chain shows.

On both databases, with the statements of somebody who has the connection and means it.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from app.core.clock import SystemClock
from app.core.permissions import Actor
from app.database import Database, DatabaseError
from app.repositories.content import ContentRepository, content_row
from app.schemas.prompts import PromptContent
from app.services.audit import first_broken_entry
from app.services.prompts import PromptService

_ERASE = "UPDATE content SET body = NULL, salt = NULL, erased_at = '2026-01-01 00:00:00+00:00'"


async def execute(database: Database, statement: str) -> None:
    async with database.write_session() as session:
        await session.execute(text(statement))
        await session.commit()


async def broken_entry(database: Database) -> int | None:
    async with database.read_session() as session:
        return await first_broken_entry(session)


@pytest.fixture
async def audited(database: Database, actor: Actor) -> Database:
    """A database with three audit events."""
    prompts = PromptService(database, SystemClock())
    for number in (1, 2, 3):
        content = PromptContent.model_validate(
            {"messages": [{"role": "user", "content": f"Text {number}"}]}
        )
        await prompts.register(actor, "triage", content, number=number)
    return database


@pytest.fixture
async def with_text(database: Database) -> Database:
    """A database with one text."""
    async with database.write_session() as session:
        row = content_row("What somebody wrote.", datetime(2026, 1, 1, tzinfo=UTC))
        await ContentRepository(session).add_all([row])
        await session.commit()
    return database


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET actor = 'nobody'",
        "UPDATE audit_event SET body = '{}' WHERE sequence = 2",
        "DELETE FROM audit_event WHERE sequence = 3",
    ],
)
async def test_an_audit_event_cannot_be_changed_or_deleted(
    audited: Database, statement: str
) -> None:
    with pytest.raises(DatabaseError, match="append-only"):
        await execute(audited, statement)
    assert await broken_entry(audited) is None


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit_event SET body = replace(body, 'triage@2', 'triage@9')", 2),
        ("UPDATE audit_event SET previous_hash = entry_hash WHERE sequence = 3", 3),
        ("UPDATE audit_event SET sequence = 9 WHERE sequence = 2", 3),
    ],
)
async def test_an_owner_who_drops_the_trigger_leaves_a_broken_chain(
    audited: Database, statement: str, broken: int
) -> None:
    table = "" if audited.is_sqlite else " ON audit_event"
    await execute(audited, f"DROP TRIGGER append_only_audit_event_update{table}")

    await execute(audited, statement)

    assert await broken_entry(audited) == broken


async def test_a_text_is_erased_with_its_salt_and_keeps_its_hash(with_text: Database) -> None:
    await execute(with_text, _ERASE)

    async with with_text.read_session() as session:
        statement = text("SELECT body, salt, hash, size_bytes FROM content")
        row = (await session.execute(statement)).one()
    assert (row.body, row.salt) == (None, None)
    assert row.hash.startswith("sha256:")
    assert row.size_bytes == len('"What somebody wrote."')


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE content SET body = 'Something else.'",
        f"{_ERASE}, hash = 'sha256:0'",
        "DELETE FROM content",
    ],
)
async def test_a_text_changes_in_no_other_way(with_text: Database, statement: str) -> None:
    with pytest.raises(DatabaseError, match="append-only"):
        await execute(with_text, statement)


async def test_a_text_is_erased_once(with_text: Database) -> None:
    await execute(with_text, _ERASE)
    with pytest.raises(DatabaseError, match="append-only"):
        await execute(with_text, _ERASE)


_GENERATION = (
    "INSERT INTO generation (id, purpose, origin, repetition, status, usage_source,"
    " attempt_count, reopened, started_at) VALUES ('0190a000000070008000000000000001',"
    " 'chat', 'imported', 0, '{status}', 'unreported', 1, 0, '2026-01-01 00:00:00+00:00')"
)


@pytest.mark.parametrize("status", ["completed", "refused"])
@pytest.mark.parametrize("statement", ["UPDATE generation SET cost = 0", "DELETE FROM generation"])
async def test_what_a_model_answered_never_changes(
    database: Database, status: str, statement: str
) -> None:
    await execute(database, _GENERATION.format(status=status))
    with pytest.raises(DatabaseError, match="append-only"):
        await execute(database, statement)


@pytest.mark.parametrize("status", ["started", "failed", "incomplete"])
async def test_what_no_model_answered_may_be_replaced_but_not_deleted(
    database: Database, status: str
) -> None:
    await execute(database, _GENERATION.format(status=status))
    await execute(database, "UPDATE generation SET status = 'completed', reopened = 1")
    with pytest.raises(DatabaseError, match="append-only"):
        await execute(database, "DELETE FROM generation")
