"""Traffic: what was answered in production over time, and how well."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Literal

from workbench.client.calls import Answer, Call

__all__ = [
    "Deployment",
    "Estimate",
    "Group",
    "Grouping",
    "Measures",
    "Percentiles",
    "Point",
    "Score",
    "Traffic",
    "view",
]

Grouping = Literal["alias", "prompt", "model", "target"]


class Estimate(Answer):
    """A value with its 95 % interval; an end that could not be bounded is None."""

    SCHEMA: ClassVar[str] = "IntervalView"

    value: float
    low: float | None
    high: float | None


class Percentiles(Answer):
    """Percentiles of a duration in milliseconds over `n` answers; within 2 % if not exact."""

    SCHEMA: ClassVar[str] = "PercentilesView"

    n: int
    is_exact: bool
    p50: Estimate
    p95: Estimate
    p99: Estimate


class Measures(Answer):
    """Answers that have ended. `cost` is in US dollars; what is not known is None."""

    SCHEMA: ClassVar[str] = "TrafficMeasures"

    calls: int
    endings: dict[str, int]
    errors: int
    error_rate: Estimate | None
    latency: Percentiles | None
    time_to_first_token: Percentiles | None
    input_tokens: int | None
    output_tokens: int | None
    uncounted: int
    cost: Decimal | None
    unpriced: int


class Point(Measures):
    """What began in one step of time."""

    SCHEMA: ClassVar[str] = "TrafficPoint"

    at: datetime


class Group(Answer):
    """Everything, or what has one name; what it was grouped by is set."""

    SCHEMA: ClassVar[str] = "TrafficGroup"

    name: str | None
    alias: str | None = None
    prompt: str | None = None
    model: str | None = None
    role: str | None = None
    total: Measures
    points: tuple[Point, ...]


class Deployment(Answer):
    """A move of an alias in the window."""

    SCHEMA: ClassVar[str] = "TrafficDeployment"

    alias: str
    number: int
    kind: str
    at: datetime
    by: str
    reason: str
    prompt: str | None
    model: str | None
    canary_share: float
    is_disabled: bool


class Score(Answer):
    """How one scorer scored answers of the window."""

    SCHEMA: ClassVar[str] = "TrafficScore"

    scorer: str
    version: int
    n: int
    mean: Estimate


class Traffic(Answer):
    """What was answered in production from `since` until before `until`."""

    SCHEMA: ClassVar[str] = "TrafficView"

    since: datetime
    until: datetime
    step_s: int | None
    under_way: int
    groups: tuple[Group, ...]
    groups_left_out: int
    deployments: tuple[Deployment, ...]
    scores: tuple[Score, ...]


def view(
    since: datetime,
    until: datetime,
    *,
    alias: str | None = None,
    prompt: str | None = None,
    model: str | None = None,
    group_by: Grouping | None = None,
    step: Literal["auto", "5m", "1h", "6h", "1d", "whole"] = "auto",
) -> Call[Traffic]:
    """Count what was answered in production; `step="whole"` gives totals without points."""
    parameters = {
        "since": since,
        "until": until,
        "alias": alias,
        "prompt": prompt,
        "model": model,
        "group_by": group_by,
        "step": step,
    }
    return Call("GET", "/api/traffic", Traffic, parameters)
