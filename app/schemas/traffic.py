"""Traffic at the boundary: what was answered in production in a window of time, and how well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.schemas.aliases import DeploymentKind
from app.schemas.chat import ChatEnding
from app.schemas.models import ModelReference
from app.schemas.names import Reference

__all__ = [
    "ENDINGS",
    "ERRORS",
    "IntervalView",
    "PercentilesView",
    "TrafficCall",
    "TrafficDeployment",
    "TrafficFilter",
    "TrafficGroup",
    "TrafficGrouping",
    "TrafficKey",
    "TrafficMeasures",
    "TrafficPoint",
    "TrafficScope",
    "TrafficScore",
    "TrafficStep",
    "TrafficSumRow",
    "TrafficView",
]

TrafficGrouping = Literal["alias", "prompt", "model", "target"]
TrafficStep = Literal["auto", "5m", "1h", "6h", "1d", "whole"]

ENDINGS: Final[tuple[ChatEnding, ...]] = (
    "completed",
    "client_gone",
    "upstream_cut",
    "timeout",
    "refused",
    "failed",
    "abandoned",
)
ERRORS: Final[frozenset[ChatEnding]] = frozenset({"upstream_cut", "timeout", "failed", "abandoned"})
"""The endings that are failures, ours or a provider's; refusals and callers who left are none."""


@dataclass(frozen=True, slots=True)
class TrafficFilter:
    """Which answers in production are counted; what is None does not matter."""

    since: datetime
    until: datetime
    alias: str | None = None
    prompt: Reference | None = None
    model: ModelReference | None = None


@dataclass(frozen=True, slots=True)
class TrafficScope:
    """A filter resolved: of these aliases, and of these versions if not None."""

    aliases: Mapping[UUID, str]
    prompt_version_ids: tuple[UUID, ...] | None = None
    model_version_ids: tuple[UUID, ...] | None = None

    @property
    def is_of_versions(self) -> bool:
        """Whether some versions' answers alone are in it."""
        return self.prompt_version_ids is not None or self.model_version_ids is not None


class TrafficKey(NamedTuple):
    """What is counted apart: one alias, prompt version and model version in one role."""

    alias_id: UUID
    prompt_version_id: UUID
    model_version_id: UUID
    role: str


class TrafficCall(NamedTuple):
    """One answer that has ended."""

    key: TrafficKey
    started_at: datetime
    ending: str
    input_tokens: int | None
    output_tokens: int | None
    cost: Decimal | None
    latency_ms: float | None
    time_to_first_token_ms: float | None


class TrafficSumRow(NamedTuple):
    """The sums of one key over one span; histograms as in `app.models.traffic`."""

    key: TrafficKey
    starts_at: datetime
    endings: tuple[int, ...]
    """In the order of `ENDINGS`."""
    unpriced: int
    uncounted: int
    input_tokens: int
    output_tokens: int
    cost: Decimal
    latency: Sequence[int]
    first_token: Sequence[int]


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class IntervalView(_View):
    """A value with its 95 % interval; an end is null where too few answers bound it."""

    value: float
    low: float | None
    high: float | None


class PercentilesView(_View):
    """Percentiles of a duration in milliseconds over `n` answers.

    Each has a distribution-free interval of order statistics. They are exact, or within 2 % where
    `is_exact` is false: then they come from a histogram.
    """

    n: int
    is_exact: bool
    p50: IntervalView
    p95: IntervalView
    p99: IntervalView


class TrafficMeasures(_View):
    """Answers that have ended. What is not known is null, never 0."""

    calls: int = Field(description="answers that have ended, however")
    endings: dict[ChatEnding, int] = Field(description="how many ended how; none are left out")
    errors: int = Field(description="cut upstream, timed out, failed or abandoned")
    error_rate: IntervalView | None = Field(description="of the calls, with Wilson's interval")
    latency: PercentilesView | None = Field(description="of completed answers, in milliseconds")
    time_to_first_token: PercentilesView | None = Field(
        description="of answers that came in parts, in milliseconds"
    )
    input_tokens: int | None
    output_tokens: int | None
    uncounted: int = Field(description="calls without tokens, which the sums leave out")
    cost: Decimal | None = Field(description="US dollars; null if no call has a price")
    unpriced: int = Field(description="calls without a cost, which the sum leaves out")


class TrafficPoint(TrafficMeasures):
    """What began in one step of time; the first and the last step may be cut by the window."""

    at: datetime


class TrafficGroup(_View):
    """Everything, or what has one name: that of an alias, a prompt or model version, or a target.

    What it was grouped by is set, and finds the same answers in `GET /api/generations`.
    """

    name: str | None
    alias: str | None = None
    prompt: str | None = None
    model: str | None = None
    role: str | None = None
    total: TrafficMeasures
    points: tuple[TrafficPoint, ...]


class TrafficDeployment(_View):
    """A move of an alias in the window."""

    alias: str
    number: int
    kind: DeploymentKind
    at: datetime
    by: str
    reason: str
    prompt: str | None = Field(description="of the primary target")
    model: str | None
    canary_share: float = Field(description="the part of all callers that its canaries take")
    is_disabled: bool


class TrafficScore(_View):
    """How one scorer scored answers of the window, if it did."""

    scorer: str
    version: int
    n: int
    mean: IntervalView


class TrafficView(_View):
    """What was answered in production from `since` until before `until`."""

    since: datetime
    until: datetime
    step_s: int | None = Field(description="seconds of one point; null if there are none")
    under_way: int = Field(description="answers that began in the window and have not ended")
    groups: tuple[TrafficGroup, ...] = Field(
        description="one of everything; grouped, the largest first, and at most 50 of them"
    )
    groups_left_out: int
    deployments: tuple[TrafficDeployment, ...] = Field(
        description="in order of time, the newest 200"
    )
    scores: tuple[TrafficScore, ...]
