"""Limits of requests, tokens and money: set them, and hold every call in production to them.

The rows are the one account of all replicas: a call is admitted, and its worst case reserved, in
the transaction that records that it began, under the locks of its windows. No other store is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from app.core.clock import Clock
from app.core.errors import Invalid, NotFound
from app.core.hashing import JSON
from app.core.ids import new_id
from app.core.permissions import Actor, Permission, require
from app.core.usage_limits import (
    Claim,
    Decision,
    Holder,
    HolderKind,
    Limits,
    Settlement,
    decide,
    settle,
    window_keys,
)
from app.database import AsyncSession, Database
from app.repositories.audit import AuditRepository
from app.repositories.limits import LimitRepository
from app.schemas.aliases import parse_alias
from app.schemas.limits import LimitValues, LimitView
from app.services import audit

__all__ = ["LimitService"]

_FRESH_S: Final = 2.0
_KEPT: Final = {"minute": timedelta(hours=1), "day": timedelta(days=40)}
_PRODUCTION = "@production"


class LimitService:
    """Use cases of limits."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._limits: Mapping[Holder, Limits] = {}
        self._read_at = float("-inf")

    async def all(
        self, actor: Actor, kind: HolderKind | None = None, *, used: bool = False
    ) -> Sequence[LimitView]:
        """Return every limit, of one kind of holder if given, by name.

        With `used` each has its windows of now, those in which nothing was used left out.
        """
        require(actor, Permission.LIMIT_READ)
        async with self._database.read_session() as session:
            limits = LimitRepository(session)
            found = [
                it
                for it in await limits.all(kind)
                if _may(actor, Permission.LIMIT_READ, it.holder_kind, it.holder)
            ]
            if not used:
                return found
            by_holder = {Holder(it.holder_kind, it.holder): it.limits for it in found}
            keys = list(window_keys(tuple(by_holder), by_holder, self._clock.now()))
            windows = await limits.windows_of(keys)
        return [
            it.model_copy(
                update={"windows": tuple(windows.get(Holder(it.holder_kind, it.holder), ()))}
            )
            for it in found
        ]

    async def get(self, actor: Actor, kind: HolderKind, name: str) -> LimitView:
        """Return a holder's limits with what it used in the windows of now."""
        require(actor, Permission.LIMIT_READ)
        holder, now = Holder(kind, name), self._clock.now()
        async with self._database.read_session() as session:
            limits = LimitRepository(session)
            found = await limits.get(holder)
            if found is None or not _may(actor, Permission.LIMIT_READ, kind, name):
                raise NotFound(
                    f"The {kind} {name} has no limits.",
                    hint=f"Set them: workbench limits set {kind} {name} --requests-per-minute 60",
                )
            keys = list(window_keys([holder], {holder: found.limits}, now))
            return found.model_copy(update={"windows": tuple(await limits.windows(keys))})

    async def set(
        self, actor: Actor, kind: HolderKind, name: str, values: LimitValues
    ) -> LimitView:
        """Give a key, user or alias these limits in place of those it had.

        They hold within two seconds and count what is used from then on. Raises `Invalid` if no
        limit is named.
        """
        require(actor, Permission.LIMIT_WRITE)
        if not _may(actor, Permission.LIMIT_WRITE, kind, name):
            raise NotFound(f"There is no {kind} {name}.")
        if kind == "alias":
            parse_alias(name)
        if values.says_nothing:
            raise Invalid("Name at least one limit.", path="limits")
        holder, now = Holder(kind, name), self._clock.now()
        row: dict[str, Any] = {
            **values.model_dump(),
            "on_reach": values.on_reach or _default_on_reach(holder),
            "updated_at": now,
            "updated_by": str(actor),
        }
        async with self._database.write_session() as session:
            # Of two who set the first limits at once, the second is to see the first one's.
            await AuditRepository(session).lock()
            limits = LimitRepository(session)
            before = await limits.get(holder)
            if before is None:
                identity = {"id": new_id(), "holder_kind": kind, "holder": name}
                await limits.add({**identity, **row})
            else:
                await limits.change(holder, row)
            detail: dict[str, JSON] = {
                field: None if row[field] is None else str(row[field])
                for field in (*LimitValues.model_fields,)
            }
            await audit.record(
                session,
                self._clock,
                actor,
                "limit.set",
                "limit",
                f"{kind}:{name}"[:64],
                name,
                detail,
            )
            await session.commit()
        self._read_at = float("-inf")
        return LimitView.model_validate({**row, "holder_kind": kind, "holder": name})

    async def remove(self, actor: Actor, kind: HolderKind, name: str) -> None:
        """Take a holder's limits away; `NotFound` if it has none."""
        require(actor, Permission.LIMIT_WRITE)
        holder = Holder(kind, name)
        async with self._database.write_session() as session:
            limits = LimitRepository(session)
            found = await limits.get(holder)
            if found is None or not _may(actor, Permission.LIMIT_WRITE, kind, name):
                raise NotFound(f"The {kind} {name} has no limits.")
            await limits.remove(holder)
            await audit.record(
                session, self._clock, actor, "limit.removed", "limit", f"{kind}:{name}"[:64], name
            )
            await session.commit()
        self._read_at = float("-inf")

    async def account(
        self,
        session: AsyncSession,
        claims: Sequence[Claim],
        settlements: Sequence[Settlement],
        now: datetime,
    ) -> list[Decision]:
        """Settle calls that ended, then admit or refuse new ones, one decision for each claim.

        Part of the caller's transaction, and its only use of limits: all rows are locked at once,
        in one order. A settlement names the windows that its decision called `reserved`.
        """
        limits = await self._known_limits(session)
        wanted = {key for claim in claims for key in window_keys(claim.holders, limits, now)}
        touched = {key for it in settlements for key in it.windows}
        if not wanted and not touched:
            return [Decision(True) for _ in claims]
        repository = LimitRepository(session)
        windows = await repository.lock_windows(tuple(wanted), tuple(touched))
        for settlement in settlements:
            settle(settlement, windows)
        decisions = [decide(claim, limits, windows, now) for claim in claims]
        await repository.save_windows(windows)
        return decisions

    async def purge(self, actor: Actor) -> None:
        """Delete what was counted so long ago that nothing asks for it."""
        require(actor, Permission.LIMIT_WRITE)
        now = self._clock.now()
        async with self._database.write_session() as session:
            await LimitRepository(session).purge({span: now - age for span, age in _KEPT.items()})
            await session.commit()

    async def _known_limits(self, session: AsyncSession) -> Mapping[Holder, Limits]:
        """Return all limits, at most two seconds old: there are few, and every call asks."""
        now = self._clock.monotonic()
        if now - self._read_at > _FRESH_S:
            self._limits = await LimitRepository(session).all_limits()
            self._read_at = now
        return self._limits


def _default_on_reach(holder: Holder) -> str:
    """Users of a product in production are not to be turned away by a forgotten limit."""
    return "warn" if holder.kind == "alias" and holder.name.endswith(_PRODUCTION) else "stop"


def _may(actor: Actor, permission: Permission, kind: str, name: str) -> bool:
    """Only aliases have names that a prefix can hold; other holders need the permission whole."""
    return actor.may(permission, name) if kind == "alias" else actor.prefixes(permission) is None
