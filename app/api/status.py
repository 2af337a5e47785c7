"""Status: the version, the database and the queue of the service, for whoever looks after it."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.errors import problems
from app.core.permissions import Permission
from app.schemas.status import ServiceStatus

__all__ = ["router"]

router = APIRouter(prefix="/api/status", tags=["health"])


@router.get(
    "",
    dependencies=[Depends(needs(Permission.METRICS_READ))],
    responses=problems(401, 403, 429, 503),
)
async def get_status(actor: CurrentActor, services: ServicesDependency) -> ServiceStatus:
    """How the service is: its version, its database, what waits for workers."""
    return await services.status.get(actor)
