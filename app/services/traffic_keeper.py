"""Keeps the sums of production's answers up: what is over is summed, what is late summed again.

Nothing tells the keeper what to do. Each round looks which hours have answers and no sums, and in
which an answer has ended since; so sums that are missing, all of them too, come back by themselves.
Any number of API processes may keep: one at a time gets the lock, and an hour in which an answer is
being ended at that moment waits for the next round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from app.core.clock import Clock
from app.core.permissions import Actor, Permission, require, system_actor
from app.database import Database
from app.repositories.traffic import TrafficRepository
from app.schemas.traffic import TrafficScope, TrafficSumRow
from app.services.traffic_sources import DAY, HOUR, floor, merged, whole_spans
from app.services.traffic_tally import add_up, sum_row, tally_by

if TYPE_CHECKING:  # the logging library costs every command a tenth of its start
    from app.core.logging import Logger

__all__ = ["TrafficKeeper"]

_KEEPER: Final = system_actor("traffic keeper")
_EVERY_S: Final = 30.0
_HOURS_AT_ONCE: Final = 6  # in one transaction: on SQLite nobody else writes meanwhile


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
        skipped: set[datetime] = set()
        while wanted := [it for it in await self._hours_to_sum() if it not in skipped]:
            done = await self._sum_hours(wanted[:_HOURS_AT_ONCE])
            if done is None:  # another process keeps
                return summed
            skipped.update(set(wanted[:_HOURS_AT_ONCE]) - done)
            summed += len(done)
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

    async def _sum_hours(self, hours: Sequence[datetime]) -> set[datetime] | None:
        """Sum some hours; return those that could be, or None while somebody else sums."""
        async with self._database.write_session() as session:
            traffic = TrafficRepository(session)
            if not await traffic.lock_keeping():
                return None
            locked = [hour for hour in hours if await traffic.lock_hour(hour)]
            # Days of which an hour changes are summed again, from all their hours.
            await traffic.forget("day", {floor(hour, DAY) for hour in locked})
            await traffic.forget_late(locked)
            scope = TrafficScope(await traffic.aliases(None, None, None))
            calls = await traffic.calls(merged(locked, HOUR), scope)
            sums: dict[datetime, list[TrafficSumRow]] = {hour: [] for hour in locked}
            for (hour, key), tally in tally_by(calls, HOUR).items():
                sums[hour].append(sum_row(key, hour, tally))
            await traffic.replace("hour", sums, self._clock.now())
            await session.commit()
        return set(locked)

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
                tallies = add_up(await traffic.sums("hour", [window]))
                rows = [sum_row(key, day, tally) for key, tally in tallies.items()]
                await traffic.replace("day", {day: rows}, self._clock.now())
            await session.commit()
