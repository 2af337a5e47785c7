"""A request that comes twice with one idempotency key: the second gets the answer of the first.

An answer is given again from memory while this process carries the first call, else from the
record; a call that another server carries is waited for by asking the record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Final
from uuid import UUID

from app.core.errors import Abandoned, InFlight, KeyReused, NotFound, WorkbenchError
from app.database import Database
from app.repositories.chat_calls import ChatCallRepository
from app.schemas.aliases import is_alias
from app.schemas.chat import ChatRequest, ChatResult
from app.schemas.chat_calls import StoredCall
from app.schemas.idempotency_keys import StoredKey
from app.services.chat.call import ChatCall, replay
from app.services.chat.replays import stored_result, stored_served
from app.services.serving import ServedAlias, ServedVariant, ServingService

__all__ = ["Duplicates"]

_POLL_S: Final = 0.2
_GRACE_S: Final = 90.0  # until the sweeper has ended a call whose server is gone

Spawn = Callable[[Coroutine[None, None, None]], asyncio.Task[None]]


class Duplicates:
    """Gives answers again. `spawn` starts a task that the service keeps."""

    def __init__(
        self, database: Database, serving: ServingService, spawn: Spawn, *, longest_s: float
    ) -> None:
        self._database = database
        self._serving = serving
        self._spawn = spawn
        self._patience_s = longest_s + _GRACE_S

    async def answer(
        self, key: StoredKey, request: ChatRequest, first: ChatCall | None
    ) -> ChatCall:
        """Return a call that gives what the first request gets; `first` if it is carried here.

        Raises `KeyReused` for another request, `InFlight` if the first one is under way and the
        second does not want to wait.
        """
        if key.request_hash != request.request_hash or key.generation_id is None:
            raise KeyReused(
                "This idempotency key was used for another request: give every request its own.",
                path="Idempotency-Key",
            )
        if key.status is None and request.on_duplicate == "refuse":
            raise InFlight("The first request with this idempotency key is being answered.")
        if first is not None:
            first.join()  # its own client may leave: the answer is still wanted
            return self._following(first, partial(self._heard, first), first.part)
        stored = await self._stored(key.generation_id)
        variant, alias = await self._means(stored, request.target)
        call = ChatCall(stored.id, stored_served(stored, variant, alias), {})
        if stored.ending is not None:
            _give(call, stored_result(stored, variant, alias))
            return call
        return self._following(call, partial(self._read, stored.id, variant, alias))

    def _following(
        self,
        model: ChatCall,
        outcome: Callable[[], Awaitable[ChatResult | Exception]],
        on_end: Callable[[], None] = lambda: None,
    ) -> ChatCall:
        """Return a call that ends with an outcome that is still to come; `on_end` is called when
        it has come, or nobody waits for it any more."""

        async def follow() -> None:
            _give(call, await outcome())

        task = self._spawn(follow())
        call = ChatCall(model.generation_id, model.served, model.limits, lambda: _cancel(task))
        task.add_done_callback(lambda _: call.finish(Abandoned("Nobody waits for it any more.")))
        task.add_done_callback(lambda _: on_end())
        return call

    async def _heard(self, first: ChatCall) -> ChatResult | Exception:
        try:
            return replace(await first.result(), replayed=True)
        except Exception as error:  # whatever it is, both have to hear it
            return error

    async def _read(
        self, generation_id: UUID, variant: ServedVariant, alias: ServedAlias | None
    ) -> ChatResult | Exception:
        """Ask the record until the call of another server has ended."""
        try:
            async with asyncio.timeout(self._patience_s):
                while True:
                    await asyncio.sleep(_POLL_S)
                    stored = await self._stored(generation_id)
                    if stored.ending is not None:
                        variant = await self._serving.variant(stored.variant_id)
                        return stored_result(stored, variant, alias)
        except TimeoutError:
            return InFlight("The first request with this idempotency key is being answered.")
        except (WorkbenchError, OSError) as error:
            return error

    async def _stored(self, generation_id: UUID) -> StoredCall:
        async with self._database.read_session() as session:
            stored = await ChatCallRepository(session).stored(generation_id)
        if stored is None:
            raise NotFound("The answer to this idempotency key is not on record.")
        return stored

    async def _means(
        self, stored: StoredCall, target: str
    ) -> tuple[ServedVariant, ServedAlias | None]:
        variant = await self._serving.variant(stored.variant_id)
        return variant, await self._serving.resolve(target) if is_alias(target) else None


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


def _give(call: ChatCall, outcome: ChatResult | Exception) -> None:
    if isinstance(outcome, ChatResult):
        replay(call, outcome)
    else:
        call.finish(outcome)
