"""A session for reports sees one state of the database, however many statements it takes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import func, insert, select, text

from app.database import AsyncSession, Database
from app.models import TrafficSpan

_DAY = datetime(2026, 1, 1, tzinfo=UTC)


async def _count(session: AsyncSession) -> int:
    return (await session.execute(select(func.count()).select_from(TrafficSpan))).scalar_one()


async def _add(database: Database, span: str) -> None:
    async with database.write_session() as session:
        values = {"span": span, "starts_at": _DAY, "summed_at": _DAY}
        await session.execute(insert(TrafficSpan).values(values))
        await session.commit()


async def test_what_is_written_meanwhile_is_seen_by_the_next_report_alone(
    database: Database,
) -> None:
    async with database.report_session() as report:
        assert await _count(report) == 0
        await _add(database, "hour")
        assert await _count(report) == 0
    async with database.report_session() as report:
        assert await _count(report) == 1


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
async def test_other_sessions_on_its_connection_keep_the_servers_ways(database: Database) -> None:
    settings = [text("SHOW transaction_isolation"), text("SHOW plan_cache_mode")]
    async with database.report_session() as report:
        found = [(await report.execute(it)).scalar_one() for it in settings]
        assert found == ["repeatable read", "force_custom_plan"]
    async with database.read_session() as session:
        found = [(await session.execute(it)).scalar_one() for it in settings]
        assert found == ["read committed", "auto"]
