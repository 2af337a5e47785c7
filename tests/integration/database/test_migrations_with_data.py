"""Migrations go down and up again over a database that holds an experiment: nothing of it is
lost, and history is guarded afterwards as before."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from app.core.permissions import Actor
from app.database import Database, DatabaseError
from app.database.schema import downgrade, upgrade
from tests.fake_provider import FakeProvider
from tests.integration.runner.conftest import (
    ASK,
    ASK_POLITELY,
    OpenServices,
    make_experiment,
    open_for,
    questions,
)
from workbench.runner.generation.execute import ExecutionOptions, execute
from workbench.runner.pipeline import compare_all, score_all

__all__ = ["open_for"]

# The tables of revision 0002, with the columns that it has.
BEFORE_EVALUATION = "0002"


async def rows(database: Database, columns: dict[str, list[str]]) -> dict[str, list[Any]]:
    """Return every row of these columns, in one order."""
    found = {}
    async with database.read_session() as session:
        for table, names in columns.items():
            chosen = ", ".join(f'"{name}"' for name in names)
            result = await session.execute(text(f'SELECT {chosen} FROM "{table}"'))
            found[table] = sorted(repr(tuple(row)) for row in result)
    return found


async def columns(database: Database) -> dict[str, list[str]]:
    """Return the columns of every table but the revision's own."""
    async with database.read_session() as session:
        if session.get_bind().dialect.name == "sqlite":
            names = await session.execute(
                text("SELECT name FROM sqlite_master WHERE type = 'table'")
            )
            tables = [name for (name,) in names if not name.startswith(("sqlite_", "alembic_"))]
            return {
                table: sorted(
                    row[1] for row in await session.execute(text(f'PRAGMA table_info("{table}")'))
                )
                for table in tables
            }
        found = await session.execute(
            text(
                "SELECT table_name, column_name FROM information_schema.columns "
                "WHERE table_schema = 'public' AND table_name NOT LIKE 'alembic%'"
            )
        )
        grouped: dict[str, list[str]] = {}
        for table, column in found:
            grouped.setdefault(table, []).append(column)
        return {table: sorted(names) for table, names in grouped.items()}


async def test_an_experiment_survives_the_way_down_and_up_again(
    open_for: OpenServices, database: Database, actor: Actor
) -> None:
    async with FakeProvider() as server, open_for(server) as services:
        experiment = await make_experiment(
            services, actor, examples=questions(30), prompts=[ASK, ASK_POLITELY]
        )
        await execute(services, actor, experiment, ExecutionOptions(concurrency=8))
        await score_all(services, actor, experiment)
        await compare_all(services, actor, experiment)

    await downgrade(database, BEFORE_EVALUATION)
    older = await columns(database)
    kept = await rows(database, older)
    await upgrade(database)

    assert kept["generation"]
    assert kept["score"]
    assert await rows(database, older) == kept
    for statement in ("DELETE FROM score", "UPDATE generation SET cost = 0", "DELETE FROM content"):
        with pytest.raises(DatabaseError, match="append-only"):
            async with database.write_session() as session:
                await session.execute(text(statement))
