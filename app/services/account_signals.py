"""The word that goes round among all who use one account: every process over one database hears
within a second that a provider has asked for patience.

It is advice and never stops anybody: a word that cannot be written is lost, and while nobody can
be asked the account counts as free. Within one process it goes round at once.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import Context
from datetime import datetime, timedelta
from typing import Final

from app.core.clock import Clock
from app.core.errors import Unavailable
from app.database import Database, DatabaseError
from app.llm.account_signals import AccountSignals
from app.repositories.account_signals import AccountSignalRepository
from app.services.fresh_values import FreshValues, Staleness

__all__ = ["AccountSignalService"]

_PASSING: Final = (DatabaseError, OSError, Unavailable)
_WRITTEN_EVERY_S = 1.0
_LONGEST: Final = timedelta(minutes=10)  # a provider that asks for more is asked again
_STALENESS: Final = Staleness(fresh_s=1.0, waits_s=2.0, failing_s=10.0)


class AccountSignalService:
    """Carries word by the database; one for each process, closed at its end."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._heard: dict[str, datetime] = {}
        self._unwritten: dict[str, datetime] = {}
        self._writing: asyncio.Task[None] | None = None
        self._known = FreshValues(self._read, clock, _STALENESS)

    def for_client(self) -> AccountSignals:
        """Return the signals of one client, which hears what all others tell."""
        return _ClientSignals(self, self._clock)

    def tell(self, endpoint: str, until: datetime) -> None:
        """Tell everybody that an account wants to be left alone; written at most once a second."""
        known = self._heard.get(endpoint)
        if known is not None and until <= known:
            return
        self._heard[endpoint] = self._unwritten[endpoint] = until
        if self._writing is None or self._writing.done():
            # In no context of the one who tells: it may outlive their transaction.
            self._writing = asyncio.create_task(self._write(), context=Context())

    async def limited_until(self, endpoint: str) -> datetime | None:
        """Return until when an account wants to be left alone, by the last that anyone heard."""
        known = None
        with suppress(*_PASSING):
            known = await self._known.get(endpoint)
        times = (known, self._heard.get(endpoint))
        return max((time for time in times if time is not None), default=None)

    async def close(self) -> None:
        """Stop carrying; call it before the database is closed."""
        await self._known.close()
        if self._writing is not None:
            self._writing.cancel()
            with suppress(asyncio.CancelledError):
                await self._writing

    async def _read(self, endpoint: str) -> datetime | None:
        async with self._database.read_session() as session:
            return await AccountSignalRepository(session).limited_until(endpoint)

    async def _write(self) -> None:
        while self._unwritten:
            told, self._unwritten = self._unwritten, {}
            with suppress(*_PASSING):
                async with self._database.write_session() as session:
                    await AccountSignalRepository(session).tell(told, self._clock.now())
                    await session.commit()
            await asyncio.sleep(_WRITTEN_EVERY_S)


class _ClientSignals:
    """One client's part. Its own 429s say nothing new to it: its retries wait for them, and it has
    lowered its concurrency."""

    def __init__(self, service: AccountSignalService, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        self._own: dict[str, datetime] = {}

    def rate_limited(self, endpoint: str, seconds: float) -> None:
        until = self._clock.now() + min(timedelta(seconds=max(seconds, 0.0)), _LONGEST)
        known = self._own.get(endpoint)
        self._own[endpoint] = until if known is None else max(known, until)
        self._service.tell(endpoint, until)

    async def wait_s(self, endpoint: str) -> float:
        until, own = await self._service.limited_until(endpoint), self._own.get(endpoint)
        if until is None or (own is not None and until <= own):
            return 0.0
        return max(0.0, (until - self._clock.now()).total_seconds())
