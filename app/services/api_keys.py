"""API keys: make, list, revoke, rotate.

A key belongs to a person or to a service. A person's key acts as that person, with what they may do
at the moment and within its scope; a service's key may do what its scope names, of the few things
that services do. Everybody makes, rotates and revokes their own; for others it takes the permission
for all that the key could do, and whoever administers one team makes keys for that team's names
only: their owner may be given more later. Whoever signed in with a scoped key manages that key
alone: it would otherwise make itself a wider one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from pydantic import SecretStr

from app.core.clock import Clock
from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.core.hashing import JSON
from app.core.ids import new_id
from app.core.permissions import SERVICE_PERMISSIONS, Actor, ActorKind, Permission, require
from app.core.security import NewKey, make_key, required_secret
from app.database import AsyncSession, Database
from app.repositories.api_keys import ApiKeyRepository
from app.repositories.audit import AuditRepository
from app.repositories.users import UserRepository
from app.schemas.api_keys import (
    DEFAULT_SERVICE_PERMISSIONS,
    ApiKeyView,
    KeyScope,
    NewApiKey,
    Rotation,
    ShownApiKey,
)
from app.schemas.pages import DEFAULT_PAGE_SIZE, Page, decode_cursor, encode_cursor
from app.schemas.users import UserView, prefix_text
from app.services import audit
from app.services.users import may_manage

__all__ = ["ApiKeyService"]

_MOST_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class _Made:
    """What is stored of a new key besides its secret's digest."""

    name: str
    user_id: UUID | None
    scope: KeyScope
    lifetime: timedelta
    replaces_id: UUID | None = None


class ApiKeyService:
    """Use cases of API keys."""

    def __init__(self, database: Database, clock: Clock, secret: SecretStr | None) -> None:
        self._database = database
        self._clock = clock
        self._secret = secret

    async def page(
        self, actor: Actor, *, limit: int = DEFAULT_PAGE_SIZE, cursor: str | None = None
    ) -> Page[ApiKeyView]:
        """Return keys by name: everybody's with the permission, else the actor's own."""
        after = None if cursor is None else str(decode_cursor(cursor, str)[0])
        async with self._database.read_session() as session:
            keys = ApiKeyRepository(session)
            owner = None
            if actor.kind is not ActorKind.USER:
                require(actor, Permission.KEY_READ)
            elif Permission.KEY_READ not in actor.permissions:
                owner = (await _own_user(session, actor)).id
            found = await keys.page(user_id=owner, limit=limit + 1, after=after)
            total = await keys.count(user_id=owner, up_to=_MOST_COUNTED)
        shown = found[:limit]
        more = encode_cursor(shown[-1].name) if len(found) > limit else None
        return Page(items=shown, next_cursor=more, total_estimate=total)

    async def get(self, actor: Actor, name: str) -> ApiKeyView:
        """Return a key without its secret; another's takes the permission, else `NotFound`."""
        async with self._database.read_session() as session:
            key = await ApiKeyRepository(session).by_name(name)
        if key is None or not (Permission.KEY_READ in actor.permissions or _is_own(actor, key)):
            raise _no_key(name)
        return key

    async def create(self, actor: Actor, new: NewApiKey) -> ShownApiKey:
        """Make a key and return it with its secret, which nobody can see again.

        Raises `Forbidden` for somebody else's without the permission, `NotFound` for no such user,
        `Conflict` for a name that is taken or a user who is deactivated, `Invalid` for a service's
        scope that names no permission or one that no service has.
        """
        async with self._database.write_session() as session:
            # Of two who make a key of one name at once, the second is to see the first one's.
            await AuditRepository(session).lock()
            user = await self._owner(session, actor, new)
            if await ApiKeyRepository(session).by_name(new.name) is not None:
                raise Conflict(f"There is a key {new.name} already.", path="name")
            made = make_key(required_secret(self._secret))
            lifetime = timedelta(days=new.lifetime_days)
            user_id = None if user is None else user.id
            scope = _given_scope(actor, user, _stored_scope(new))
            await self._add(session, actor, made, _Made(new.name, user_id, scope, lifetime))
            key = await _key(session, new.name)
            await self._record(session, actor, "api_key.created", key)
            await session.commit()
        return ShownApiKey(key=key, secret=made.text)

    async def rotate(self, actor: Actor, name: str, rotation: Rotation) -> ShownApiKey:
        """Replace a key by a new one with its scope and lifetime; the old one works a while longer.

        The new key is called `NAME~2`, then `NAME~3`, and acts under the same name. Raises
        `Conflict` for a key that works no longer or was replaced already.
        """
        async with self._database.write_session() as session:
            await AuditRepository(session).lock()
            old, user = await self._managed(session, actor, name)
            keys, now = ApiKeyRepository(session), self._clock.now()
            if not old.works_at(now):
                raise Conflict(f"The key {name} works no longer: make a new one.")
            if await keys.is_replaced(old.id):
                raise Conflict(f"The key {name} has been replaced already: rotate the new one.")
            made = make_key(required_secret(self._secret))
            scope = _given_scope(actor, user, old.scope)
            await self._add(session, actor, made, _replacement(old, user, scope))
            grace_ends_at = now + timedelta(hours=rotation.grace_hours)
            await keys.expire(old.id, at=min(old.expires_at, grace_ends_at))
            key = await _key(session, _next_name(name))
            await self._record(session, actor, "api_key.rotated", key, {"replaces": old.name})
            await session.commit()
        return ShownApiKey(key=key, secret=made.text)

    async def revoke(self, actor: Actor, name: str) -> ApiKeyView:
        """Let a key work no longer, within 5 s; a second time changes nothing."""
        async with self._database.write_session() as session:
            await AuditRepository(session).lock()
            key, _ = await self._managed(session, actor, name)
            if key.revoked_at is None:
                await ApiKeyRepository(session).revoke(key.id, at=self._clock.now(), by=str(actor))
                await self._record(session, actor, "api_key.revoked", key)
            revoked = await _key(session, name)
            await session.commit()
        return revoked

    async def _owner(self, session: AsyncSession, actor: Actor, new: NewApiKey) -> UserView | None:
        """Return whose key it will be, None for a service's; refuse who may not make it."""
        _refuse_scoped(actor)
        if new.is_service:
            require(actor, Permission.KEY_WRITE)
            _require_within(actor, new.scope.prefix)
            _check_service(new)
            return None
        if new.user is None or (actor.kind, actor.name) == (ActorKind.USER, new.user):
            user = await _own_user(session, actor)
        else:
            require(actor, Permission.KEY_WRITE)
            user = await _manageable(session, actor, new.user)
        if not user.is_active:
            raise Conflict(f"{user.name} is deactivated.", path="user")
        return user

    async def _managed(
        self, session: AsyncSession, actor: Actor, name: str
    ) -> tuple[ApiKeyView, UserView | None]:
        """Return a key that the actor may replace or revoke, and whose it is."""
        key = await ApiKeyRepository(session).by_name(name)
        if key is None:
            raise _no_key(name)
        user = None if key.user is None else await UserRepository(session).by_name(key.user)
        if actor.credential is not None and actor.credential.key_id == key.id:
            return key, user
        if not (_is_own(actor, key) or Permission.KEY_READ in actor.permissions):
            raise _no_key(name)
        _refuse_scoped(actor)
        if not _is_own(actor, key):
            require(actor, Permission.KEY_WRITE)
            if user is None:
                _require_within(actor, key.scope.prefix)
            else:
                await _manageable(session, actor, user.name)
        return key, user

    async def _add(self, session: AsyncSession, actor: Actor, made: NewKey, key: _Made) -> None:
        now = self._clock.now()
        await ApiKeyRepository(session).add(
            {
                "id": new_id(),
                "name": key.name,
                "prefix": made.prefix,
                "secret_hmac": made.digest,
                "user_id": key.user_id,
                "scope": key.scope.model_dump(mode="json", exclude_none=True),
                "expires_at": now + key.lifetime,
                "replaces_id": key.replaces_id,
                "created_at": now,
                "created_by": str(actor),
            }
        )

    async def _record(
        self,
        session: AsyncSession,
        actor: Actor,
        action: str,
        key: ApiKeyView,
        detail: Mapping[str, JSON] | None = None,
    ) -> None:
        told: dict[str, JSON] = {"prefix": key.prefix, "user": key.user, **(detail or {})}
        await audit.record(
            session, self._clock, actor, action, "api_key", str(key.id), key.name, told
        )


def _stored_scope(new: NewApiKey) -> KeyScope:
    """Return the scope as it is kept: a service's always names its permissions."""
    if not new.is_service or new.scope.permissions is not None:
        return new.scope
    return new.scope.model_copy(update={"permissions": DEFAULT_SERVICE_PERMISSIONS})


def _given_scope(actor: Actor, user: UserView | None, scope: KeyScope) -> KeyScope:
    """Return the scope of a key that an actor is shown: never wider than what they administer.

    Raises `Invalid` if that is several teams and the scope names none of them.
    """
    if user is None or (actor.kind, actor.name) == (ActorKind.USER, user.name):
        return scope
    prefixes = actor.prefixes(Permission.KEY_WRITE)
    if prefixes is None or actor.may(Permission.KEY_WRITE, scope.prefix):
        return scope
    within = [prefix for prefix in prefixes if prefix.startswith(scope.prefix)]
    if len(within) != 1:
        raise Invalid(
            f"Choose the team: {', '.join(map(prefix_text, prefixes))}.", path="scope.prefix"
        )
    return scope.model_copy(update={"prefix": within[0]})


def _replacement(old: ApiKeyView, user: UserView | None, scope: KeyScope) -> _Made:
    return _Made(
        _next_name(old.name),
        None if user is None else user.id,
        scope,
        old.expires_at - old.created_at,
        old.id,
    )


def _check_service(new: NewApiKey) -> None:
    beyond = (new.scope.permissions or frozenset()) - SERVICE_PERMISSIONS
    if beyond:
        raise Invalid(
            f"No service has the permission {min(beyond)}; there are "
            f"{', '.join(sorted(SERVICE_PERMISSIONS))}.",
            path="scope.permissions",
        )


def _refuse_scoped(actor: Actor) -> None:
    if actor.is_scoped:
        raise Forbidden("A scoped key manages itself alone: sign in with a key without a scope.")


def _require_within(actor: Actor, prefix: str) -> None:
    if not actor.may(Permission.KEY_WRITE, prefix):
        allowed = [prefix_text(p) for p in actor.prefixes(Permission.KEY_WRITE) or ()]
        raise Forbidden(f"{actor} manages keys of services for {', '.join(allowed)} only.")


def _is_own(actor: Actor, key: ApiKeyView) -> bool:
    if actor.credential is not None and actor.credential.key_id == key.id:
        return True
    return actor.kind is ActorKind.USER and actor.name == key.user


async def _own_user(session: AsyncSession, actor: Actor) -> UserView:
    user = None
    if actor.kind is ActorKind.USER:
        user = await UserRepository(session).by_name(actor.name)
    if user is None:
        raise Invalid(
            f"{actor} is no user: say whose key it is.",
            path="user",
            hint="Give --user NAME or --service",
        )
    return user


async def _manageable(session: AsyncSession, actor: Actor, name: str) -> UserView:
    user = await UserRepository(session).by_name(name)
    if user is None:
        raise NotFound(f"There is no user {name}.", hint="See workbench users list")
    if not may_manage(actor, Permission.KEY_WRITE, user):
        raise Forbidden(f"{name} is not only among those whom {actor} administers.")
    return user


async def _key(session: AsyncSession, name: str) -> ApiKeyView:
    key = await ApiKeyRepository(session).by_name(name)
    if key is None:
        raise _no_key(name)
    return key


def _no_key(name: str) -> NotFound:
    return NotFound(f"There is no key {name}.", hint="See workbench keys list")


def _next_name(name: str) -> str:
    base, _, number = name.partition("~")
    return f"{base}~{int(number or 1) + 1}"
