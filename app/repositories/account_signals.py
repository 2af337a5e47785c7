"""Statements on `account_signal`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import case, select
from sqlalchemy.dialects import postgresql, sqlite

from app.database import AsyncSession
from app.models import AccountSignal

__all__ = ["AccountSignalRepository"]


class AccountSignalRepository:
    """Until when accounts want to be left alone."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def tell(self, until: Mapping[str, datetime], now: datetime) -> None:
        """Note times by endpoint; one that is recorded and later stays."""
        dialect = self._session.get_bind().dialect.name
        make = postgresql.insert if dialect == "postgresql" else sqlite.insert
        statement = make(AccountSignal)
        told = statement.excluded.limited_until_at
        known = AccountSignal.limited_until_at
        statement = statement.on_conflict_do_update(
            index_elements=["endpoint"],
            set_={"limited_until_at": case((told > known, told), else_=known), "told_at": now},
        )
        # In one order, so that two who tell of the same endpoints do not wait for each other.
        rows = [
            {"endpoint": endpoint, "limited_until_at": until[endpoint], "told_at": now}
            for endpoint in sorted(until)
        ]
        await self._session.execute(statement, rows)

    async def limited_until(self, endpoint: str) -> datetime | None:
        """Return until when an account wants to be left alone, as anyone has heard last."""
        statement = select(AccountSignal.limited_until_at).where(AccountSignal.endpoint == endpoint)
        return (await self._session.execute(statement)).scalar_one_or_none()
