"""Gate decisions as they were made and stored; they are asked for at their experiment."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.paging import Cursor, Limit
from app.api.parameters import READS, READS_LIST
from app.core.permissions import Permission
from app.schemas.gates import GateDecisionView
from app.schemas.pages import DEFAULT_PAGE_SIZE, Page

__all__ = ["router"]

router = APIRouter(prefix="/api/gate-decisions", tags=["gates"])

_READ: Final = [Depends(needs(Permission.EXPERIMENT_READ))]


@router.get("", dependencies=_READ, responses=READS_LIST)
async def list_gate_decisions(
    actor: CurrentActor,
    services: ServicesDependency,
    experiment: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="only those of this experiment")
    ] = None,
    limit: Limit = DEFAULT_PAGE_SIZE,
    cursor: Cursor = None,
) -> Page[GateDecisionView]:
    """Gate decisions, newest first."""
    return await services.gates.page(actor, experiment=experiment, cursor=cursor, limit=limit)


@router.get("/{decision_id}", dependencies=_READ, responses=READS)
async def get_gate_decision(
    decision_id: UUID, actor: CurrentActor, services: ServicesDependency
) -> GateDecisionView:
    """One decision with its evidence: every input that it rests on, by hash."""
    return await services.gates.read(actor, decision_id)
