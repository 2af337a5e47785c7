"""The record of calls in production: one admission before a call, one settlement after it.

An admission is one transaction: the idempotency key, the turn in a conversation, the limits and the
row `started`, all or nothing. A settlement is one too: outcome, attempts, answer, what the limits
get back. Both are written for many calls at once (`app.services.write_batches`); no call is made
before its admission is committed, and no answer is called settled before its settlement is.

Replicas never wait for each other in a circle, because each locks in one order: idempotency keys,
conversations, calls that ended, windows of limits; each kind in the order of its names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import Conflict, InFlight, LimitReached, NotFound, WorkbenchError
from app.core.usage_limits import Claim, Decision, Settlement, WindowKey
from app.database import AsyncSession, Database
from app.repositories.chat_calls import ChatCallRepository
from app.repositories.idempotency_keys import IdempotencyKeyRepository
from app.schemas.chat_calls import CallEnd, CallStart
from app.schemas.idempotency_keys import KeyClaim, StoredKey
from app.services.chat.reservations import reservation_json
from app.services.limits import LimitService
from app.services.write_batches import WriteBatches

__all__ = ["Admission", "Admitted", "Duplicate", "Ledger", "Settled"]

_IN_FLIGHT = "The same request is under way: ask again for its reply in a moment."
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
    """The call may be made. `reserved` are the windows that count it, `headers` tell the limits."""

    reserved: tuple[WindowKey, ...]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The idempotency key stands for an earlier request."""

    key: StoredKey


_Item: TypeAlias = Admission | Settled
_Placed: TypeAlias = tuple[int, Admission]
"""An admission and its place in the batch."""
_Result: TypeAlias = Admitted | Duplicate | WorkbenchError | bool
"""What became of an admission; of a settlement, whether the record says what it says."""


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
        if isinstance(result, bool):
            raise TypeError("An admission was written as a settlement.")
        return result

    async def settle(self, settled: Settled) -> bool:
        """Record how a call ended; nothing happens if its end is on record already.

        Returns whether the ending on record is this one.
        """
        return await self._batches.submit(settled) is True

    async def close(self) -> None:
        """Write what was submitted, then end."""
        await self._batches.close()

    async def _write(self, session: AsyncSession, items: Sequence[_Item]) -> Sequence[_Result]:
        now = self._clock.now()
        results: dict[int, _Result] = {}
        admissions = [(place, it) for place, it in enumerate(items) if isinstance(it, Admission)]
        settled = [(place, it) for place, it in enumerate(items) if isinstance(it, Settled)]
        twins = await _claim_keys(session, admissions, results)
        await _take_turns(session, admissions, settled, results)
        ended, conversations = await _closed(session, settled, results)
        fresh = [(place, it) for place, it in admissions if place not in results]
        decisions = await self._limits.account(
            session,
            [admission.claim for _, admission in fresh],
            [it.charge for it in ended if it.charge is not None],
            now,
        )
        decided = list(zip(fresh, decisions, strict=True))
        for (place, _), decision in decided:
            results[place] = _told(decision)
        await _write_starts(session, decided)
        await _release_unused(session, admissions, results)
        await _write_ends(session, ended, conversations)
        for place, first in twins.items():
            if isinstance(results[first], WorkbenchError):
                results[place] = results[first]
        return [results[place] for place in range(len(items))]


async def _claim_keys(
    session: AsyncSession, admissions: Sequence[_Placed], results: dict[int, _Result]
) -> dict[int, int]:
    """Claim the keys; what has one already is a duplicate.

    Returns the duplicates of admissions in this very batch with the places of those: should these
    be refused, nothing of them stays on record, and the duplicates hear the same refusal.
    """
    keys, firsts = IdempotencyKeyRepository(session), dict[tuple[str, str], int]()
    twins: dict[int, int] = {}
    for place, it in sorted(admissions, key=lambda placed: _name(placed[1].key)):
        if it.key is None:
            continue
        if await keys.claim(it.key):
            firsts[_name(it.key)] = place
            continue
        stored = await keys.get(it.key.actor, it.key.key)
        results[place] = InFlight(_IN_FLIGHT) if stored is None else Duplicate(stored)
        if _name(it.key) in firsts:
            twins[place] = firsts[_name(it.key)]
    return twins


def _name(key: KeyClaim | None) -> tuple[str, str]:
    return ("", "") if key is None else (key.actor, key.key)


async def _take_turns(
    session: AsyncSession,
    admissions: Sequence[_Placed],
    settled: Sequence[tuple[int, Settled]],
    results: dict[int, _Result],
) -> None:
    """Lock the conversations of all items; refuse what is not its conversation's turn."""
    wanted = [
        (place, it.start.conversation)
        for place, it in admissions
        if place not in results and it.start.conversation is not None
    ]
    answered = {it.end.answer.conversation_id for _, it in settled if it.end.answer is not None}
    turns = await ChatCallRepository(session).lock_turns({link.id for _, link in wanted} | answered)
    taken: set[UUID] = set()
    for place, link in wanted:
        turn = turns.get(link.id)
        if turn is None:
            results[place] = NotFound("There is no such conversation.")
        elif turn.is_open or link.id in taken:
            results[place] = Conflict("An answer is under way in this conversation: wait for it.")
        elif link.next_sequence != turn.next_sequence:
            results[place] = Conflict("The conversation has gone on meanwhile: read it again.")
        else:
            taken.add(link.id)


async def _closed(
    session: AsyncSession, settled: Sequence[tuple[int, Settled]], results: dict[int, _Result]
) -> tuple[list[Settled], Mapping[UUID, UUID | None]]:
    """Mark calls as ended and return those whose end was not on record yet, each once, and their
    conversations."""
    if not settled:
        return [], {}
    calls = ChatCallRepository(session)
    firsts = {it.end.id: it for _, it in reversed(settled)}
    closed = await calls.close(it.end for it in firsts.values())
    recorded: dict[UUID, str | None] = {call_id: firsts[call_id].end.ending for call_id in closed}
    if late := firsts.keys() - closed.keys():
        recorded |= await calls.endings(late)
    results.update({place: recorded.get(it.end.id) == it.end.ending for place, it in settled})
    return [it for call_id, it in firsts.items() if call_id in closed], closed


async def _write_starts(session: AsyncSession, decided: Sequence[tuple[_Placed, Decision]]) -> None:
    """Write what is admitted, with what is reserved for it."""
    starts = [
        replace(it.start, reservation=reservation_json(it.claim, decision.reserved))
        for (_, it), decision in decided
        if decision.admitted
    ]
    if starts:
        await ChatCallRepository(session).add_starts(starts)


async def _release_unused(
    session: AsyncSession, admissions: Sequence[_Placed], results: Mapping[int, _Result]
) -> None:
    """Give the keys back that were claimed for what is refused."""
    unused = [
        it.key.id
        for place, it in admissions
        if it.key is not None and isinstance(results[place], WorkbenchError)
    ]
    if unused:
        await IdempotencyKeyRepository(session).release(unused)


async def _write_ends(
    session: AsyncSession, ended: Sequence[Settled], conversations: Mapping[UUID, UUID | None]
) -> None:
    if not ended:
        return
    await ChatCallRepository(session).add_ends([it.end for it in ended], conversations)
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
        return Admitted(decision.reserved, headers)
    return LimitReached(
        decision.reason,
        retry_after_s=decision.retry_after_s,
        budget_spent=decision.budget_spent,
        holder_kind=None if decision.refused_by is None else decision.refused_by.kind,
        headers=headers,
    )


def _headers(decision: Decision) -> dict[str, str]:
    """Return what is told of the limits.

    `x-ratelimit-*` are as OpenAI writes them: counts, and the time until a reset, `12.5s`.
    `x-workbench-limit-warning` names limits that are passed and only warn.
    """
    headers: dict[str, str] = {}
    for what, remaining in (("requests", decision.requests), ("tokens", decision.tokens)):
        if remaining is not None:
            headers[f"x-ratelimit-limit-{what}"] = str(remaining.limit)
            headers[f"x-ratelimit-remaining-{what}"] = str(remaining.remaining)
            headers[f"x-ratelimit-reset-{what}"] = f"{math.ceil(remaining.reset_s * 10) / 10:g}s"
    if decision.warnings:
        warning = " ".join(decision.warnings)
        headers["x-workbench-limit-warning"] = warning.encode("ascii", "replace").decode()
    return headers
