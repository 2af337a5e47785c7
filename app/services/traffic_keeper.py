"""Keeps the sums of production's answers up: what is over is summed, what is late summed again.

Nothing tells the keeper what to do. Each round looks which hours have answers and no sums, and in
which an answer has ended since; so sums that are missing, all of them too, come back by themselves.
Any number of API processes may keep: one at a time gets the lock, and an hour in which an answer is
being ended at that moment waits for the next round. Each hour is a transaction of its own, as on
SQLite nobody else writes meanwhile; what takes long to add up is added up off the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from app.core.clock import Clock
from app.core.permissions import Actor, Permission, require, system_actor
from app.database import Database
from app.repositories.traffic import TrafficRepository
from app.schemas.traffic import TrafficCall, TrafficScope, TrafficSumRow
from app.services.traffic_sources import DAY, HOUR, floor, whole_spans
from app.services.traffic_tally import add_up, sum_row, tally_by_key

if TYPE_CHECKING:  # the logging library costs every command a tenth of its start
    from app.core.logging import Logger

__all__ = ["TrafficKeeper"]

_KEEPER: Final = system_actor("traffic keeper")
_EVERY_S: Final = 30.0


class TrafficKeeper:
    """Sums hours and days that are over."""

    def __init__(self, database: Database, clock: Clock, *, logger: Logger | None = None) -> None:
        self._database = database
        self._clock = clock
        self._logger = logger
        self._keeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Keep from now on, beside everything else."""
        self._keeping = asyncio.create_task(self._keep_on(), name="traffic keeper")

    async def stop(self) -> None:
        """Stop keeping; what is not summed then is summed by whoever keeps next."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])

    async def keep(self, actor: Actor) -> int:
        """Sum every hour and day that is to be summed now; return how many hours they were."""
        require(actor, Permission.CHAT_WRITE)
        summed = 0
        for hour in await self._hours_to_sum():
            done = await self._sum_hour(hour)
            if done is None:  # another process keeps
                return summed
            summed += done
        for day in await self._days_to_sum():
            await self._sum_day(day)
        return summed

    async def _keep_on(self) -> None:
        while True:
            try:
                await self.keep(_KEEPER)
            except Exception as error:  # whatever it is, the next round may fare better
                if self._logger is not None:
                    self._logger.warning("traffic_not_summed", error=type(error).__name__)
            await asyncio.sleep(_EVERY_S)

    async def _hours_to_sum(self) -> list[datetime]:
        """Return the hours that are over and have no sums, or not of all their answers."""
        async with self._database.read_session() as session:
            traffic = TrafficRepository(session)
            first = await traffic.first_call_at()
            if first is None:
                return []
            window = floor(first, DAY), floor(self._clock.now(), HOUR)
            hours = list(whole_spans(window, HOUR))
            late = await traffic.late()
            if await traffic.summed_count("hour", window) == len(hours):
                return sorted(late)
            known = await traffic.summed("hour", [window])
        return sorted(late | {hour for hour in hours if hour not in known})

    async def _days_to_sum(self) -> list[datetime]:
        """Return the days of which every hour is summed, and which are not."""
        async with self._database.read_session() as session:
            traffic = TrafficRepository(session)
            first = await traffic.first_call_at()
            if first is None:
                return []
            window = floor(first, DAY), floor(self._clock.now(), DAY)
            known = await traffic.summed("day", [window])
        return [day for day in whole_spans(window, DAY) if day not in known]

    async def _sum_hour(self, hour: datetime) -> bool | None:
        """Sum an hour; return whether it was to be and could be, None while somebody else sums."""
        window = (hour, hour + HOUR)
        async with self._database.write_session() as session:
            traffic = TrafficRepository(session)
            if not await traffic.lock_keeping():
                return None
            if not await traffic.lock_hour(hour):
                return False
            if await traffic.summed("hour", [window]) and hour not in await traffic.late():
                return False  # another process has summed it since it was looked for
            # The day of an hour that changes is summed again, from all its hours.
            await traffic.forget("day", [floor(hour, DAY)])
            await traffic.forget_late([hour])
            scope = TrafficScope(await traffic.aliases(None, None, None))
            calls = await traffic.calls([window], scope)
            rows = await asyncio.to_thread(_rows_of_hour, hour, calls)
            await traffic.replace("hour", {hour: rows}, self._clock.now())
            await session.commit()
        return True

    async def _sum_day(self, day: datetime) -> None:
        """Sum a day from its hours, unless one of them is missing or late."""
        window = (day, day + DAY)
        async with self._database.write_session() as session:
            traffic = TrafficRepository(session)
            if not await traffic.lock_keeping():
                return
            late = await traffic.late()
            is_whole = await traffic.summed_count("hour", window) == DAY // HOUR
            if is_whole and not any(day <= hour < day + DAY for hour in late):
                hours = await traffic.sums("hour", [window])
                rows = await asyncio.to_thread(_rows_of_day, day, hours)
                await traffic.replace("day", {day: rows}, self._clock.now())
            await session.commit()


def _rows_of_hour(hour: datetime, calls: Iterable[TrafficCall]) -> list[TrafficSumRow]:
    """Return the sums of the answers that began in an hour (pure)."""
    return [sum_row(key, hour, tally) for key, tally in tally_by_key(calls).items()]


def _rows_of_day(day: datetime, hours: Iterable[TrafficSumRow]) -> list[TrafficSumRow]:
    """Return the sums of a day, given those of its hours (pure)."""
    return [sum_row(key, day, tally) for key, tally in add_up(hours).items()]
