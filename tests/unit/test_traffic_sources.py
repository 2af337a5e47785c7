"""What of a window comes from which sums: every moment from exactly one source."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.services.traffic_sources import DAY, HOUR, floor, gaps, sources_of, whole_spans

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
HOURS = [BEGIN + n * HOUR for n in range(24 * 4)]
MOMENTS = st.integers(0, 4 * 24 * 60).map(lambda minutes: BEGIN + timedelta(minutes=minutes))


@st.composite
def _windows(draw: st.DrawFn) -> tuple[datetime, datetime]:
    first, second = draw(MOMENTS), draw(MOMENTS)
    return min(first, second), max(first, second)


@given(
    window=_windows(),
    days=st.sets(st.sampled_from([BEGIN + n * DAY for n in range(4)])),
    hours=st.sets(st.sampled_from(HOURS)),
    late=st.sets(st.sampled_from(HOURS), max_size=5),
)
def test_every_moment_of_a_window_has_exactly_one_source(
    window: tuple[datetime, datetime],
    days: set[datetime],
    hours: set[datetime],
    late: set[datetime],
) -> None:
    found = sources_of(window, days, hours, late)
    ranges = sorted((*found.days, *found.hours, *found.calls))
    assert list(gaps(window, ranges)) == []
    assert all(end == begin for (_, end), (begin, _) in pairwise(ranges))
    assert all(window[0] <= begin < end <= window[1] for begin, end in ranges)


@given(window=_windows(), late=st.sets(st.sampled_from(HOURS), min_size=1, max_size=5))
def test_nothing_late_comes_from_sums(
    window: tuple[datetime, datetime], late: set[datetime]
) -> None:
    days = {BEGIN + n * DAY for n in range(4)}
    found = sources_of(window, days, set(HOURS), late)
    for begin, end in (*found.days, *found.hours):
        assert not any(begin <= hour < end for hour in late)


def test_whole_days_come_from_days_and_the_rest_from_hours_and_calls() -> None:
    window = (BEGIN + timedelta(hours=22, minutes=30), BEGIN + 2 * DAY + timedelta(minutes=90))
    found = sources_of(window, {BEGIN + DAY}, set(HOURS), ())
    assert found.days == ((BEGIN + DAY, BEGIN + 2 * DAY),)
    assert found.hours == (
        (BEGIN + 23 * HOUR, BEGIN + DAY),
        (BEGIN + 2 * DAY, BEGIN + 2 * DAY + HOUR),
    )
    assert found.calls == (
        (window[0], BEGIN + 23 * HOUR),
        (BEGIN + 2 * DAY + HOUR, window[1]),
    )


def test_steps_of_time_are_those_of_utc() -> None:
    moment = datetime(2026, 3, 1, 0, 30, tzinfo=UTC).astimezone(tz=None)
    assert floor(moment, DAY) == BEGIN
    assert list(whole_spans((BEGIN, BEGIN + 3 * HOUR), HOUR)) == HOURS[:3]
    assert list(whole_spans((BEGIN + timedelta(minutes=1), BEGIN + HOUR), HOUR)) == []
