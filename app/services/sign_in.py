"""Signing in: from a credential to the actor it stands for.

What was found is remembered for a few seconds, so that a chat pays no query; hence a key that was
revoked, a grant that was taken back and a user who was deactivated lose their effect within 5 s. A
key's expiry is compared at every use. Wrong credentials all get the same sentence, whether the key
exists or not, and after five of them in a minute their sender is told to wait. A right one is
answered all the same: behind a proxy many clients share an address, and 256 random bits are not
found by trying.

Who starts a server on their own machine works on its database anyway. The key that such a start
makes stands for them as their commands do, lives in memory only and ends with the process.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NoReturn, Protocol
from uuid import UUID

from pydantic import SecretStr

from app.core.clock import Clock
from app.core.errors import Unavailable, WorkbenchError
from app.core.permissions import (
    SERVICE_PERMISSIONS,
    Actor,
    ActorKind,
    Credential,
    Grant,
    local_actor,
)
from app.core.security import credential_digest, is_same_credential, key_prefix, required_secret
from app.database import AsyncSession, Database, DatabaseError
from app.repositories.api_keys import ApiKeyRepository
from app.repositories.users import UserRepository
from app.schemas.api_keys import StoredApiKey, base_name
from app.schemas.users import UserView
from app.services.fresh_values import FreshValues, Staleness

__all__ = [
    "InvalidToken",
    "SignInService",
    "TokenClaims",
    "TokenVerifier",
    "TooManyRefusals",
    "Unauthenticated",
]

_REMEMBERED: Final = Staleness(fresh_s=2, waits_s=4, failing_s=4)
"""Up to 4 s, also while the database is down: then nobody can be told apart from the revoked."""

_MOST_ADDRESSES = 10_000
_REFUSALS = 5
_REFUSAL_WINDOW_S = 60.0
_USE_NOTED_EVERY = timedelta(minutes=1)
_LONGEST_CREDENTIAL = 8_192  # characters; tokens of large identity providers have some 4,000


class Unauthenticated(WorkbenchError):
    """No credential, or none that holds. `reason` is for the log, never for the sender."""

    code = "unauthenticated"

    def __init__(self, reason: str) -> None:
        super().__init__("Sign in with a credential that holds, in Authorization: Bearer.")
        self.reason = reason


class TooManyRefusals(Unauthenticated):
    """One address has sent too many wrong credentials; it is to wait `wait_s` seconds."""

    code = "too_many_requests"

    def __init__(self, reason: str, wait_s: int) -> None:
        super().__init__(reason)
        self.message = "Too many wrong credentials came from this address; try again later."
        self.wait_s = wait_s


class InvalidToken(Exception):
    """A token does not hold; `reason` is a code for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a verified token says: whom it is about (`sub`), and until when to believe it."""

    subject: str
    expires_at: datetime


class TokenVerifier(Protocol):
    """What tells whether a token of an identity provider holds."""

    async def verified(self, token: str) -> TokenClaims:
        """Return what a token says.

        Raises `InvalidToken` if it does not hold, and `Unavailable` if that cannot be found out.
        """
        ...


@dataclass(frozen=True, slots=True)
class _SignedIn:
    actor: Actor
    expires_at: datetime


class SignInService:
    """Turns credentials into actors; holds what it remembers in memory, each process its own."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        secret: SecretStr | None,
        tokens: TokenVerifier | None = None,
        local_key: SecretStr | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._secret = secret
        self._tokens = tokens
        self._local_key = local_key
        self._known = FreshValues[str, _SignedIn](self._find_out, clock, _REMEMBERED)
        self._refusals = _Refusals(clock)
        self._noted: dict[UUID, datetime] = {}
        self._notes: set[asyncio.Task[None]] = set()

    async def actor(self, credential: str | None, *, client: str) -> Actor:
        """Return the actor of a credential that came from the address `client`.

        Raises `Unauthenticated` for none or one that does not hold, `TooManyRefusals` instead after
        too many of those, `Unavailable` or the database's error if that cannot be found out, and
        `ConfigurationError` if the server has no secret.
        """
        if credential is None:
            raise Unauthenticated("missing")
        try:
            return await self._signed_in(credential)
        except Unauthenticated as refusal:
            self._refusals.count(client, refusal)

    async def close(self) -> None:
        """Wait for what is still being written."""
        await self._known.close()
        await asyncio.gather(*self._notes)

    async def _signed_in(self, credential: str) -> Actor:
        if len(credential) > _LONGEST_CREDENTIAL or not credential.isascii():
            raise Unauthenticated("malformed")
        if self._is_local(credential):
            return local_actor()
        known = await self._known.get(credential)
        if known.expires_at <= self._clock.now():
            raise Unauthenticated("expired")
        return known.actor

    def _is_local(self, credential: str) -> bool:
        """Whether it is the key that this process was started with, for who started it."""
        key = self._local_key
        return key is not None and is_same_credential(
            credential.encode(), key.get_secret_value().encode()
        )

    async def _find_out(self, credential: str) -> _SignedIn:
        prefix = key_prefix(credential)
        if prefix is not None:
            return await self._by_key(prefix, credential)
        if self._tokens is not None:
            return await self._by_token(self._tokens, credential)
        raise Unauthenticated("malformed")

    async def _by_key(self, prefix: str, credential: str) -> _SignedIn:
        digest = credential_digest(credential, required_secret(self._secret))
        async with self._database.read_session() as session:
            key = await ApiKeyRepository(session).stored(prefix)
            if key is None or not is_same_credential(digest, key.digest):
                raise Unauthenticated("unknown")
            if key.revoked_at is not None:
                raise Unauthenticated("revoked")
            actor = await self._actor_of(session, key)
        if key.expires_at <= self._clock.now():
            raise Unauthenticated("expired")
        self._note_use(key)
        return _SignedIn(actor, key.expires_at)

    async def _actor_of(self, session: AsyncSession, key: StoredApiKey) -> Actor:
        credential = Credential(key.id, base_name(key.name), is_scoped=not key.scope.is_open)
        aliases = key.scope.aliases
        if key.user_id is None:
            grants = key.scope.narrow([Grant(SERVICE_PERMISSIONS)])
            return Actor.of(
                ActorKind.KEY, credential.key, grants, aliases=aliases, credential=credential
            )
        user = _active(await UserRepository(session).by_id(key.user_id))
        grants = key.scope.narrow(grant.grant() for grant in user.grants)
        return Actor.of(ActorKind.USER, user.name, grants, aliases=aliases, credential=credential)

    async def _by_token(self, tokens: TokenVerifier, token: str) -> _SignedIn:
        try:
            claims = await tokens.verified(token)
        except InvalidToken as error:
            raise Unauthenticated(error.reason) from None
        async with self._database.read_session() as session:
            user = _active(await UserRepository(session).by_external_id(claims.subject))
        grants = (grant.grant() for grant in user.grants)
        return _SignedIn(Actor.of(ActorKind.USER, user.name, grants), claims.expires_at)

    def _note_use(self, key: StoredApiKey) -> None:
        """Record that a key was used, at most once a minute and off the request's path."""
        now = self._clock.now()
        last = max(filter(None, (key.last_used_at, self._noted.get(key.id))), default=None)
        if last is not None and now - last < _USE_NOTED_EVERY:
            return
        self._noted[key.id] = now
        task = asyncio.create_task(self._write_use(key.id, now))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _write_use(self, key_id: UUID, at: datetime) -> None:
        # Nothing rests on this time, and the next use writes it again.
        with suppress(DatabaseError, OSError, Unavailable):
            async with self._database.write_session() as session:
                await ApiKeyRepository(session).note_use(key_id, at=at)
                await session.commit()


class _Refusals:
    """Counts wrong credentials by the address that sent them, over the last minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def count(self, client: str, refusal: Unauthenticated) -> NoReturn:
        """Raise the refusal, or `TooManyRefusals` if the address had its five in this minute."""
        now = self._clock.monotonic()
        times = self._times.setdefault(client, deque(maxlen=_REFUSALS))
        self._times.move_to_end(client)
        if len(self._times) > _MOST_ADDRESSES:
            self._times.popitem(last=False)
        while times and times[0] <= now - _REFUSAL_WINDOW_S:
            times.popleft()
        if len(times) == _REFUSALS:
            wait_s = math.ceil(times[0] + _REFUSAL_WINDOW_S - now)
            raise TooManyRefusals(refusal.reason, wait_s) from None
        times.append(now)
        raise refusal


def _active(user: UserView | None) -> UserView:
    if user is None:
        raise Unauthenticated("unknown_user")
    if not user.is_active:
        raise Unauthenticated("deactivated")
    return user
