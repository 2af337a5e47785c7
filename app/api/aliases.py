"""Aliases: what they mean, what they meant, and moving them.

An alias is a name and a label, as in `support-bot@production`; the name may hold one slash.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Body, Depends, Path, Query, Response
from pydantic import BeforeValidator

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.idempotency import OnceRoute, once
from app.api.paging import Cursor, Limit
from app.api.parameters import READS, READS_LIST, WRITES
from app.core.permissions import Permission
from app.schemas.aliases import AliasView, DeploymentRequest, DeploymentView, RollbackPlan
from app.schemas.models import read_time
from app.schemas.pages import DEFAULT_PAGE_SIZE, Page

__all__ = ["router"]

router = APIRouter(prefix="/api/aliases", tags=["aliases"], route_class=OnceRoute)

Alias = Annotated[str, Path(max_length=300, examples=["support-bot@production"])]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Time = Annotated[
    datetime,
    BeforeValidator(read_time),
    Query(description="without a zone it is UTC", examples=["2026-03-01T03:12:00Z"]),
]
To = Annotated[
    int | None,
    Query(ge=1, le=2**31 - 1, description="a deployment; none is the last that was different"),
]

_READ: Final = [Depends(needs(Permission.ALIAS_READ))]
_MOVE: Final = [Depends(needs(Permission.ALIAS_MOVE)), Depends(once)]

_EXAMPLES: Final = [
    {
        "kind": "move",
        "variant": "3f9a20c17b54",
        "canaries": [{"variant": "81c0aa5be2d1", "weight": 0.01}],
        "fallbacks": ["5d01c6ab9f02"],
        "settings": {"overrides": ["stop", "stream"], "strict": True},
        "reason": "Better by 4 points in experiment 12.",
    },
    {"kind": "rollback", "reason": "Wrong prices since 03:12."},
    {"kind": "disable", "message": "We are back soon.", "reason": "Incident 7."},
    {"kind": "settings", "settings": {"regulated": True}, "reason": "New rule."},
]


@router.get("", dependencies=_READ, responses=READS_LIST)
async def list_aliases(
    actor: CurrentActor,
    services: ServicesDependency,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_PAGE_SIZE,
) -> Page[AliasView]:
    """Aliases by name, each with what it means now."""
    return await services.aliases.page(actor, cursor=cursor, limit=limit)


@router.post("/{alias:path}/deployments", status_code=201, dependencies=_MOVE, responses=WRITES)
async def deploy(
    alias: Alias,
    request: Annotated[DeploymentRequest, Body(examples=_EXAMPLES)],
    actor: CurrentActor,
    services: ServicesDependency,
    response: Response,
) -> AliasView:
    """Move an alias: to other variants, to an earlier deployment, to a fixed text, or change its
    settings.

    An alias that is new is made, if it is moved to a variant. It is served everywhere within five
    seconds.
    """
    moved = await services.aliases.deploy(actor, alias, request)
    number = moved.current.number
    response.headers["location"] = f"/api/aliases/{quote(alias, safe='/@')}/deployments/{number}"
    return moved


@router.get("/{alias:path}/deployments", dependencies=_READ, responses=READS)
async def list_deployments(
    alias: Alias,
    actor: CurrentActor,
    services: ServicesDependency,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_PAGE_SIZE,
) -> Page[DeploymentView]:
    """Every move of an alias, newest first."""
    return await services.aliases.history_page(actor, alias, cursor=cursor, limit=limit)


@router.get("/{alias:path}/deployments/{number}", dependencies=_READ, responses=READS)
async def get_deployment(
    alias: Alias, number: Number, actor: CurrentActor, services: ServicesDependency
) -> DeploymentView:
    """One move of an alias by its number."""
    return await services.aliases.deployment(actor, alias, number)


@router.get("/{alias:path}/at", dependencies=_READ, responses=READS)
async def get_deployment_at(
    alias: Alias, time: Time, actor: CurrentActor, services: ServicesDependency
) -> DeploymentView:
    """What an alias meant at a time."""
    return await services.aliases.at(actor, alias, time)


@router.get("/{alias:path}/rollback", dependencies=_READ, responses=READS)
async def plan_rollback(
    alias: Alias, actor: CurrentActor, services: ServicesDependency, to: To = None
) -> RollbackPlan:
    """What a rollback would do, and whether it can be done; nothing is changed."""
    return await services.aliases.plan_rollback(actor, alias, to)


@router.get("/{alias:path}", dependencies=_READ, responses=READS)
async def get_alias(alias: Alias, actor: CurrentActor, services: ServicesDependency) -> AliasView:
    """One alias with what it means now."""
    return await services.aliases.view(actor, alias)
