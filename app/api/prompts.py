"""Reading the prompt registry. A name may be `name` or `team/name`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from app.api.dependencies import ServicesDependency
from app.schemas.names import Reference
from app.schemas.prompts import PromptSummary, PromptVersionView

__all__ = ["router"]

router = APIRouter(prefix="/api/prompts", tags=["prompts"])

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get("")
async def list_prompts(services: ServicesDependency) -> list[PromptSummary]:
    """Every prompt with its newest version."""
    return await services.prompts.list()


@router.get("/{name:path}/versions/{number}")
async def get_version(name: str, number: Number, services: ServicesDependency) -> PromptVersionView:
    """One version, whole."""
    return await services.prompts.get(Reference(name, number=number))


@router.get("/{name:path}/versions")
async def list_versions(name: str, services: ServicesDependency) -> list[PromptVersionView]:
    """The versions of one prompt, oldest first."""
    return await services.prompts.versions(name)
