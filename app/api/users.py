"""Users: who is admitted, and in which roles. `me` stands for whoever asks."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.idempotency import OnceRoute, once
from app.api.paging import Cursor, Limit
from app.api.parameters import READS, READS_LIST, WRITES
from app.core.permissions import Permission, Role
from app.schemas.pages import DEFAULT_PAGE_SIZE, Page
from app.schemas.users import (
    ActorView,
    NewGrant,
    NewUser,
    Prefix,
    UserChanges,
    UserView,
)
from app.services.users import own_view

__all__ = ["router"]

router = APIRouter(prefix="/api/users", tags=["users"], route_class=OnceRoute)

Name = Annotated[str, Path(max_length=100, description="as in `ana`", examples=["ana"])]

_READ: Final = [Depends(needs(Permission.USER_READ))]
_WRITE: Final = [Depends(needs(Permission.USER_WRITE))]
_CREATE: Final = [*_WRITE, Depends(once)]


@router.get("", dependencies=_READ, responses=READS_LIST)
async def list_users(
    actor: CurrentActor,
    services: ServicesDependency,
    limit: Limit = DEFAULT_PAGE_SIZE,
    cursor: Cursor = None,
) -> Page[UserView]:
    """Users by name, with the roles that they have now.

    Deactivated users are among them: records name them.
    """
    return await services.users.page(actor, limit=limit, cursor=cursor)


@router.post("", status_code=201, dependencies=_CREATE, responses=WRITES)
async def create_user(new: NewUser, actor: CurrentActor, services: ServicesDependency) -> UserView:
    """Admit a person.

    They may do nothing until a role is granted. They sign in with tokens of the identity provider
    that carry their `external_id` as `sub`, or with an API key made for them.
    """
    return await services.users.create(actor, new)


@router.get("/me", responses=READS_LIST)
async def get_own_permissions(actor: CurrentActor) -> ActorView:
    """Who the credential of this request stands for, and what they may do.

    Works for services too.
    """
    return own_view(actor)


@router.get("/{name}", responses=READS)
async def get_user(name: Name, actor: CurrentActor, services: ServicesDependency) -> UserView:
    """One user with the roles that they have now.

    Everybody may see themselves; others take `user:read`.
    """
    return await services.users.get(actor, name)


@router.patch("/{name}", dependencies=_WRITE, responses=WRITES)
async def change_user(
    name: Name, changes: UserChanges, actor: CurrentActor, services: ServicesDependency
) -> UserView:
    """Change a user's name or `external_id`; what is left out stays.

    A name stays once something is on record under it. Roles and activity have routes of their own.
    """
    return await services.users.change(actor, name, changes)


@router.post(
    "/{name}/deactivate",
    dependencies=_WRITE,
    responses=WRITES,
)
async def deactivate_user(
    name: Name, actor: CurrentActor, services: ServicesDependency
) -> UserView:
    """Let a user sign in no longer, by key or token, within 5 s.

    What they did stays on record. The last admin cannot be deactivated.
    """
    return await services.users.deactivate(actor, name)


@router.post("/{name}/reactivate", dependencies=_WRITE, responses=WRITES)
async def reactivate_user(
    name: Name, actor: CurrentActor, services: ServicesDependency
) -> UserView:
    """Let a user sign in again, with the roles and keys that they have."""
    return await services.users.reactivate(actor, name)


@router.post(
    "/{name}/grants",
    status_code=201,
    dependencies=_CREATE,
    responses=WRITES,
)
async def grant_role(
    name: Name, new: NewGrant, actor: CurrentActor, services: ServicesDependency
) -> UserView:
    """Give a user a role, for all names or for those of one team (`payments/*`).

    Whoever is admin of one team grants roles for that team only.
    """
    return await services.users.grant(actor, name, new)


@router.delete(
    "/{name}/grants/{role}",
    dependencies=_WRITE,
    responses=WRITES,
)
async def revoke_role(
    name: Name,
    role: Role,
    actor: CurrentActor,
    services: ServicesDependency,
    prefix: Annotated[Prefix, Query(description="as the role was granted")] = "",
) -> UserView:
    """Take a role from a user; it has no effect any more within 5 s.

    The last admin's role cannot be taken.
    """
    return await services.users.take_back(actor, name, NewGrant(role=role, prefix=prefix))
