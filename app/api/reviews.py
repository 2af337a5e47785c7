"""What people mark generations as."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from fastapi import APIRouter, Depends

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.idempotency import OnceRoute, once
from app.api.parameters import READS, WRITES
from app.core.permissions import Permission
from app.schemas.reviews import MarkView, NewMark

__all__ = ["router"]

router = APIRouter(prefix="/api/generations", tags=["generations"], route_class=OnceRoute)

_WRITE: Final = [Depends(needs(Permission.REVIEW_WRITE)), Depends(once)]


@router.get("/{generation_id}/reviews", dependencies=[Depends(needs(None))], responses=READS)
async def list_reviews(
    generation_id: UUID, actor: CurrentActor, services: ServicesDependency
) -> list[MarkView]:
    """What people marked a generation as, newest first: the first one counts."""
    return await services.reviews.marks(actor, generation_id)


@router.post("/{generation_id}/reviews", status_code=201, dependencies=_WRITE, responses=WRITES)
async def add_review(
    generation_id: UUID, mark: NewMark, actor: CurrentActor, services: ServicesDependency
) -> MarkView:
    """Mark a generation as ok, or flag it with the reason.

    Nothing is overwritten: a second thought is a second review, and the newest one counts.
    """
    return await services.reviews.mark(actor, generation_id, mark)
