"""Counting answers in production, one by one or by sums that are there (pure).

A tally counts either calls, and then its durations are exact, or calls and sums, and then each
duration counts for its bucket. What was counted apart adds up to what is counted at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import Final

from app.core.distributions import Distribution, bucket_of, wilson
from app.schemas.traffic import (
    ENDINGS,
    ERRORS,
    IntervalView,
    PercentilesView,
    TrafficCall,
    TrafficKey,
    TrafficMeasures,
    TrafficSumRow,
)

__all__ = ["Tally", "add_up", "measures", "sum_row", "tally_by_key"]

_SHARES: Final = (0.5, 0.95, 0.99)


class Tally:
    """What was counted so far; durations by value if `is_exact`, else by bucket."""

    __slots__ = (
        "cost",
        "endings",
        "first_token",
        "input_tokens",
        "is_exact",
        "latency",
        "output_tokens",
        "uncounted",
        "unpriced",
    )

    def __init__(self, *, is_exact: bool = False) -> None:
        self.is_exact = is_exact
        self.endings = dict.fromkeys(ENDINGS, 0)
        self.unpriced = self.uncounted = self.input_tokens = self.output_tokens = 0
        self.cost = Decimal(0)
        self.latency: dict[float, int] = {}
        self.first_token: dict[float, int] = {}

    @property
    def calls(self) -> int:
        return sum(self.endings.values())

    def add_call(self, call: TrafficCall) -> None:
        """Count one answer. How long it took counts if it came whole."""
        self.endings[call.ending] += 1  # type: ignore[index] # a CHECK holds it to these words
        if call.input_tokens is None or call.output_tokens is None:
            self.uncounted += 1
        else:
            self.input_tokens += call.input_tokens
            self.output_tokens += call.output_tokens
        if call.cost is None:
            self.unpriced += 1
        else:
            self.cost += call.cost
        if call.ending == "completed":
            self._count(self.latency, call.latency_ms)
        self._count(self.first_token, call.time_to_first_token_ms)

    def add_sums(self, row: TrafficSumRow) -> None:
        """Count the answers of one sum."""
        for ending, count in zip(ENDINGS, row.endings, strict=True):
            self.endings[ending] += count
        self.unpriced += row.unpriced
        self.uncounted += row.uncounted
        self.input_tokens += row.input_tokens
        self.output_tokens += row.output_tokens
        self.cost += row.cost
        _merge(self.latency, _pairs(row.latency))
        _merge(self.first_token, _pairs(row.first_token))

    def add(self, other: Tally) -> None:
        """Count what another tally, as exact as this one, has counted."""
        for ending, count in other.endings.items():
            self.endings[ending] += count
        self.unpriced += other.unpriced
        self.uncounted += other.uncounted
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cost += other.cost
        _merge(self.latency, other.latency.items())
        _merge(self.first_token, other.first_token.items())

    def _count(self, counts: dict[float, int], duration_ms: float | None) -> None:
        if duration_ms is not None:
            value = duration_ms if self.is_exact else bucket_of(duration_ms)
            counts[value] = counts.get(value, 0) + 1


def tally_by_key(calls: Iterable[TrafficCall]) -> dict[TrafficKey, Tally]:
    """Count calls apart for each key, by buckets."""
    tallies: dict[TrafficKey, Tally] = {}
    for call in calls:
        tallies.setdefault(call.key, Tally()).add_call(call)
    return tallies


def add_up(sums: Iterable[TrafficSumRow]) -> dict[TrafficKey, Tally]:
    """Add up sums apart for each key."""
    tallies: dict[TrafficKey, Tally] = {}
    for row in sums:
        tallies.setdefault(row.key, Tally()).add_sums(row)
    return tallies


def sum_row(key: TrafficKey, starts_at: datetime, tally: Tally) -> TrafficSumRow:
    """Return a tally by buckets as it is stored."""
    return TrafficSumRow(
        key=key,
        starts_at=starts_at,
        endings=tuple(tally.endings[ending] for ending in ENDINGS),
        unpriced=tally.unpriced,
        uncounted=tally.uncounted,
        input_tokens=tally.input_tokens,
        output_tokens=tally.output_tokens,
        cost=tally.cost,
        latency=_flat(tally.latency),
        first_token=_flat(tally.first_token),
    )


def measures(tally: Tally) -> TrafficMeasures:
    """Return what a tally says, with intervals; what is not known is None."""
    calls = tally.calls
    errors = sum(tally.endings[ending] for ending in ERRORS)
    is_counted = calls == 0 or tally.uncounted < calls
    return TrafficMeasures(
        calls=calls,
        endings=dict(tally.endings),
        errors=errors,
        error_rate=IntervalView(**wilson(errors, calls)._asdict()) if calls else None,
        latency=_percentiles(tally.latency, is_exact=tally.is_exact),
        time_to_first_token=_percentiles(tally.first_token, is_exact=tally.is_exact),
        input_tokens=tally.input_tokens if is_counted else None,
        output_tokens=tally.output_tokens if is_counted else None,
        uncounted=tally.uncounted,
        cost=tally.cost if calls == 0 or tally.unpriced < calls else None,
        unpriced=tally.unpriced,
    )


def _percentiles(counts: Mapping[float, int], *, is_exact: bool) -> PercentilesView | None:
    if not counts:
        return None
    found = (
        Distribution(counts)
        if is_exact
        else Distribution.of_buckets({int(bucket): count for bucket, count in counts.items()})
    )
    p50, p95, p99 = (IntervalView(**it._asdict()) for it in found.percentiles(_SHARES))
    return PercentilesView(n=found.n, is_exact=is_exact, p50=p50, p95=p95, p99=p99)


def _merge(into: dict[float, int], counts: Iterable[tuple[float, int]]) -> None:
    for value, count in counts:
        into[value] = into.get(value, 0) + count


def _pairs(flat: Sequence[int]) -> Iterable[tuple[int, int]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _flat(counts: Mapping[float, int]) -> list[int]:
    return [int(part) for part in chain.from_iterable(sorted(counts.items()))]
