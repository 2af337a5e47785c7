"""Scores of runs: what there is, and asking for more."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.idempotency import OnceRoute, once
from app.api.jobs import accepted
from app.api.paging import Cursor, Limit
from app.api.parameters import READS, WRITES
from app.core.permissions import Permission
from app.schemas.jobs import JobView, ScoreRequest
from app.schemas.pages import DEFAULT_PAGE_SIZE, Page
from app.schemas.scores import CellScore, ScorerStanding

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["scores"], route_class=OnceRoute)

_READ: Final = [Depends(needs(Permission.EXPERIMENT_READ))]


@router.get("/runs/{run_id}/scores", dependencies=_READ, responses=READS)
async def list_scores(
    run_id: UUID,
    actor: CurrentActor,
    services: ServicesDependency,
    scorer_id: Annotated[UUID | None, Query(description="only those of this scorer")] = None,
    limit: Limit = DEFAULT_PAGE_SIZE,
    cursor: Cursor = None,
) -> Page[CellScore]:
    """The scores of a run's cells, by example, repetition and scorer.

    A cell that could not be scored is here with its reason and without a value: missing is not 0.
    """
    return await services.scores.page(
        actor, run_id, scorer_id=scorer_id, cursor=cursor, limit=limit
    )


@router.get("/runs/{run_id}/scorers", dependencies=_READ, responses=READS)
async def list_scorers(
    run_id: UUID, actor: CurrentActor, services: ServicesDependency
) -> list[ScorerStanding]:
    """The scorers that scored a run, each with its cells by status and the mean of the scored."""
    return await services.scores.standings(actor, run_id)


@router.post(
    "/scores",
    status_code=202,
    dependencies=[Depends(needs(Permission.SCORE_WRITE)), Depends(once)],
    responses=WRITES,
)
async def score_run(
    request: ScoreRequest, actor: CurrentActor, services: ServicesDependency, response: Response
) -> JobView:
    """Ask to score the stored outputs of a run.

    What was scored before stays as it is. Judges ask their models, within the budget of the run's
    experiment; other scorers call nothing.
    """
    return accepted(await services.jobs.score(actor, request), response)
