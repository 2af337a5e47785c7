"""The record of calls in production: one admission before a call, one settlement after it.

An admission is one transaction: the idempotency key, the turn in a conversation, the limits and the
row `started`, all or nothing. A settlement is one too: outcome, attempts, answer, what the limits
get back. Both are written for many calls at once (`app.services.write_batches`); no call is made
before its admission is committed, and no answer is called settled before its settlement is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import Conflict, LimitReached, NotFound, WorkbenchError
from app.core.usage_limits import Claim, Decision, Holder, Settlement
from app.database import AsyncSession, Database
from app.repositories.chat_calls import ChatCallRepository
from app.repositories.idempotency_keys import IdempotencyKeyRepository
from app.schemas.chat_calls import CallEnd, CallStart
from app.schemas.idempotency_keys import KeyClaim, StoredKey
from app.services.limits import LimitService
from app.services.write_batches import WriteBatches

__all__ = ["Admission", "Admitted", "Duplicate", "Ledger", "Settled"]

_ANSWERED = 200
"""The status of a chat's idempotency key once it has ended; the reply is its generation."""


@dataclass(frozen=True, slots=True)
class Admission:
    """A call that wants to begin, with what it may use at worst."""

    start: CallStart
    claim: Claim
    key: KeyClaim | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """A call that has ended, with what its limits are charged; None if no limit counts it."""

    end: CallEnd
    charge: Settlement | None
    is_lost: bool = False
    """Whether it was found by the sweeper, which knows nothing of the call's key."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The call may be made. `limited` are the holders whose limits count it."""

    limited: tuple[Holder, ...]
    headers: Mapping[str, str]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The idempotency key stands for an earlier request."""

    key: StoredKey


_Item: TypeAlias = Admission | Settled
_Result: TypeAlias = Admitted | Duplicate | WorkbenchError | None


class Ledger:
    """Writes admissions and settlements; close it when the last call has ended."""

    def __init__(self, database: Database, clock: Clock, limits: LimitService) -> None:
        self._clock = clock
        self._limits = limits
        self._batches: WriteBatches[_Item, _Result] = WriteBatches(database, self._write)

    async def admit(self, admission: Admission) -> Admitted | Duplicate:
        """Record that a call begins.

        Raises `LimitReached`; `Conflict` if an answer is under way in the conversation, and
        `NotFound` if that is gone; `Unavailable` if the database does not answer.
        """
        result = await self._batches.submit(admission)
        if isinstance(result, WorkbenchError):
            raise result
        if result is None:
            raise TypeError("An admission was written as a settlement.")
        return result

    async def settle(self, settled: Settled) -> None:
        """Record how a call ended; nothing happens if its end is on record already."""
        await self._batches.submit(settled)

    async def close(self) -> None:
        """Write what was submitted, then end."""
        await self._batches.close()

    async def _write(self, session: AsyncSession, items: Sequence[_Item]) -> Sequence[_Result]:
        now = self._clock.now()
        results: dict[int, _Result] = {}
        fresh: list[tuple[int, Admission]] = []
        for place, admission in _in_lock_order(items):
            results[place] = await _precluded(session, admission, [it for _, it in fresh])
            if results[place] is None:
                fresh.append((place, admission))
        ended = await _closed(session, [it for it in items if isinstance(it, Settled)])
        decisions = await self._limits.account(
            session,
            [admission.claim for _, admission in fresh],
            [settled.charge for settled in ended if settled.charge is not None],
            now,
        )
        for (place, _), decision in zip(fresh, decisions, strict=True):
            results[place] = _told(decision)
        await _write_starts(session, fresh, results)
        await _write_ends(session, ended)
        return [results.get(place) for place in range(len(items))]


def _in_lock_order(items: Sequence[_Item]) -> list[tuple[int, Admission]]:
    """Return the admissions with their places, in an order that is the same in every process."""
    admissions = [(place, it) for place, it in enumerate(items) if isinstance(it, Admission)]
    return sorted(
        admissions,
        key=lambda placed: (
            "" if placed[1].key is None else f"{placed[1].key.actor} {placed[1].key.key}",
            str(placed[1].start.conversation and placed[1].start.conversation.id),
        ),
    )


async def _precluded(
    session: AsyncSession, admission: Admission, earlier: Sequence[Admission]
) -> Duplicate | WorkbenchError | None:
    """Claim the key and the turn of an admission; return why it cannot begin, if so."""
    key, link = admission.key, admission.start.conversation
    keys = IdempotencyKeyRepository(session)
    if key is not None and not await keys.claim(key):
        stored = await keys.get(key.actor, key.key)
        if stored is None:
            raise TypeError("An idempotency key was refused and is not there.")
        return Duplicate(stored)
    if link is None:
        return None
    turn = await ChatCallRepository(session).lock_turn(link.id)
    begun = {it.start.conversation.id for it in earlier if it.start.conversation is not None}
    if turn and link.id not in begun:
        return None
    if key is not None:
        await keys.release([key.id])
    if turn is None:
        return NotFound("There is no such conversation.")
    return Conflict("An answer is under way in this conversation: wait for it.")


async def _closed(session: AsyncSession, settled: Sequence[Settled]) -> list[Settled]:
    """Mark calls as ended and return those whose end was not on record yet, each once."""
    if not settled:
        return []
    firsts = {it.end.id: it for it in reversed(settled)}
    ids = await ChatCallRepository(session).close(it.end for it in firsts.values())
    return [it for call_id, it in firsts.items() if call_id in ids]


async def _write_starts(
    session: AsyncSession, fresh: Sequence[tuple[int, Admission]], results: Mapping[int, _Result]
) -> None:
    admitted = [it for place, it in fresh if isinstance(results[place], Admitted)]
    if admitted:
        await ChatCallRepository(session).add_starts([it.start for it in admitted])
    unused: list[UUID] = [
        it.key.id for place, it in fresh if it.key is not None and it not in admitted
    ]
    if unused:
        await IdempotencyKeyRepository(session).release(unused)


async def _write_ends(session: AsyncSession, ended: Sequence[Settled]) -> None:
    if not ended:
        return
    await ChatCallRepository(session).add_ends([it.end for it in ended])
    keys = IdempotencyKeyRepository(session)
    known = [it.end.key_id for it in ended if it.end.key_id is not None]
    if known:
        await keys.finish(known, _ANSWERED)
    for it in ended:
        if it.is_lost:
            await keys.finish_generation(it.end.id, _ANSWERED)


def _told(decision: Decision) -> Admitted | LimitReached:
    headers = _headers(decision)
    if decision.admitted:
        return Admitted(decision.limited, headers, decision.warnings)
    return LimitReached(
        decision.reason,
        retry_after_s=decision.retry_after_s,
        budget_spent=decision.budget_spent,
        holder_kind=None if decision.refused_by is None else decision.refused_by.kind,
        headers=headers,
    )


def _headers(decision: Decision) -> dict[str, str]:
    """Return `x-ratelimit-*` as OpenAI writes them: counts, and the time until a reset, `12.5s`."""
    headers: dict[str, str] = {}
    for what, remaining in (("requests", decision.requests), ("tokens", decision.tokens)):
        if remaining is not None:
            headers[f"x-ratelimit-limit-{what}"] = str(remaining.limit)
            headers[f"x-ratelimit-remaining-{what}"] = str(remaining.remaining)
            headers[f"x-ratelimit-reset-{what}"] = f"{math.ceil(remaining.reset_s * 10) / 10:g}s"
    return headers
