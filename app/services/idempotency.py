"""Requests that happen once: a key, its effect and the reply to it, in one transaction.

A caller that got no reply sends the same request with the same key again. Either nothing happened
the first time, and it happens now; or it happened, and the reply is given again. There is nothing
in between, because the services' own sessions join the transaction that holds key and reply
(`app.database.joining`). An error undoes everything, the key too, so that the request may be mended
and sent again.

A key is its actor's (a scoped credential has its own), and is kept for a day. A second request
while the first is under way is refused here (`InFlight`); on another replica over the same database
it waits for the first and then gets its reply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from app.core.clock import Clock
from app.core.errors import InFlight, KeyReused
from app.core.hashing import JSON
from app.core.ids import new_id
from app.core.permissions import Actor
from app.database import AsyncSession, Database, Transaction
from app.repositories.content import ContentRepository, content_row
from app.repositories.idempotency_keys import IdempotencyKeyRepository
from app.schemas.idempotency_keys import KeyClaim

__all__ = ["KEPT", "Effect", "IdempotencyService", "Reply"]

KEPT: Final = timedelta(days=1)
"""How long a key and the reply to its request are kept."""

_PURGED_EVERY: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered: HTTP status, headers that belong to it (such as Location) and body."""

    status: int
    headers: Mapping[str, str]
    body: JSON


class Effect:
    """A request under way for the first time; it ends by `keep` or `undo`."""

    def __init__(
        self, transaction: Transaction, claim: KeyClaim, in_flight: set[tuple[str, str]]
    ) -> None:
        self._transaction = transaction
        self._claim = claim
        self._in_flight = in_flight

    async def keep(self, reply: Reply) -> None:
        """Keep what was done and the reply to it."""
        body = content_row({"headers": reply.headers, "body": reply.body}, self._claim.created_at)
        try:
            async with self._transaction.session() as session:
                await ContentRepository(session).add_all([body])
                keys = IdempotencyKeyRepository(session)
                await keys.finish([self._claim.id], reply.status, body["id"])
                await session.commit()
            await self._transaction.connection.commit()
        finally:
            await self.undo()

    async def undo(self) -> None:
        """Undo what was done and let go of the key; nothing if it is kept already."""
        try:
            await self._transaction.end()
        finally:
            self._in_flight.discard((self._claim.actor, self._claim.key))


class IdempotencyService:
    """Begins the effects of one process."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._in_flight: set[tuple[str, str]] = set()
        self._purged_at = clock.now()

    async def begin(self, actor: Actor, key: str, request_hash: str) -> Effect | Reply:
        """Begin the effect of a request, or return the reply that it got before.

        From here until the effect ends the task's sessions are part of it. Raises `InFlight`
        while the same key is under way, `KeyReused` if it stands for another request.
        """
        now = self._clock.now()
        claim = KeyClaim(new_id(), actor.requester, key, request_hash, now, now + KEPT)
        name = (claim.actor, claim.key)
        if name in self._in_flight:
            raise InFlight(_UNDER_WAY)
        self._in_flight.add(name)
        try:
            transaction = await self._database.begin()
        except BaseException:
            self._in_flight.discard(name)
            raise
        effect = Effect(transaction, claim, self._in_flight)
        try:
            reply = await self._earlier_reply(transaction, claim)
        except BaseException:
            await effect.undo()
            raise
        if reply is None:
            return effect
        await effect.undo()
        return reply

    async def _earlier_reply(self, transaction: Transaction, claim: KeyClaim) -> Reply | None:
        """Claim the key; return the reply of the request that had it before, if one had."""
        async with transaction.session() as session:
            keys = IdempotencyKeyRepository(session)
            if claim.created_at - self._purged_at >= _PURGED_EVERY:
                self._purged_at = claim.created_at
                replies = await keys.purge(claim.created_at)
                await ContentRepository(session).erase(replies, claim.created_at)
            if not await keys.claim(claim):
                return await _reply(session, claim)
            await session.commit()
            return None


_UNDER_WAY: Final = "The same request is under way: ask again for its reply in a moment."


async def _reply(session: AsyncSession, claim: KeyClaim) -> Reply:
    stored = await IdempotencyKeyRepository(session).get(claim.actor, claim.key)
    if stored is None or stored.request_hash != claim.request_hash:
        raise KeyReused(
            "The idempotency key was used for another request: every request needs its own.",
            path="header.Idempotency-Key",
        )
    if stored.status is None or stored.reply_content_id is None:
        raise InFlight(_UNDER_WAY)
    bodies = await ContentRepository(session).bodies([stored.reply_content_id])
    kept = bodies[stored.reply_content_id]
    return Reply(stored.status, kept["headers"], kept["body"])
