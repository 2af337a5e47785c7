"""Roles: what each is for, and what whoever has it may do."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Depends

from app.api.authorisation import needs
from app.api.errors import problems
from app.schemas.users import RoleView
from app.services.users import role_views

__all__ = ["router"]

router = APIRouter(prefix="/api/roles", tags=["users"])


@router.get("", dependencies=[Depends(needs(None))], responses=problems(401, 429, 503))
async def list_roles() -> Sequence[RoleView]:
    """Every role. What a person may do is everything that any of their roles permits."""
    return role_views()
