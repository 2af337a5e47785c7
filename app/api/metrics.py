"""What Prometheus asks for."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.errors import problems
from app.core.errors import Forbidden
from app.core.metrics import CONTENT_TYPE, Metrics
from app.core.permissions import Permission

__all__ = ["router"]

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    dependencies=[Depends(needs(Permission.METRICS_READ))],
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, **problems(401, 403, 429, 503)},
)
async def metrics(request: Request, actor: CurrentActor, services: ServicesDependency) -> Response:
    """Counters and times of this process, in Prometheus' text format.

    They name every team's aliases, so they take the permission for all names.
    """
    if actor.prefixes(Permission.METRICS_READ) is not None:
        raise Forbidden("The numbers are of all teams: they take a role for all names.")
    counted: Metrics = request.app.state.metrics
    counted.jobs(await services.jobs.backlog(actor))
    return Response(counted.render(), media_type=CONTENT_TYPE)
