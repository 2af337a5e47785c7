"""Comparisons: the paired effect between two runs, as it was computed and stored."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.idempotency import OnceRoute, once
from app.api.jobs import accepted
from app.api.paging import Cursor, Limit
from app.api.parameters import READS, READS_LIST, WRITES
from app.core.permissions import Permission
from app.schemas.comparisons import ComparisonView
from app.schemas.jobs import CompareRequest, JobView
from app.schemas.pages import DEFAULT_PAGE_SIZE, Page

__all__ = ["router"]

router = APIRouter(prefix="/api/comparisons", tags=["comparisons"], route_class=OnceRoute)

_READ: Final = [Depends(needs(Permission.EXPERIMENT_READ))]


@router.get("", dependencies=_READ, responses=READS_LIST)
async def list_comparisons(
    actor: CurrentActor,
    services: ServicesDependency,
    experiment: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="only those of this experiment")
    ] = None,
    run_id: Annotated[
        UUID | None, Query(description="only those with this run as baseline or candidate")
    ] = None,
    limit: Limit = DEFAULT_PAGE_SIZE,
    cursor: Cursor = None,
) -> Page[ComparisonView]:
    """Comparisons, newest first; runs that were compared again have several."""
    return await services.comparisons.page(
        actor, experiment=experiment, run_id=run_id, cursor=cursor, limit=limit
    )


@router.get("/{comparison_id}", dependencies=_READ, responses=READS)
async def get_comparison(
    comparison_id: UUID, actor: CurrentActor, services: ServicesDependency
) -> ComparisonView:
    """One comparison: difference, interval, verdict, warnings, and the hash of its input."""
    return await services.comparisons.read(actor, comparison_id)


@router.post(
    "",
    status_code=202,
    dependencies=[Depends(needs(Permission.SCORE_WRITE)), Depends(once)],
    responses=WRITES,
)
async def compare_runs(
    request: CompareRequest, actor: CurrentActor, services: ServicesDependency, response: Response
) -> JobView:
    """Ask to compare runs with a baseline under one scorer.

    Outputs that were not scored yet are scored first. Intervals widen with the number of
    candidates, so that all of them hold together.
    """
    return accepted(await services.jobs.compare(actor, request), response)
