"""Reading the prompt registry."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.dependencies import ServicesDependency
from app.schemas.names import Reference
from app.schemas.prompts import PromptSummary, PromptVersionView

__all__ = ["router"]

router = APIRouter(prefix="/api/prompts", tags=["prompts"])


@router.get("")
async def list_prompts(services: ServicesDependency) -> list[PromptSummary]:
    """Every prompt with its newest version."""
    return await services.prompts.list()


@router.get("/{name:path}/versions/{number}")
async def get_version(name: str, number: int, services: ServicesDependency) -> PromptVersionView:
    """One version, whole."""
    return await services.prompts.get(Reference(name, number=number))


@router.get("/{name:path}/versions")
async def list_versions(name: str, services: ServicesDependency) -> list[PromptVersionView]:
    """The versions of one prompt, oldest first; empty for an unknown prompt."""
    return await services.prompts.versions(name)
