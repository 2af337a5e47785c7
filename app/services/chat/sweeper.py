"""Calls whose server is gone, brought to their end.

A call without an end is lost if its server is known to have ended, if this server does not carry it
any more, or if it is older than any call may be. Nobody knows what the model did for it: its tokens
are estimated from the request, its limits are charged the worst case that was reserved.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import Abandoned
from app.core.permissions import Actor, Permission, require
from app.database import Database
from app.llm.pricing import cost
from app.llm.types import Price
from app.repositories.chat_calls import ChatCallRepository
from app.repositories.content import ContentRepository
from app.repositories.idempotency_keys import IdempotencyKeyRepository
from app.schemas.chat_calls import CallEnd, OpenCall
from app.services.chat.ledger import Ledger, Settled
from app.services.chat.outcome import estimated_usage
from app.services.chat.reservations import worst_case_of
from app.services.chat.servers import is_gone

if TYPE_CHECKING:  # the logging library costs every command a tenth of its start
    from app.core.logging import Logger

__all__ = ["Sweeper"]

_MOST: Final = 1_000
_GRACE: Final = timedelta(seconds=60)
_NEW: Final = timedelta(seconds=5)
"""How long a call of our own may be on record before it has to be among those under way."""


class Sweeper:
    """Finds lost calls and ends them. `is_carried` knows the calls of this server."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        *,
        server: str,
        longest_s: float,
        is_carried: Callable[[UUID], bool],
        logger: Logger | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._server = server
        self._oldest = timedelta(seconds=longest_s) + _GRACE
        self._is_carried = is_carried
        self._logger = logger

    async def sweep(self, actor: Actor) -> int:
        """End the calls that are lost now and return how many were ended; forget keys whose time is
        over. A call that cannot be ended is left for the next time, and the others are."""
        require(actor, Permission.CHAT_WRITE)
        async with self._database.read_session() as session:
            found = await ChatCallRepository(session).open_calls(limit=_MOST)
        now = self._clock.now()
        lost = [call for call in found if self._is_lost(call, now)]
        ended = 0
        for call in lost:
            try:
                await self._ledger.settle(_abandoned(call, now))
                ended += 1
            except Exception as error:  # whatever it is, it must not keep the others open
                if self._logger is not None:
                    self._logger.error("chat_unswept", generation=str(call.id), exc_info=error)
        async with self._database.write_session() as session:
            replies = await IdempotencyKeyRepository(session).purge(now)
            await ContentRepository(session).erase(replies, now)
            await session.commit()
        return ended

    def _is_lost(self, call: OpenCall, now: datetime) -> bool:
        if self._is_carried(call.id):
            return False
        age = now - call.started_at
        if age > self._oldest or is_gone(call.server, self._server):
            return True
        return call.server == self._server and age > _NEW


def _abandoned(call: OpenCall, now: datetime) -> Settled:
    usage = estimated_usage(call.request_bytes, 0)
    price = None if call.input_price is None else Price(None, call.input_price, Decimal(0))
    error = Abandoned("The server stopped while the answer was under way.")
    end = CallEnd(
        id=call.id,
        ending="abandoned",
        status="abandoned",
        usage=usage,
        cost=cost(usage, price),
        latency_ms=(now - call.started_at).total_seconds() * 1000,
        finished_at=now,
        attempt_count=0,
        error={"message": error.message},
        error_code=error.code,
    )
    return Settled(end, worst_case_of(call.reservation), is_lost=True)
