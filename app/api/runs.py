"""Runs: one variant over one dataset version each, or outputs that were made elsewhere."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.paging import Cursor, Limit
from app.api.parameters import READS, READS_LIST
from app.core.permissions import Permission
from app.schemas.experiments import RunStanding, RunView
from app.schemas.pages import DEFAULT_PAGE_SIZE, Page

__all__ = ["router"]

router = APIRouter(prefix="/api/runs", tags=["runs"])

_READ: Final = [Depends(needs(Permission.EXPERIMENT_READ))]


@router.get("", dependencies=_READ, responses=READS_LIST)
async def list_runs(
    actor: CurrentActor,
    services: ServicesDependency,
    experiment: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="only those of this experiment")
    ] = None,
    name: Annotated[str, Query(max_length=300, description="how the name begins")] = "",
    limit: Limit = DEFAULT_PAGE_SIZE,
    cursor: Cursor = None,
) -> Page[RunView]:
    """Runs, newest first."""
    return await services.experiments.runs_page(
        actor, experiment=experiment, name=name, cursor=cursor, limit=limit
    )


@router.get("/{run_id}", dependencies=_READ, responses=READS)
async def get_run(run_id: UUID, actor: CurrentActor, services: ServicesDependency) -> RunStanding:
    """One run with its totals: cells by how they ended, tokens, cost.

    Tokens and money are null where none is known; answers used again are counted and left out of
    the sums.
    """
    return await services.experiments.run_standing(actor, run_id)
