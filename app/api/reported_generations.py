"""Reports of services that call a provider themselves."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Body, Depends

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.idempotency import OnceRoute, once
from app.api.parameters import WRITES
from app.core.permissions import Permission
from app.schemas.reported_generations import ReportedGeneration, ReportedGenerationView

__all__ = ["router"]

router = APIRouter(prefix="/api/generations", tags=["generations"], route_class=OnceRoute)

_EXAMPLE: Final = {
    "alias": "support-bot@production",
    "deployment": 7,
    "variables": {"shop": "Example"},
    "history": [{"role": "user", "content": [{"type": "text", "text": "Where is my parcel?"}]}],
    "output": {"role": "assistant", "content": [{"type": "text", "text": "It arrives tomorrow."}]},
    "finish_reason": "stop",
    "usage": {"input_tokens": 210, "output_tokens": 8},
    "latency_ms": 640.5,
    "started_at": "2026-03-01T03:12:00Z",
    "subject": "customer-4711",
    "tags": {"channel": "mail"},
}


@router.post(
    "",
    status_code=201,
    dependencies=[Depends(needs(Permission.CHAT_REPORT)), Depends(once)],
    responses=WRITES,
)
async def report_generation(
    report: Annotated[ReportedGeneration, Body(examples=[_EXAMPLE])],
    actor: CurrentActor,
    services: ServicesDependency,
) -> ReportedGenerationView:
    """Put an answer on record that a service got from a provider itself.

    It is marked as reported. Its cost is computed by our prices at the time it was made.
    """
    return await services.reported_generations.report(actor, report)
