"""What was answered in production, how fast, at what cost: read from sums where there are any.

Sums of hours and days cover what is over; what is running, late or cut by the window is counted
answer by answer, so that the figures are those of every answer that has ended. Where there are
few answers all are counted one by one, and percentiles are exact.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from app.core.clock import Clock
from app.core.distributions import mean_estimate
from app.core.errors import Invalid
from app.core.permissions import Actor, Permission, require
from app.database import Database
from app.repositories.traffic import Range, ScoreSums, TrafficRepository
from app.schemas.traffic import (
    IntervalView,
    TrafficCall,
    TrafficDeployment,
    TrafficFilter,
    TrafficGroup,
    TrafficGrouping,
    TrafficKey,
    TrafficPoint,
    TrafficScope,
    TrafficScore,
    TrafficStep,
    TrafficSumRow,
    TrafficView,
)
from app.services.traffic_sources import DAY, HOUR, Sources, floor, sources_of, whole_spans
from app.services.traffic_tally import Tally, measures

__all__ = ["EXACT_UP_TO", "TrafficService"]

EXACT_UP_TO: Final = 2_000  # answers: about 30 ms to read
_MOST_GROUPS: Final = 50
_MOST_DEPLOYMENTS: Final = 200
_MOST_POINTS: Final = 1_000
_LONGEST: Final = timedelta(days=400)
_STEPS: Final[Mapping[TrafficStep, timedelta]] = {
    "5m": timedelta(minutes=5),
    "1h": HOUR,
    "6h": 6 * HOUR,
    "1d": DAY,
}
_AUTOMATIC: Final[tuple[tuple[timedelta, TrafficStep], ...]] = (
    (timedelta(hours=3), "5m"),
    (timedelta(days=2), "1h"),
    (timedelta(days=14), "6h"),
    (_LONGEST, "1d"),
)
_LONGEST_IN_MINUTES: Final = timedelta(hours=6)


@dataclass(frozen=True)
class _Read:
    """What was read of a window: sums, and the answers beside them."""

    sums: Sequence[TrafficSumRow]
    calls: Sequence[TrafficCall]

    @property
    def count(self) -> int:
        return sum(sum(row.endings) for row in self.sums) + len(self.calls)


@dataclass(frozen=True)
class _Beside:
    """What is shown beside the answers that have ended."""

    deployments: Sequence[TrafficDeployment]
    scores: Sequence[ScoreSums]
    under_way: int


@dataclass(frozen=True)
class _Names:
    """What keys are called, and by which of their parts answers are grouped."""

    aliases: Mapping[UUID, str]
    prompts: Mapping[UUID, str]
    models: Mapping[UUID, str]
    by: TrafficGrouping | None

    def group(self, key: TrafficKey) -> tuple[tuple[str, str], ...]:
        """Return the group of a key, as names and values of `TrafficGroup`."""
        match self.by:
            case "alias":
                return (("alias", self.aliases[key.alias_id]),)
            case "prompt":
                return (("prompt", self.prompts[key.prompt_version_id]),)
            case "model":
                return (("model", self.models[key.model_version_id]),)
            case "target":
                return (("alias", self.aliases[key.alias_id]), ("role", key.role))
            case None:
                return ()


class TrafficService:
    """Use cases of looking at production."""

    def __init__(self, database: Database, clock: Clock, *, exact_up_to: int = EXACT_UP_TO) -> None:
        """Up to `exact_up_to` answers are counted one by one, though there be sums of them."""
        self._database = database
        self._clock = clock
        self._exact_up_to = exact_up_to

    async def view(
        self,
        actor: Actor,
        *,
        wanted: TrafficFilter,
        group_by: TrafficGrouping | None,
        step: TrafficStep,
    ) -> TrafficView:
        """Return what was answered through the aliases that the actor may see.

        What belongs to the axis of time, moves and scores, comes with the points only.

        Raises `Invalid` for a window that is empty, longer than 400 days, or too long for its step.
        """
        require(actor, Permission.CHAT_READ)
        window = (wanted.since, min(wanted.until, self._clock.now()))
        every = _step(wanted, step)
        async with self._database.report_session() as session:
            traffic = TrafficRepository(session)
            scope = await _scope(traffic, actor, wanted)
            sources = await _sources(traffic, window, every)
            read = await _read(traffic, sources, scope)
            is_exact = read.count <= self._exact_up_to
            if is_exact and read.sums:
                read = _Read((), await traffic.calls([window], scope, most=2 * self._exact_up_to))
            names = await _names(traffic, scope, read, group_by)
            # Adding up tens of thousands of numbers would hold up everybody who chats meanwhile;
            # the database finds the rest in that time.
            groups, beside = await asyncio.gather(
                asyncio.to_thread(_groups, read, names, window, every, is_exact=is_exact),
                _beside(traffic, window, scope, has_points=every is not None),
            )
        return TrafficView(
            since=wanted.since,
            until=wanted.until,
            step_s=None if every is None else int(every.total_seconds()),
            under_way=beside.under_way,
            groups=tuple(groups[:_MOST_GROUPS]),
            groups_left_out=max(0, len(groups) - _MOST_GROUPS),
            deployments=tuple(beside.deployments),
            scores=tuple(_score(row) for row in beside.scores),
        )


def _step(wanted: TrafficFilter, step: TrafficStep) -> timedelta | None:
    """Return how much time is one point; None if there are to be no points."""
    length = wanted.until - wanted.since
    if length <= timedelta(0):
        raise Invalid("`until` is not after `since`.", path="until")
    if length > _LONGEST:
        raise Invalid(f"A window has at most {_LONGEST.days} days.", path="since")
    if step == "whole":
        return None
    if step == "auto":
        step = next(name for longest, name in _AUTOMATIC if length <= longest)
    every = _STEPS[step]
    if length / every > _MOST_POINTS or (step == "5m" and length > _LONGEST_IN_MINUTES):
        raise Invalid(
            f"The window is too long for steps of {step}: choose a larger step or `auto`.",
            path="step",
        )
    return every


async def _scope(traffic: TrafficRepository, actor: Actor, wanted: TrafficFilter) -> TrafficScope:
    prefixes = actor.prefixes(Permission.CHAT_READ)
    return TrafficScope(
        aliases=await traffic.aliases(prefixes, actor.aliases, wanted.alias),
        prompt_version_ids=None
        if wanted.prompt is None
        else await traffic.prompt_version_ids(wanted.prompt),
        model_version_ids=None
        if wanted.model is None
        else await traffic.model_version_ids(wanted.model),
    )


async def _sources(traffic: TrafficRepository, window: Range, every: timedelta | None) -> Sources:
    """Return from what a window is read: sums of no longer spans than a point has."""
    late = await traffic.late()
    days = await traffic.summed("day", [window]) if every is None or every >= DAY else set()
    rough = sources_of(window, days, (), late)
    hours = await traffic.summed("hour", rough.calls) if every is None or every >= HOUR else set()
    return sources_of(window, days, hours, late)


async def _read(traffic: TrafficRepository, sources: Sources, scope: TrafficScope) -> _Read:
    sums: list[TrafficSumRow] = []
    if sources.days:
        sums += await traffic.sums("day", sources.days, scope)
    if sources.hours:
        sums += await traffic.sums("hour", sources.hours, scope)
    return _Read(sums, await traffic.calls(sources.calls, scope))


async def _beside(
    traffic: TrafficRepository, window: Range, scope: TrafficScope, *, has_points: bool
) -> _Beside:
    return _Beside(
        await traffic.deployments(window, scope, most=_MOST_DEPLOYMENTS) if has_points else (),
        await traffic.scores(window, scope) if has_points else (),
        await traffic.under_way(window, scope),
    )


async def _names(
    traffic: TrafficRepository, scope: TrafficScope, read: _Read, by: TrafficGrouping | None
) -> _Names:
    keys = {row.key for row in read.sums} | {call.key for call in read.calls}
    prompts: Mapping[UUID, str] = {}
    models: Mapping[UUID, str] = {}
    if by == "prompt":
        prompts = await traffic.prompt_names({key.prompt_version_id for key in keys})
    if by == "model":
        models = await traffic.model_names({key.model_version_id for key in keys})
    return _Names(scope.aliases, prompts, models, by)


def _groups(
    read: _Read, names: _Names, window: Range, every: timedelta | None, *, is_exact: bool
) -> list[TrafficGroup]:
    """Return everything as one group, or groups from the largest to the smallest (pure)."""
    tallies: dict[tuple[tuple[str, str], ...], dict[datetime, Tally]] = {}
    if names.by is None:
        tallies[()] = {}

    def tally(key: TrafficKey, at: datetime) -> Tally:
        points = tallies.setdefault(names.group(key), {})
        begin = window[0] if every is None else floor(at, every)
        if begin not in points:
            points[begin] = Tally(is_exact=is_exact)
        return points[begin]

    for row in read.sums:
        tally(row.key, row.starts_at).add_sums(row)
    for call in read.calls:
        tally(call.key, call.started_at).add_call(call)
    groups = [
        _group(dict(names_), points, window, every, is_exact=is_exact)
        for names_, points in tallies.items()
    ]
    return sorted(groups, key=lambda group: (-group.total.calls, group.name or ""))


def _group(
    names: Mapping[str, str],
    tallies: Mapping[datetime, Tally],
    window: Range,
    every: timedelta | None,
    *,
    is_exact: bool,
) -> TrafficGroup:
    total = Tally(is_exact=is_exact)
    for one in tallies.values():
        total.add(one)
    points: list[TrafficPoint] = []
    if every is not None:
        nothing = Tally(is_exact=is_exact)
        begins = whole_spans((floor(window[0], every), window[1] + every), every)
        points = [
            TrafficPoint(at=at, **dict(measures(tallies.get(at, nothing))))
            for at in begins
            if at < window[1]
        ]
    fields: dict[str, Any] = dict(names)
    name = " · ".join(names.values()) or None
    return TrafficGroup(name=name, **fields, total=measures(total), points=tuple(points))


def _score(row: ScoreSums) -> TrafficScore:
    name, version, n, total, squares, others = row
    mean = mean_estimate(n, total, squares, is_share=others == 0)
    return TrafficScore(scorer=name, version=version, n=n, mean=IntervalView(**mean._asdict()))
