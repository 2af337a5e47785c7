"""API keys of people and of services. Everybody manages their own.

A POST here cannot be repeated under an `Idempotency-Key`: the reply to be given again would hold
the secret. A key whose reply got lost is revoked by its name, and made anew.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from app.api.authorisation import CurrentActor
from app.api.dependencies import ServicesDependency
from app.api.paging import Cursor, Limit
from app.api.parameters import READS, READS_LIST, WRITES
from app.schemas.api_keys import ApiKeyView, NewApiKey, Rotation, ShownApiKey
from app.schemas.pages import DEFAULT_PAGE_SIZE, Page

__all__ = ["router"]

router = APIRouter(prefix="/api/keys", tags=["keys"])

Name = Annotated[str, Path(max_length=100, description="as in `bot`", examples=["bot"])]


@router.get("", responses=READS_LIST)
async def list_keys(
    actor: CurrentActor,
    services: ServicesDependency,
    limit: Limit = DEFAULT_PAGE_SIZE,
    cursor: Cursor = None,
) -> Page[ApiKeyView]:
    """Keys by name, without their secrets: everybody's with `key:read`, else one's own."""
    return await services.api_keys.page(actor, limit=limit, cursor=cursor)


@router.post("", status_code=201, responses=WRITES)
async def create_key(
    new: NewApiKey, actor: CurrentActor, services: ServicesDependency
) -> ShownApiKey:
    """Make a key; the answer holds its secret, which is shown this once and stored nowhere.

    Without `user` and `is_service` it is the asker's own. For others it takes `key:write`. A
    service's key may do what its scope names: without any, `chat:write` and `alias:read`.
    """
    return await services.api_keys.create(actor, new)


@router.get("/{name}", responses=READS)
async def get_key(name: Name, actor: CurrentActor, services: ServicesDependency) -> ApiKeyView:
    """One key without its secret: whose it is, what it may do, until when, and when last used."""
    return await services.api_keys.get(actor, name)


@router.post("/{name}/revoke", responses=WRITES)
async def revoke_key(name: Name, actor: CurrentActor, services: ServicesDependency) -> ApiKeyView:
    """Let a key work no longer, within 5 s.

    A key that replaced it, or that it replaced, works on and is revoked by its own name.
    """
    return await services.api_keys.revoke(actor, name)


@router.post("/{name}/rotate", status_code=201, responses=WRITES)
async def rotate_key(
    name: Name, rotation: Rotation, actor: CurrentActor, services: ServicesDependency
) -> ShownApiKey:
    """Replace a key by a new one with its scope and lifetime, shown this once.

    The old key works for `grace_hours` more, so that whoever uses it can change over. A key may
    always rotate itself.
    """
    return await services.api_keys.rotate(actor, name, rotation)
