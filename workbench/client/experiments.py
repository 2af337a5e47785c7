"""Experiments: what they cost, asking for them, how far they are and what came of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from pydantic import JsonValue

from workbench.client.calls import Answer, Call, Listing
from workbench.client.jobs import Job
from workbench.client.runs import Run, RunStanding

__all__ = [
    "Bounds",
    "Budget",
    "CandidateVerdict",
    "Experiment",
    "ExperimentEstimate",
    "ExperimentResults",
    "ExperimentStanding",
    "ExperimentSummary",
    "GateDecision",
    "Plan",
    "RunMean",
    "ToldVerdict",
    "VariantEstimate",
    "cancel",
    "estimate",
    "extend",
    "gate_decisions",
    "overview",
    "results",
    "resume",
    "standing",
    "start",
]


class CandidateVerdict(Answer):
    """The newest verdict of one candidate under the primary scorer."""

    SCHEMA: ClassVar[str] = "CandidateVerdict"

    comparison_id: UUID
    candidate_run_id: UUID
    candidate: str
    verdict: str


class ExperimentSummary(Answer):
    """One experiment of the list. `cost` is in US dollars, None if none is known; `work` says
    whether a worker is at it."""

    SCHEMA: ClassVar[str] = "ExperimentSummary"

    number: int
    name: str
    dataset: str
    prompts: tuple[str, ...]
    models: tuple[str, ...]
    simulated: bool
    runs: int
    status: str
    work: str | None
    wanted: int
    done: int
    failed: int
    cost: float | None
    unpriced: int
    scorer: str | None
    verdicts: tuple[CandidateVerdict, ...]
    created_at: datetime
    created_by: str
    finished_at: datetime | None


class Plan(Answer):
    """The analysis declared before the run."""

    SCHEMA: ClassVar[str] = "Plan"

    scorer: str | None = None
    margin: float | None = None
    goal: str = "non_inferiority"
    mode: str = "fixed"
    n: int | None = None


class Experiment(Answer):
    """One experiment whole; `spec` is what was asked, everything in it resolved."""

    SCHEMA: ClassVar[str] = "ExperimentView"

    id: UUID
    number: int
    name: str
    dataset: str
    spec: dict[str, JsonValue]
    plan: Plan
    repetitions: int
    example_count: int
    example_limit: int | None
    extends_id: UUID | None = None
    status: str
    runs: tuple[Run, ...]
    created_at: datetime
    created_by: str
    finished_at: datetime | None


class Budget(Answer):
    """What an experiment may spend and what of it is gone, in US dollars."""

    SCHEMA: ClassVar[str] = "BudgetView"

    amount: float
    spent: float
    leased: float


class ExperimentStanding(Answer):
    """One experiment and how far it is; `runs` in the order of the specification."""

    SCHEMA: ClassVar[str] = "ExperimentStanding"

    experiment: Experiment
    wanted: int
    runs: tuple[RunStanding, ...]
    budget: Budget | None


class ToldVerdict(Answer):
    """One stored comparison; `primary` if it is by the scorer that decides."""

    SCHEMA: ClassVar[str] = "ToldVerdict"

    comparison_id: UUID
    baseline: str
    candidate_run_id: UUID
    candidate: str
    scorer: str
    primary: bool
    verdict: str
    sentence: str
    n_pairs: int | None
    warnings: tuple[dict[str, JsonValue], ...]
    created_at: datetime


class RunMean(Answer):
    """One run under one scorer; `mean` is over the scored cells, None without any."""

    SCHEMA: ClassVar[str] = "RunMean"

    run_id: UUID
    scorer: str
    version: int
    mean: float | None
    scored: int
    unscored: int
    failed: int


class ExperimentResults(Answer):
    """The newest comparison of each pair under each scorer, and the means of the runs."""

    SCHEMA: ClassVar[str] = "ExperimentResults"

    verdicts: tuple[ToldVerdict, ...]
    means: tuple[RunMean, ...]


class Bounds(Answer):
    """From what is likely to what is possible."""

    SCHEMA: ClassVar[str] = "Bounds"

    low: float
    high: float


class VariantEstimate(Answer):
    """One variant of an estimate; None is unknown."""

    SCHEMA: ClassVar[str] = "VariantEstimate"

    prompt: str
    model: str
    calls: int
    reused: int
    input_tokens: Bounds
    output_tokens: Bounds
    cost: Bounds | None
    seconds: Bounds | None
    basis: str
    unknown: str | None = None


class ExperimentEstimate(Answer):
    """What an experiment will cost, in calls, tokens, US dollars and seconds.

    Retries are not in it, nor are the calls of the judges in `judges_left_out`.
    """

    SCHEMA: ClassVar[str] = "EstimateView"

    examples: int
    rendered: int
    repetitions: int
    calls: int
    reused: int
    input_tokens: Bounds
    output_tokens: Bounds
    cost: Bounds | None
    seconds: Bounds | None
    unknown: tuple[str, ...]
    judges_left_out: tuple[str, ...]
    variants: tuple[VariantEstimate, ...]


class GateDecision(Answer):
    """What the declared gate decided about one candidate; `binding` if a promotion may rest on
    it."""

    SCHEMA: ClassVar[str] = "GateDecisionView"

    id: UUID
    candidate_run_id: UUID
    decision: str
    binding: bool
    evidence_hash: str
    created_at: datetime
    created_by: str


def overview(
    search: str = "", *, status: str | None = None, dataset: str | None = None, by: str = ""
) -> Listing[ExperimentSummary]:
    """The experiments, newest first, with progress and verdicts; `search` is part of the name,
    or the number, and `by` part of who asked."""
    parameters = {"search": search, "status": status, "dataset": dataset, "by": by}
    return Listing("/api/experiments/overview", ExperimentSummary, parameters)


def standing(number: int) -> Call[ExperimentStanding]:
    """One experiment: what was asked, and what is stored of each run so far."""
    return Call("GET", f"/api/experiments/{number}", ExperimentStanding)


def results(number: int) -> Call[ExperimentResults]:
    """What came of one experiment."""
    return Call("GET", f"/api/experiments/{number}/results", ExperimentResults)


def gate_decisions(number: int) -> Listing[GateDecision]:
    """The decisions of one experiment's gate, newest first."""
    return Listing("/api/gate-decisions", GateDecision, {"experiment": number})


def estimate(question: Mapping[str, Any]) -> Call[ExperimentEstimate]:
    """What an experiment will cost; the question is the one that `start` takes."""
    return Call("POST", "/api/experiments/estimate", ExperimentEstimate, body=question)


def start(question: Mapping[str, Any], *, key: str | None = None) -> Call[Job]:
    """Ask for an experiment, as in an experiment file; its number stands in the job once a
    worker has resolved it. With a `key` it is asked for once, however often this is sent."""
    return Call("POST", "/api/experiments", Job, body=question, key=key)


def resume(
    number: int, *, retry: Sequence[str] = (), budget: float | str | None = None
) -> Call[Job]:
    """Go on with an experiment; `retry` are classes of errors whose cells are tried again, `*`
    is all of them, and `budget` is in US dollars in all."""
    body = {"retry": list(retry), "budget": budget}
    return Call("POST", f"/api/experiments/{number}/resume", Job, body=body)


def extend(number: int, dataset: str | None = None) -> Call[Job]:
    """Carry a completed experiment on over a newer version of its dataset, else the newest."""
    body = {"extends": number, "dataset": dataset}
    return Call("POST", "/api/experiments/extensions", Job, body=body)


def cancel(number: int) -> Call[Experiment]:
    """Stop an experiment for good; its outcomes stay."""
    return Call("POST", f"/api/experiments/{number}/cancel", Experiment)
