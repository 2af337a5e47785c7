"""Judges: asking for a check against people. A gate believes only judges that passed one."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.idempotency import OnceRoute, once
from app.api.jobs import accepted
from app.api.parameters import WRITES
from app.core.permissions import Permission
from app.schemas.jobs import JobView, QualifyRequest

__all__ = ["router"]

router = APIRouter(prefix="/api/judges", tags=["judges"], route_class=OnceRoute)


@router.post(
    "/qualifications",
    status_code=202,
    dependencies=[Depends(needs(Permission.JUDGE_QUALIFY)), Depends(once)],
    responses=WRITES,
)
async def qualify_judge(
    request: QualifyRequest, actor: CurrentActor, services: ServicesDependency, response: Response
) -> JobView:
    """Ask to check a judge against people's labels of runs.

    It is asked about every labelled answer, about some of them twice, and about answers that may
    not pass. What was asked before is not asked again.
    """
    return accepted(await services.jobs.qualify(actor, request), response)
