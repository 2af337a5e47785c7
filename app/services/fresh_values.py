"""Values that are read again and again, each known to be at most so old.

A reading begins when somebody asks for a value that is no longer fresh, one at a time for each
key. Until the value is too old to be given out, those who ask get it at once and the reading goes
on behind them; then they wait for it. While reading fails in a way that passes (a database that is
down), the last good value is given out until it is too old for that as well.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from contextvars import Context
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from app.core.clock import Clock
from app.core.errors import Unavailable
from app.database import DatabaseError

__all__ = ["FreshValues", "Staleness"]

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")

_PASSING: Final = (DatabaseError, OSError, Unavailable)  # a time-out is an OSError
_MOST = 10_000  # keys come from callers: the memory they take is bounded


@dataclass(frozen=True, slots=True)
class Staleness:
    """How old a value may be, in seconds, from when its reading began.

    Younger than `fresh_s` it is given out and nothing is read; younger than `waits_s` it is given
    out while it is read anew; older, those who ask wait. While reading fails it is given out up to
    `failing_s`, and tried again every `retry_s`. A reading that takes longer than `read_s` failed.
    """

    fresh_s: float = 2.0
    waits_s: float = 4.0
    failing_s: float = 60.0
    retry_s: float = 1.0
    read_s: float = 5.0


@dataclass(slots=True)
class _Held(Generic[ValueT]):
    value: ValueT
    read_at: float
    failed_at: float = float("-inf")

    @property
    def is_failing(self) -> bool:
        """Whether the last reading failed: then nobody waits for the next one."""
        return self.failed_at > self.read_at


class FreshValues(Generic[KeyT, ValueT]):
    """Values by key, read by one function. What was not asked for longest is forgotten first."""

    def __init__(
        self,
        read: Callable[[KeyT], Awaitable[ValueT]],
        clock: Clock,
        staleness: Staleness,
        *,
        most: int = _MOST,
    ) -> None:
        self._read = read
        self._clock = clock
        self._staleness = staleness
        self._most = most
        self._held: OrderedDict[KeyT, _Held[ValueT]] = OrderedDict()
        self._readings: dict[KeyT, asyncio.Task[ValueT]] = {}

    async def get(self, key: KeyT) -> ValueT:
        """Return the value of a key; raises what reading it raised, if no copy may stand in."""
        held = self._held.get(key)
        if held is None:
            return await asyncio.shield(self._reading(key))
        self._held.move_to_end(key)
        limits, now = self._staleness, self._clock.monotonic()
        age = now - held.read_at
        stands_in = age < limits.failing_s
        if age < limits.fresh_s or (stands_in and now - held.failed_at < limits.retry_s):
            return held.value
        reading = self._reading(key)
        if age < limits.waits_s or (stands_in and held.is_failing):
            return held.value
        try:
            return await asyncio.shield(reading)
        except _PASSING:
            if stands_in:
                return held.value
            raise

    async def close(self) -> None:
        """End the readings that are under way."""
        readings = list(self._readings.values())
        for reading in readings:
            reading.cancel()
        await asyncio.gather(*readings, return_exceptions=True)

    def _reading(self, key: KeyT) -> asyncio.Task[ValueT]:
        """Return the reading that is under way, or begin one."""
        reading = self._readings.get(key)
        if reading is None:
            # In no context of the one who asks: it may outlive their transaction and their request.
            reading = asyncio.create_task(self._read_and_hold(key), context=Context())
            self._readings[key] = reading
            reading.add_done_callback(lambda ended: self._ended(key, ended))
        return reading

    def _ended(self, key: KeyT, reading: asyncio.Task[ValueT]) -> None:
        del self._readings[key]
        if not reading.cancelled():
            # Asked for, so that a failure nobody waited for is not reported as forgotten: whoever
            # comes next tries again.
            reading.exception()

    async def _read_and_hold(self, key: KeyT) -> ValueT:
        begun_at = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._staleness.read_s):
                value = await self._read(key)
        except _PASSING:
            if (held := self._held.get(key)) is not None:
                held.failed_at = self._clock.monotonic()
            raise
        self._held[key] = _Held(value, begun_at)
        self._held.move_to_end(key)
        while len(self._held) > self._most:
            self._held.popitem(last=False)
        return value
