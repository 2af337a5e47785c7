"""Statements on `audit_event`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert, select, text

from app.database import AsyncSession
from app.models import AuditEvent

__all__ = ["AuditRepository"]

_CHAIN_LOCK = 7_311_001  # names the advisory lock that orders writers of the chain


class AuditRepository:
    """The chain of governed changes, in order."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self) -> None:
        """Let one writer at a time extend the chain, until its transaction ends.

        SQLite has one writer anyway.
        """
        if self._session.get_bind().dialect.name == "postgresql":
            await self._session.execute(text(f"SELECT pg_advisory_xact_lock({_CHAIN_LOCK})"))

    async def last(self) -> tuple[int, str] | None:
        """Return sequence and hash of the newest entry."""
        statement = (
            select(AuditEvent.sequence, AuditEvent.entry_hash)
            .order_by(AuditEvent.sequence.desc())
            .limit(1)
        )
        row = (await self._session.execute(statement)).one_or_none()
        return None if row is None else (row.sequence, row.entry_hash)

    async def append(self, row: Mapping[str, Any]) -> None:
        """Insert one entry."""
        await self._session.execute(insert(AuditEvent), [dict(row)])

    async def bodies(self) -> list[tuple[int, str, str, str]]:
        """Return (sequence, body, previous hash, entry hash) of all entries in order."""
        statement = select(
            AuditEvent.sequence, AuditEvent.body, AuditEvent.previous_hash, AuditEvent.entry_hash
        ).order_by(AuditEvent.sequence)
        return [(r[0], r[1], r[2], r[3]) for r in await self._session.execute(statement)]
