"""Variants: prompt version + model version + parameters, what is measured and served."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Body, Depends, Path, Query, Response

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.idempotency import OnceRoute, once
from app.api.paging import Cursor, Limit
from app.api.parameters import CREATES, READS, READS_LIST
from app.core.permissions import Permission
from app.schemas.names import Name
from app.schemas.pages import DEFAULT_PAGE_SIZE, Page
from app.schemas.variants import NewVariant, VariantView

__all__ = ["router"]

router = APIRouter(prefix="/api/variants", tags=["variants"], route_class=OnceRoute)

_READ: Final = [Depends(needs(Permission.PROMPT_READ))]
_CREATE: Final = [Depends(needs(Permission.EXPERIMENT_RUN)), Depends(once)]

_NEW: Final = {
    "prompt": "desk/triage@3",
    "model": "openai/gpt-4.1@1",
    "parameters": {"temperature": 0},
}


@router.get("", dependencies=_READ, responses=READS_LIST)
async def list_variants(
    actor: CurrentActor,
    services: ServicesDependency,
    prompt: Annotated[Name | None, Query(description="only those of this prompt")] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_PAGE_SIZE,
) -> Page[VariantView]:
    """Variants, newest first."""
    return await services.variants.page(actor, prompt=prompt, cursor=cursor, limit=limit)


@router.post("", status_code=201, dependencies=_CREATE, responses=CREATES)
async def make_variant(
    new: Annotated[NewVariant, Body(examples=[_NEW])],
    actor: CurrentActor,
    services: ServicesDependency,
    response: Response,
) -> VariantView:
    """Make a variant of a prompt, a model and parameters, or get the one that is there."""
    made = await services.variant_making.make(actor, new)
    if made.created:
        response.headers["location"] = f"/api/variants/{made.variant.id}"
    else:
        response.status_code = 200
    return made.variant


@router.get("/{variant}", dependencies=_READ, responses=READS)
async def get_variant(
    variant: Annotated[str, Path(max_length=80, description="its id or six digits of its hash")],
    actor: CurrentActor,
    services: ServicesDependency,
) -> VariantView:
    """One variant, settled by what is known of the model now."""
    return await services.variants.read(actor, variant)
