"""Reading the model catalog."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.dependencies import ServicesDependency
from app.schemas.models import ModelVersionView

__all__ = ["router"]

router = APIRouter(prefix="/api/models", tags=["models"])


@router.get("")
async def list_models(services: ServicesDependency) -> list[ModelVersionView]:
    """Every model version, by provider, name and number."""
    return await services.models.list()


@router.get("/{provider}/{name:path}")
async def get_model(provider: str, name: str, services: ServicesDependency) -> ModelVersionView:
    """One version: the latest that is not retired, or with `@2` behind the name that one."""
    return await services.models.get(f"{provider}/{name}")
