"""Limits of keys, users and aliases. An alias' name may hold slashes, hence `:path`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.errors import problems
from app.core.permissions import Permission
from app.core.usage_limits import HolderKind
from app.schemas.limits import LimitValues, LimitView

__all__ = ["router"]

router = APIRouter(prefix="/api/limits", tags=["limits"])

HolderName = Annotated[
    str,
    Path(
        max_length=300,
        description="the name of the key, user or alias",
        examples=["support-bot@production"],
    ),
]


@router.get(
    "",
    dependencies=[Depends(needs(Permission.LIMIT_READ))],
    responses=problems(401, 403, 422, 429, 503),
)
async def list_limits(
    actor: CurrentActor,
    services: ServicesDependency,
    kind: Annotated[HolderKind | None, Query(description="only limits of such holders")] = None,
    used: Annotated[
        bool, Query(description="with what was used in this minute, day and month")
    ] = False,
) -> Sequence[LimitView]:
    """Every limit, by kind and name of its holder; what was used only if that is asked for."""
    return await services.limits.all(actor, kind, used=used)


@router.get(
    "/{kind}/{name:path}",
    dependencies=[Depends(needs(Permission.LIMIT_READ))],
    responses=problems(401, 403, 404, 422, 429, 503),
)
async def get_limit(
    kind: HolderKind, name: HolderName, actor: CurrentActor, services: ServicesDependency
) -> LimitView:
    """The limits of one holder, with what it used in this minute, day and month."""
    return await services.limits.get(actor, kind, name)


@router.put(
    "/{kind}/{name:path}",
    dependencies=[Depends(needs(Permission.LIMIT_WRITE))],
    responses=problems(400, 401, 403, 404, 408, 413, 415, 422, 429, 503),
)
async def set_limit(
    kind: HolderKind,
    name: HolderName,
    values: LimitValues,
    actor: CurrentActor,
    services: ServicesDependency,
) -> LimitView:
    """Give a holder these limits in place of those it had; they hold within two seconds."""
    return await services.limits.set(actor, kind, name, values)


@router.delete(
    "/{kind}/{name:path}",
    status_code=204,
    response_class=Response,
    dependencies=[Depends(needs(Permission.LIMIT_WRITE))],
    responses=problems(401, 403, 404, 422, 429, 503),
)
async def remove_limit(
    kind: HolderKind, name: HolderName, actor: CurrentActor, services: ServicesDependency
) -> None:
    """Take a holder's limits away."""
    await services.limits.remove(actor, kind, name)
