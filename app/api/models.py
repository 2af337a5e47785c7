"""The model catalog: which versions there are, what is known of them, what they cost.

A model is `provider/name`, and the name may hold slashes. Behind it may stand a version, as in
`openai/gpt-4.1@2`; without one the latest is meant that is not retired.
"""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Body, Depends, Path, Query, Response

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.idempotency import OnceRoute, once
from app.api.paging import Cursor, Limit
from app.api.parameters import CREATES, READS, READS_LIST, WRITES, Search
from app.core.permissions import Permission
from app.schemas.model_usage import MAX_USAGE_DAYS, ModelBindings, ModelUsage
from app.schemas.models import (
    FactChanges,
    ModelDeclaration,
    ModelStatus,
    ModelVersionView,
    ParameterView,
    PriceDeclaration,
    PriceView,
    Retirement,
)
from app.schemas.pages import DEFAULT_PAGE_SIZE, Page

__all__ = ["router"]

router = APIRouter(prefix="/api/models", tags=["models"], route_class=OnceRoute)

Provider = Annotated[str, Path(max_length=50, examples=["openai"])]
Name = Annotated[
    str, Path(max_length=250, description="with `@2` behind it that version", examples=["gpt-4.1"])
]

_READ: Final = [Depends(needs(Permission.MODEL_READ))]
_WRITE: Final = [Depends(needs(Permission.MODEL_WRITE))]
_CREATE: Final = [*_WRITE, Depends(once)]

_DECLARATION: Final = {"model": "openai/gpt-4.1", "max_output_tokens": 32768}
_PRICE: Final = {"from": "2026-01-01", "input": "2", "cached_input": "0.5", "output": "8"}
_FACTS: Final = {"parameters": ["temperature=unsupported", "max_tokens=wire:max_completion_tokens"]}
_RETIREMENT: Final = {"sunset": "2027-01-31", "successor": "openai/gpt-5"}


@router.get("", dependencies=_READ, responses=READS_LIST)
async def list_models(
    actor: CurrentActor,
    services: ServicesDependency,
    provider: Annotated[str | None, Query(max_length=50)] = None,
    status: Annotated[ModelStatus | None, Query()] = None,
    search: Search = "",
    cursor: Cursor = None,
    limit: Limit = DEFAULT_PAGE_SIZE,
) -> Page[ModelVersionView]:
    """Model versions by provider, name and number."""
    return await services.models.page(
        actor, provider=provider, status=status, search=search, cursor=cursor, limit=limit
    )


@router.post("", status_code=201, dependencies=_CREATE, responses=CREATES)
async def declare_model(
    declaration: Annotated[ModelDeclaration, Body(examples=[_DECLARATION])],
    actor: CurrentActor,
    services: ServicesDependency,
    response: Response,
) -> ModelVersionView:
    """Say what is known of a model; what is left out stays as it is.

    Another provider model, endpoint or digest is a new version (201); anything else changes the
    version that is there (200).
    """
    declared = await services.models.declare(actor, declaration)
    version = declared.version
    if declared.change in ("added", "new version"):
        response.headers["location"] = f"/api/models/{quote(version.reference, safe='/@:')}"
    else:
        response.status_code = 200
    return version


@router.get("/{provider}/{name:path}/usage", dependencies=_READ, responses=READS)
async def get_model_usage(
    provider: Provider,
    name: Name,
    actor: CurrentActor,
    services: ServicesDependency,
    days: Annotated[
        int, Query(ge=1, le=MAX_USAGE_DAYS, description="days in UTC, today included")
    ] = 30,
) -> ModelUsage:
    """What one version was called for, by day, purpose and status.

    Experiments and judges are counted for whoever may read all experiments, chats for whoever may
    read the facts of all of production; `purposes` says which are in.
    """
    return await services.model_usage.usage(actor, f"{provider}/{name}", days=days)


@router.get("/{provider}/{name:path}/bindings", dependencies=_READ, responses=READS)
async def get_model_bindings(
    provider: Provider, name: Name, actor: CurrentActor, services: ServicesDependency
) -> ModelBindings:
    """The aliases that serve one version now, and the open experiments that measure it, of those
    that you may see."""
    return await services.model_usage.bindings(actor, f"{provider}/{name}")


@router.get("/{provider}/{name:path}/parameters", dependencies=_READ, responses=READS)
async def list_parameters(
    provider: Provider, name: Name, actor: CurrentActor, services: ServicesDependency
) -> list[ParameterView]:
    """Every generation parameter at one version: bounds, default, and what is sent or left out."""
    return list(await services.models.parameters_of(actor, f"{provider}/{name}"))


@router.get("/{provider}/{name:path}/prices", dependencies=_READ, responses=READS)
async def list_prices(
    provider: Provider, name: Name, actor: CurrentActor, services: ServicesDependency
) -> list[PriceView]:
    """Every price of one version, by time. Money is US dollars per million tokens."""
    return list(await services.models.prices_of(actor, f"{provider}/{name}"))


@router.post(
    "/{provider}/{name:path}/prices", status_code=201, dependencies=_CREATE, responses=WRITES
)
async def add_price(
    provider: Provider,
    name: Name,
    price: Annotated[PriceDeclaration, Body(examples=[_PRICE])],
    actor: CurrentActor,
    services: ServicesDependency,
) -> ModelVersionView:
    """Record a price of one's own: it ends the open one and overrides the list's."""
    return await services.models.add_price(actor, f"{provider}/{name}", price)


@router.post("/{provider}/{name:path}/retirement", dependencies=_WRITE, responses=WRITES)
async def retire_model(
    provider: Provider,
    name: Name,
    retirement: Annotated[Retirement, Body(examples=[_RETIREMENT])],
    actor: CurrentActor,
    services: ServicesDependency,
) -> ModelVersionView:
    """Retire a version now, or deprecate it until a sunset that is still to come."""
    declared = await services.models.retire(
        actor,
        f"{provider}/{name}",
        sunset=retirement.sunset,
        successor=retirement.successor,
    )
    return declared.version


@router.get("/{provider}/{name:path}", dependencies=_READ, responses=READS)
async def get_model(
    provider: Provider, name: Name, actor: CurrentActor, services: ServicesDependency
) -> ModelVersionView:
    """One version: the latest that is not retired, or with `@2` behind the name that one."""
    return await services.models.read(actor, f"{provider}/{name}")


@router.patch("/{provider}/{name:path}", dependencies=_WRITE, responses=WRITES)
async def change_facts(
    provider: Provider,
    name: Name,
    changes: Annotated[FactChanges, Body(examples=[_FACTS])],
    actor: CurrentActor,
    services: ServicesDependency,
) -> ModelVersionView:
    """Change what is known of a version, such as a parameter that its provider refuses."""
    declared = await services.models.change_facts(actor, f"{provider}/{name}", changes)
    return declared.version
