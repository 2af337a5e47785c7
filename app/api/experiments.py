"""Experiments: say what one costs, ask for one, look, go on, decide its gate, cancel it.

What takes calls or statistics becomes a job that a worker does; the reply says where to follow it.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Response

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.idempotency import OnceRoute, once
from app.api.jobs import accepted
from app.api.paging import Cursor, Limit
from app.api.parameters import READS, READS_LIST, WRITES, Search
from app.core.permissions import Permission
from app.schemas.estimates import EstimateView
from app.schemas.experiment_overviews import (
    ExperimentFilter,
    ExperimentResults,
    ExperimentSummary,
)
from app.schemas.experiments import ExperimentStanding, ExperimentView
from app.schemas.jobs import ExtendRequest, GateRequest, JobView, ResumeRequest, RunRequest
from app.schemas.pages import DEFAULT_PAGE_SIZE, Page

__all__ = ["router"]

router = APIRouter(prefix="/api/experiments", tags=["experiments"], route_class=OnceRoute)

Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="as in experiment 12")]
Status = Annotated[
    Literal["open", "completed", "cancelled"] | None,
    Query(description="only those that stand so"),
]

_READ: Final = [Depends(needs(Permission.EXPERIMENT_READ))]
_ESTIMATE: Final = [Depends(needs(Permission.EXPERIMENT_RUN))]
_RUN: Final = [Depends(needs(Permission.EXPERIMENT_RUN)), Depends(once)]
_GATE: Final = [Depends(needs(Permission.GATE_DECIDE)), Depends(once)]


@router.post("", status_code=202, dependencies=_RUN, responses=WRITES)
async def start_experiment(
    request: RunRequest, actor: CurrentActor, services: ServicesDependency, response: Response
) -> JobView:
    """Ask for an experiment: prompt versions x model versions over a dataset, scored and compared.

    The body is an experiment file as JSON. A worker resolves what it names and stores the
    experiment; its number stands in the job from then on. What cannot be carried out fails the
    job, before the first call, with the reason in `detail.error`.
    """
    return accepted(await services.jobs.start_experiment(actor, request), response)


@router.get("", dependencies=_READ, responses=READS_LIST)
async def list_experiments(
    actor: CurrentActor,
    services: ServicesDependency,
    status: Status = None,
    limit: Limit = DEFAULT_PAGE_SIZE,
    cursor: Cursor = None,
) -> Page[ExperimentView]:
    """Experiments, newest first."""
    return await services.experiments.page(actor, status=status, cursor=cursor, limit=limit)


@router.get("/overview", dependencies=_READ, responses=READS_LIST)
async def list_overview(
    actor: CurrentActor,
    services: ServicesDependency,
    search: Search = "",
    status: Status = None,
    dataset: Annotated[
        str | None, Query(max_length=200, description="only those over versions of this dataset")
    ] = None,
    by: Annotated[str, Query(max_length=200, description="part of who asked for them")] = "",
    limit: Limit = DEFAULT_PAGE_SIZE,
    cursor: Cursor = None,
) -> Page[ExperimentSummary]:
    """Experiments, newest first, each with how far it is and the newest verdicts.

    `search` is part of the name, or the number. Verdicts are those of the primary scorer.
    """
    wanted = ExperimentFilter(search=search, status=status, dataset=dataset, by=by)
    return await services.experiment_overviews.page(actor, wanted, cursor=cursor, limit=limit)


@router.post("/estimate", dependencies=_ESTIMATE, responses=WRITES)
async def estimate_experiment(
    request: RunRequest, actor: CurrentActor, services: ServicesDependency
) -> EstimateView:
    """Say what an experiment will cost. Nothing is called, stored or added to the catalog.

    The body is the one that starts it. Judges' calls come on top: `judges_left_out` names them.
    """
    return await services.estimates.of_request(actor, request)


@router.get("/{number}", dependencies=_READ, responses=READS)
async def get_experiment(
    number: Number, actor: CurrentActor, services: ServicesDependency
) -> ExperimentStanding:
    """One experiment: what was asked, and for each run what is stored of it so far."""
    return await services.experiments.standing(actor, number)


@router.get("/{number}/results", dependencies=_READ, responses=READS)
async def get_results(
    number: Number, actor: CurrentActor, services: ServicesDependency
) -> ExperimentResults:
    """What came of one experiment: the newest comparison of each pair under each scorer, and
    the mean of each run under each scorer."""
    return await services.experiment_overviews.results(actor, number)


@router.post("/{number}/resume", status_code=202, dependencies=_RUN, responses=WRITES)
async def resume_experiment(
    number: Number,
    request: ResumeRequest,
    actor: CurrentActor,
    services: ServicesDependency,
    response: Response,
) -> JobView:
    """Ask to go on with an experiment that was stopped, cut off or has failed cells.

    What is left is derived from the stored outcomes; nothing is done twice.
    """
    return accepted(await services.jobs.resume(actor, number, request), response)


@router.post("/extensions", status_code=202, dependencies=_RUN, responses=WRITES)
async def extend_experiment(
    request: ExtendRequest, actor: CurrentActor, services: ServicesDependency, response: Response
) -> JobView:
    """Ask to carry a completed experiment on over a newer version of its dataset.

    Only the examples that it has not asked yet take calls. It becomes an experiment of its own,
    whose gate never passes: its examples were added after a look.
    """
    return accepted(await services.jobs.extend(actor, request), response)


@router.post("/{number}/gate", status_code=202, dependencies=_GATE, responses=WRITES)
async def decide_gate(
    number: Number,
    request: GateRequest,
    actor: CurrentActor,
    services: ServicesDependency,
    response: Response,
) -> JobView:
    """Ask for the decision of the gate that the experiment declares, for each candidate.

    What a candidate has to show was declared before the run and cannot be changed here.
    """
    return accepted(await services.jobs.decide_gate(actor, number, request), response)


@router.post(
    "/{number}/cancel",
    dependencies=[Depends(needs(Permission.EXPERIMENT_RUN))],
    responses=WRITES,
)
async def cancel_experiment(
    number: Number, actor: CurrentActor, services: ServicesDependency
) -> ExperimentView:
    """Stop an experiment for good; its outcomes stay.

    Whoever works on it finishes the calls in flight and ends. To be able to go on, stop its job.
    """
    return await services.experiments.cancel(actor, number)
