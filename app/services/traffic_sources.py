"""Which part of a window is read from which sums, and which is counted answer by answer (pure).

Every moment of the window is covered by exactly one source: a whole day that was summed, else a
whole hour that was, else the answers themselves. An hour that got an answer since it was summed,
and its day, count as not summed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["DAY", "HOUR", "Sources", "floor", "gaps", "sources_of", "whole_spans"]

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Range = tuple[datetime, datetime]


@dataclass(frozen=True)
class Sources:
    """Half-open ranges of a window, apart from each other and in order."""

    days: tuple[Range, ...] = ()
    hours: tuple[Range, ...] = ()
    calls: tuple[Range, ...] = ()


def sources_of(
    window: Range,
    days: Collection[datetime],
    hours: Collection[datetime],
    late: Collection[datetime],
) -> Sources:
    """Return what covers a window, given which days and hours were summed and which are late."""
    late_days = {floor(hour, DAY) for hour in late}
    whole_days = [it for it in whole_spans(window, DAY) if it in days and it not in late_days]
    from_days = tuple(_merged(whole_days, DAY))
    whole_hours = [
        hour
        for gap in gaps(window, from_days)
        for hour in whole_spans(gap, HOUR)
        if hour in hours and hour not in late
    ]
    from_hours = tuple(_merged(whole_hours, HOUR))
    return Sources(from_days, from_hours, tuple(gaps(window, sorted((*from_days, *from_hours)))))


def floor(moment: datetime, step: timedelta) -> datetime:
    """Return the beginning of the step of time, counted in UTC, that a moment is in."""
    return moment - (moment - _EPOCH) % step


def whole_spans(window: Range, step: timedelta) -> Iterator[datetime]:
    """Yield the beginnings of the steps that lie wholly in a window."""
    since, until = window
    at = floor(since, step)
    if at < since:
        at += step
    while at + step <= until:
        yield at
        at += step


def gaps(window: Range, ranges: Sequence[Range]) -> Iterator[Range]:
    """Yield what of a window is in none of the ranges, which are in order."""
    at, until = window
    for since, end in ranges:
        if at < since:
            yield at, since
        at = end
    if at < until:
        yield at, until


def _merged(starts: Sequence[datetime], step: timedelta) -> Iterator[Range]:
    """Yield the ranges that steps of time make up, given their beginnings in order."""
    begin = end = None
    for at in starts:
        if begin is not None and at == end:
            end = at + step
            continue
        if begin is not None and end is not None:
            yield begin, end
        begin, end = at, at + step
    if begin is not None and end is not None:
        yield begin, end
