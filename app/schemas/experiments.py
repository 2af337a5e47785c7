"""Experiments and runs at the boundary."""

from __future__ import annotations

import math
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.core.errors import Invalid
from app.schemas.budgets import BudgetView
from app.schemas.datasets import DatasetVersionView, Storable
from app.schemas.generations import RunTotals
from app.schemas.models import ModelVersionView
from app.schemas.prompts import PromptVersionView

__all__ = [
    "AMOUNT_GUARDS",
    "ExperimentSpec",
    "ExperimentStanding",
    "ExperimentView",
    "GateException",
    "GuardMetric",
    "NewExperiment",
    "Plan",
    "RequestedVariant",
    "RunCounts",
    "RunStanding",
    "RunView",
    "SafetyMetric",
    "SequentialOutcome",
    "SequentialVerdict",
    "check_margin",
]

GateException = Literal["simulated", "imported", "draft", "floating", "unauthenticated"]
"""What keeps a gate decision from binding a promotion unless the plan allows it by name."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GuardMetric(_Strict):
    """A second metric that must not be worse than its own margin.

    `metric` is a declared scorer (margin in its unit), or `cost` or `latency` (margin as a share
    of the baseline's mean: 0.1 is a tenth more), or `latency_p95` (margin in milliseconds).
    """

    metric: str = Field(min_length=1, max_length=100)
    margin: float = Field(gt=0, allow_inf_nan=False)


AMOUNT_GUARDS: Final = ("cost", "latency", "latency_p95")
"""Guard metrics that are no scorers."""


class SafetyMetric(_Strict):
    """A scorer that every output must pass. `limit` is the highest acceptable share of failures:
    the one-sided 95 % upper bound (Clopper-Pearson) must not exceed it."""

    scorer: str = Field(min_length=1, max_length=100)
    limit: float = Field(gt=0, lt=1)


class Plan(_Strict):
    """The analysis declared before the run; changing it makes another experiment.

    `margin` is in the scorer's unit (0.03 is 3 points of a rate); None declares none.
    """

    scorer: str | None = Field(default=None, description="the primary scorer; None: the first")
    margin: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    goal: Literal["non_inferiority", "superiority"] = Field(
        default="non_inferiority", description="what a candidate has to show to pass the gate"
    )
    mode: Literal["fixed", "sequential"] = Field(
        default="fixed",
        description="fixed: one look at the end; sequential: anytime-valid bounds, stops early",
    )
    n: int | None = Field(
        default=None,
        ge=1,
        le=2**31 - 1,
        description="planned examples; None: all in use; sequential: at most",
    )
    guards: tuple[GuardMetric, ...] = Field(default=(), max_length=50)
    safety: tuple[SafetyMetric, ...] = Field(default=(), max_length=50)
    allow: tuple[GateException, ...] = Field(
        default=(), description="exceptions under which the gate still binds a promotion"
    )
    seed: int = Field(
        default=0, ge=0, lt=2**63, description="of the order of examples in a sequential plan"
    )


def check_margin(margin: float | None, bounds: tuple[float, float] | None = None) -> None:
    """Raise `Invalid` for a margin that is no acceptable loss; None declares none.

    It must be finite and positive and, where the scorer's `bounds` are given (its lowest and
    highest value), less than the distance between them: a loss of all is never acceptable.
    """
    if margin is None:
        return
    if not math.isfinite(margin) or margin <= 0:
        raise Invalid(
            f"The margin must be a positive number, not {margin:g}: 0.03 is 3 points of a rate.",
            path="plan.margin",
        )
    if bounds is None or margin < bounds[1] - bounds[0]:
        return
    low, high = bounds
    rate = bounds == (0.0, 1.0) and 1 < margin < 100
    raise Invalid(
        f"The margin {margin:g} accepts any loss: scores lie between {low:g} and {high:g}.",
        path="plan.margin",
        hint=f"{margin / 100:g} is {margin:g} points." if rate else None,
    )


class ExperimentSpec(_Strict):
    """One question as a person writes it; references are not yet resolved.

    Variants are prompts x models x parameter sets, in this order.
    """

    name: str = Field(default="", max_length=200)
    description: str = ""
    dataset: str
    prompts: list[str] = Field(min_length=1)
    models: list[str] = Field(min_length=1)
    parameters: Annotated[dict[str, Any] | list[dict[str, Any]], Storable] = Field(
        default_factory=dict
    )
    repetitions: int = Field(default=1, ge=1, le=1000)
    limit: int | None = Field(
        default=None, ge=1, le=2**31 - 1, description="the first examples only"
    )
    scorers: Annotated[list[str | dict[str, Any]], Storable] = Field(default_factory=list)
    baseline: str | None = None
    map: dict[str, str] = Field(
        default_factory=dict, description="for a prompt's variable the input column that fills it"
    )
    plan: Plan = Field(default_factory=Plan)
    budget: Decimal | None = Field(
        default=None, gt=0, le=10**9, description="US dollars, judges included"
    )

    @property
    def parameter_sets(self) -> list[dict[str, Any]]:
        """At least one set; the empty one asks for nothing special."""
        if isinstance(self.parameters, dict):
            return [self.parameters]
        return self.parameters or [{}]


class RequestedVariant(_Strict):
    """A variant as asked for: which prompt on which model, with what changed parameters.

    `binding` names for each variable of the prompt the input column that fills it.
    """

    prompt: PromptVersionView
    model: ModelVersionView
    parameters: dict[str, Any] = Field(default_factory=dict)
    binding: dict[str, str] = Field(default_factory=dict)


class RunView(_Strict):
    """One run with what it ran and how far it is."""

    id: UUID
    name: str
    origin: Literal["executed", "imported"]
    experiment_id: UUID | None
    experiment_number: int | None
    position: int | None
    dataset_version_id: UUID
    dataset: str
    variant_id: UUID | None
    prompt: str | None
    model: str | None
    provider: str | None
    source: str
    created_at: datetime
    created_by: str

    @property
    def simulated(self) -> bool:
        """Whether no real model answered; said wherever results are shown."""
        return self.provider == "simulated"


class NewExperiment(_Strict):
    """A question to be answered: every variant over the dataset version."""

    name: str = Field(default="", max_length=200)
    dataset: DatasetVersionView
    variants: tuple[RequestedVariant, ...] = Field(min_length=1, max_length=100)
    repetitions: int = Field(default=1, ge=1, le=1000)
    example_limit: int | None = Field(default=None, ge=1)
    scorers: tuple[dict[str, Any], ...] = ()
    baseline: int = Field(default=0, ge=0, description="index into variants")
    baseline_run: RunView | None = Field(
        default=None, description="a stored run to compare with instead of one of the variants"
    )
    baseline_alias: str | None = Field(
        default=None,
        description="the alias that the baseline was named by; it is every candidate's baseline",
    )
    plan: Plan = Field(default_factory=Plan)
    extends: UUID | None = Field(
        default=None, description="the experiment that this carries on over a newer version"
    )


class RunCounts(_Strict):
    """How many cells of a run stand where; derived from the stored outcomes."""

    wanted: int
    completed: int = 0
    failed: int = 0
    refused: int = 0
    incomplete: int = 0
    cancelled: int = 0
    abandoned: int = 0

    @property
    def done(self) -> int:
        """Cells with an outcome of any kind."""
        return (
            self.completed
            + self.failed
            + self.refused
            + self.incomplete
            + self.cancelled
            + self.abandoned
        )


class SequentialVerdict(_Strict):
    """What the last look of a sequential plan said of one candidate.

    `low` and `high` are the confidence sequence (None with too few pairs), at the level that the
    number of candidates asks for; `e_value` is for pass or fail scores only.
    """

    baseline: str
    candidate: str
    verdict: str
    n_pairs: int
    low: float | None
    high: float | None
    level: float
    e_value: float | None


class SequentialOutcome(_Strict):
    """Where a sequential plan ended, stored once.

    The evidence is the first `n_used` examples of the plan's order, finished in every run;
    outcomes beyond them were under way when the last look decided. `decided` is False if
    `n_max` was reached without a verdict for every candidate.
    """

    decided: bool
    n_used: int
    n_max: int
    looks: int
    scorer: str
    candidates: tuple[SequentialVerdict, ...]


class ExperimentView(_Strict):
    """One experiment; its runs in the order of the specification."""

    id: UUID
    number: int
    name: str
    dataset_version_id: UUID
    dataset: str
    spec: dict[str, Any]
    plan: Plan
    repetitions: int
    example_count: int = Field(
        description="examples in use: the version's, or the limit; of a sequential plan those it "
        "may ask, and once it has ended those it used"
    )
    example_limit: int | None
    extends_id: UUID | None = None
    sequential: SequentialOutcome | None = None
    status: Literal["open", "completed", "cancelled"]
    runs: tuple[RunView, ...]
    created_at: datetime
    created_by: str
    finished_at: datetime | None

    @property
    def wanted(self) -> int:
        """Cells in all: examples x runs x repetitions."""
        return self.example_count * len(self.runs) * self.repetitions


class RunStanding(_Strict):
    """One run and what came of it so far."""

    run: RunView
    totals: RunTotals


class ExperimentStanding(_Strict):
    """One experiment and how far it is; `runs` in the order of the specification."""

    experiment: ExperimentView
    wanted: int = Field(description="cells in all: examples x runs x repetitions")
    runs: tuple[RunStanding, ...]
    budget: BudgetView | None
