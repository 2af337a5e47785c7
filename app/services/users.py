"""People and their roles: admit, grant, take back, deactivate.

Whoever administers one team's names only may give out roles for that team only, and may change only
people who have roles there and none elsewhere. Who signs in as a person, the `external_id`, is set
by admins of everything only: that person may be given more later. There is always an active admin
of everything. What a person may do changes everywhere within 5 s (see `app/services/sign_in.py`),
and every change is on record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from app.core.clock import Clock
from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.core.hashing import JSON
from app.core.ids import new_id
from app.core.permissions import (
    ROLE_MEANINGS,
    ROLE_PERMISSIONS,
    Actor,
    ActorKind,
    Permission,
    Role,
    require,
)
from app.database import AsyncSession, Database
from app.repositories.audit import AuditRepository
from app.repositories.users import UserRepository
from app.schemas.pages import DEFAULT_PAGE_SIZE, Page, decode_cursor, encode_cursor
from app.schemas.users import (
    ActorView,
    GrantView,
    NewGrant,
    NewUser,
    RoleView,
    UserChanges,
    UserView,
    prefix_text,
)
from app.services import audit

__all__ = ["UserService", "may_manage", "own_view", "role_views"]

_MOST_COUNTED = 10_000
_RESERVED: Final = frozenset({"me"})  # stands for oneself in addresses


class UserService:
    """Use cases of users."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def page(
        self, actor: Actor, *, limit: int = DEFAULT_PAGE_SIZE, cursor: str | None = None
    ) -> Page[UserView]:
        """Return users by name, `limit` at a time, with the roles that they have now."""
        require(actor, Permission.USER_READ)
        after = None if cursor is None else str(decode_cursor(cursor, str)[0])
        async with self._database.read_session() as session:
            users = UserRepository(session)
            found = await users.page(limit=limit + 1, after=after)
            total = await users.count(up_to=_MOST_COUNTED)
        shown = found[:limit]
        more = encode_cursor(shown[-1].name) if len(found) > limit else None
        return Page(items=shown, next_cursor=more, total_estimate=total)

    async def get(self, actor: Actor, name: str) -> UserView:
        """Return a user; everybody may see themselves. `NotFound` for none."""
        if (actor.kind, actor.name) != (ActorKind.USER, name):
            require(actor, Permission.USER_READ)
        async with self._database.read_session() as session:
            return await _user(session, name)

    async def create(self, actor: Actor, new: NewUser) -> UserView:
        """Admit a person, who may do nothing until a role is granted; `Conflict` for one known."""
        require(actor, Permission.USER_WRITE)
        if new.external_id is not None:
            _require_everything(actor)
        async with self._database.write_session() as session:
            # Of two who admit the same person at once, the second is to see the first one's.
            await AuditRepository(session).lock()
            created = await self._create(session, actor, new)
            await session.commit()
        return created

    async def bootstrap(self, actor: Actor, new: NewUser) -> UserView:
        """Admit the first user, as admin of everything; `Conflict` if there is any user."""
        require(actor, Permission.USER_WRITE)
        async with self._database.write_session() as session:
            await AuditRepository(session).lock()
            if await UserRepository(session).count(up_to=1):
                raise Conflict(
                    "There are users already: an admin among them admits others.",
                    hint="workbench users create NAME",
                )
            await self._create(session, actor, new)
            await self._grant(session, actor, new.name, NewGrant(role=Role.ADMIN))
            created = await _user(session, new.name)
            await session.commit()
        return created

    async def change(self, actor: Actor, name: str, changes: UserChanges) -> UserView:
        """Change what is given of a user.

        A name that something is on record under cannot change (`Conflict`): records would point to
        whoever has it next.
        """
        require(actor, Permission.USER_WRITE)
        if "external_id" in changes.model_fields_set:
            _require_everything(actor)
        async with self._database.write_session() as session:
            await AuditRepository(session).lock()
            user = await self._manageable(session, actor, name)
            values = await self._changed(session, user, changes)
            if values:
                await UserRepository(session).change(user.id, values)
                detail: dict[str, JSON] = {"changed": sorted(values), "previous_name": user.name}
                await self._record(session, actor, "user.changed", user, detail)
            changed = await UserRepository(session).by_id(user.id)
            await session.commit()
        return changed or user

    async def deactivate(self, actor: Actor, name: str) -> UserView:
        """Let a user sign in no longer; a second time changes nothing.

        `Conflict` for the last admin.
        """
        return await self._set_active(actor, name, active=False)

    async def reactivate(self, actor: Actor, name: str) -> UserView:
        """Let a user sign in again, with the roles and keys that they have."""
        return await self._set_active(actor, name, active=True)

    async def grant(self, actor: Actor, name: str, new: NewGrant) -> UserView:
        """Give a user a role; `Forbidden` above the actor's own prefix, `Conflict` for one held."""
        require(actor, Permission.USER_WRITE)
        async with self._database.write_session() as session:
            await AuditRepository(session).lock()
            await self._grant(session, actor, name, new)
            granted = await _user(session, name)
            await session.commit()
        return granted

    async def take_back(self, actor: Actor, name: str, old: NewGrant) -> UserView:
        """Take a role from a user; `NotFound` for one they do not have, `Conflict` for the last
        admin's."""
        require(actor, Permission.USER_WRITE)
        async with self._database.write_session() as session:
            await AuditRepository(session).lock()
            user = await _user(session, name)
            _require_within(actor, old.prefix)
            held = _held(user, old)
            if held is None:
                raise NotFound(f"{name} does not have the role {_told(old)}.")
            if (old.role, old.prefix) == (Role.ADMIN, ""):
                await _require_other_admin(session, user)
            await UserRepository(session).take_back(held.id, at=self._clock.now(), by=str(actor))
            await self._record(session, actor, "grant.revoked", user, _detail(old))
            left = await _user(session, name)
            await session.commit()
        return left

    async def _create(self, session: AsyncSession, actor: Actor, new: NewUser) -> UserView:
        if new.name in _RESERVED:
            raise Invalid(f"Nobody can be called {new.name}.", path="name")
        await _require_free(session, new.name, new.external_id)
        await UserRepository(session).add(
            {
                "id": new_id(),
                "name": new.name,
                "external_id": new.external_id,
                "created_at": self._clock.now(),
                "created_by": str(actor),
            }
        )
        created = await _user(session, new.name)
        await self._record(session, actor, "user.created", created)
        return created

    async def _grant(self, session: AsyncSession, actor: Actor, name: str, new: NewGrant) -> None:
        _require_within(actor, new.prefix)
        user = await _user(session, name)
        if _held(user, new) is not None:
            raise Conflict(f"{name} has the role {_told(new)} already.")
        await UserRepository(session).add_grant(
            {
                "id": new_id(),
                "user_id": user.id,
                "role": new.role,
                "prefix": new.prefix,
                "created_at": self._clock.now(),
                "created_by": str(actor),
            }
        )
        await self._record(session, actor, "grant.added", user, _detail(new))

    async def _changed(
        self, session: AsyncSession, user: UserView, changes: UserChanges
    ) -> Mapping[str, str | None]:
        """Return the columns that change; refuse what belongs to somebody else."""
        values: dict[str, str | None] = {}
        if changes.name is not None and changes.name != user.name:
            if changes.name in _RESERVED:
                raise Invalid(f"Nobody can be called {changes.name}.", path="name")
            if await UserRepository(session).has_acted(f"{ActorKind.USER}:{user.name}"):
                raise Conflict(
                    f"Records say what {user.name} did, so the name stays. Admit the person "
                    "anew, and deactivate this user."
                )
            values["name"] = changes.name
        if "external_id" in changes.model_fields_set and changes.external_id != user.external_id:
            values["external_id"] = changes.external_id
        await _require_free(session, values.get("name"), values.get("external_id"))
        return values

    async def _set_active(self, actor: Actor, name: str, *, active: bool) -> UserView:
        require(actor, Permission.USER_WRITE)
        async with self._database.write_session() as session:
            await AuditRepository(session).lock()
            user = await self._manageable(session, actor, name)
            if user.is_active != active:
                if not active and _is_admin(user):
                    await _require_other_admin(session, user)
                at = None if active else self._clock.now()
                await UserRepository(session).change(user.id, {"deactivated_at": at})
                action = "user.reactivated" if active else "user.deactivated"
                await self._record(session, actor, action, user)
            changed = await _user(session, name)
            await session.commit()
        return changed

    async def _manageable(self, session: AsyncSession, actor: Actor, name: str) -> UserView:
        user = await _user(session, name)
        if not may_manage(actor, Permission.USER_WRITE, user):
            raise Forbidden(f"{name} is not only among those whom {actor} administers.")
        return user

    async def _record(
        self,
        session: AsyncSession,
        actor: Actor,
        action: str,
        user: UserView,
        detail: Mapping[str, JSON] | None = None,
    ) -> None:
        user_id = str(user.id)
        await audit.record(session, self._clock, actor, action, "user", user_id, user.name, detail)


def own_view(actor: Actor) -> ActorView:
    """Return what an actor is told about itself."""
    prefixes = {grant.prefix for grant in actor.grants}
    return ActorView(
        kind=actor.kind,
        name=actor.name,
        permissions=tuple(sorted(actor.permissions)),
        prefixes=() if "" in prefixes else tuple(sorted(prefixes)),
        aliases=None if actor.aliases is None else tuple(sorted(actor.aliases)),
    )


def role_views() -> tuple[RoleView, ...]:
    """Return every role with what it is for and what it permits."""
    return tuple(
        RoleView(
            role=role,
            meaning=ROLE_MEANINGS[role],
            permissions=tuple(sorted(ROLE_PERMISSIONS[role])),
        )
        for role in Role
    )


def may_manage(actor: Actor, permission: Permission, user: UserView) -> bool:
    """Whether the permission reaches everything that a user may do.

    Who has no role is everybody's or nobody's: they may be given any later.
    """
    if actor.prefixes(permission) is None:
        return True
    return bool(user.grants) and all(actor.may(permission, grant.prefix) for grant in user.grants)


def _require_everything(actor: Actor) -> None:
    if actor.prefixes(Permission.USER_WRITE) is not None:
        raise Forbidden("Who signs in as a person is set by an admin of everything.")


def _require_within(actor: Actor, prefix: str) -> None:
    if not actor.may(Permission.USER_WRITE, prefix):
        allowed = [prefix_text(p) for p in actor.prefixes(Permission.USER_WRITE) or ()]
        raise Forbidden(f"{actor} may change roles for {', '.join(allowed)} only.")


async def _user(session: AsyncSession, name: str) -> UserView:
    user = await UserRepository(session).by_name(name)
    if user is None:
        raise NotFound(f"There is no user {name}.", hint="See workbench users list")
    return user


async def _require_free(session: AsyncSession, name: str | None, external_id: str | None) -> None:
    users = UserRepository(session)
    if name is not None and await users.by_name(name) is not None:
        raise Conflict(f"There is a user {name} already.", path="name")
    if external_id is not None and await users.by_external_id(external_id) is not None:
        raise Conflict("Another user has this external_id.", path="external_id")


async def _require_other_admin(session: AsyncSession, user: UserView) -> None:
    if user.is_active and not await UserRepository(session).has_other_admin(user.id):
        raise Conflict(f"{user.name} is the last admin: make somebody else admin first.")


def _is_admin(user: UserView) -> bool:
    return _held(user, NewGrant(role=Role.ADMIN)) is not None


def _held(user: UserView, wanted: NewGrant) -> GrantView | None:
    grants: Sequence[GrantView] = user.grants
    same = (g for g in grants if (g.role, g.prefix) == (wanted.role, wanted.prefix))
    return next(same, None)


def _detail(grant: NewGrant) -> Mapping[str, JSON]:
    return {"role": grant.role.value, "prefix": grant.prefix}


def _told(grant: NewGrant) -> str:
    return f"{grant.role} for {prefix_text(grant.prefix)}" if grant.prefix else grant.role.value
