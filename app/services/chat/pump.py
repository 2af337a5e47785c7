"""The task that makes one call and sees it to its end, whoever is still listening.

It belongs to the service and not to the request of a client, so nothing that happens to the client
can keep the call from being settled. Its life: admission, the targets one after the other until one
answers, settlement. No database session is held while it waits for a model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from app.core.errors import Abandoned, LimitReached, Unavailable, WorkbenchError
from app.core.guards import Guard, GuardRefused
from app.llm.errors import LLMError, Timeout
from app.schemas.chat import ChatEnding, ChatResult
from app.services.chat.asking import Asking
from app.services.chat.call import ChatCall
from app.services.chat.ledger import Admission, Admitted, Duplicate
from app.services.chat.outcome import Ending, ending_of_answer, ending_of_cut, ending_of_error
from app.services.chat.preparation import Try
from app.services.chat.settlement import ended_chat, result_of, settlement
from app.services.chat.tools import ChatTools

__all__ = ["Pump"]

_PATIENCE_S: Final = (0.05, 0.2, 1.0, 4.0, 10.0, 15.0)
"""Pauses between tries to settle a call while the database does not answer."""

_STOPPED: Final = "The server stopped while the answer was under way."
_SWEPT: Final = "This server was taken for lost, and the answer is on record as abandoned."
_LEFT: Final = "Its client left, and the call was cut off before the end of the answer."


class Pump:
    """Makes one call. `admitted` is set as soon as it is known whether it may be made."""

    def __init__(
        self,
        tools: ChatTools,
        admission: Admission,
        tries: Sequence[Try],
        guards: Sequence[Guard],
        deadline_s: float,
    ) -> None:
        self.call = ChatCall(admission.start.id, tries[0].served, {}, self.leave, self.rejoin)
        self.admitted: asyncio.Future[Admitted | Duplicate] = (
            asyncio.get_running_loop().create_future()
        )
        self.admitted.add_done_callback(_looked_at)
        self._tools = tools
        self._admission = admission
        self._asking = Asking(tools, self.call, tries, guards, stream=admission.start.is_stream)
        self._deadline_s = deadline_s
        self._time: asyncio.Timeout | None = None  # while the model is asked
        self._ends_at: float | None = None  # when that time is over if nobody hurries
        self._has_left = self._is_drained = self._has_stopped = False

    @property
    def id(self) -> UUID:
        return self._admission.start.id

    def wait_s(self) -> float:
        """Return in how many seconds one of the targets may be called; 0 for now."""
        return self._asking.wait_s()

    def leave(self) -> None:
        """The client is gone: read on for a while, if there is room for that, then cut off."""
        if not self._has_left:
            self._has_left = True
            self._is_drained = self._tools.drains.enter()
            self._hurry()

    def rejoin(self) -> None:
        """Somebody wants the answer again: unless it is cut off already, it gets all its time."""
        if not self._has_left or (self._time is not None and self._time.expired()):
            return
        self._has_left = False
        if self._is_drained:
            self._is_drained = False
            self._tools.drains.leave()
        if self._time is not None and not self._has_stopped:
            self._time.reschedule(self._ends_at)

    def abandon(self) -> None:
        """The server stops: cut off now."""
        self._has_stopped = True
        self._hurry()

    async def run(self) -> None:
        """See the call to its end; raises nothing."""
        try:
            admitted = await self._admit()
            if admitted is not None:
                await self._see_through(admitted)
        finally:
            if self._is_drained:
                self._tools.drains.leave()
            self.call.finish(Abandoned(_STOPPED))

    async def _admit(self) -> Admitted | None:
        try:
            admitted = await self._tools.ledger.admit(self._admission)
        except Exception as error:  # whatever it is, the caller of `begin` has to hear it
            self._tell_refused(error)
            self.admitted.set_exception(error)
            self.call.finish(error)
            return None
        if isinstance(admitted, Admitted):
            self.call.limits = admitted.headers
        self.admitted.set_result(admitted)
        return admitted if isinstance(admitted, Admitted) else None

    async def _see_through(self, admitted: Admitted) -> None:
        observer = self._tools.observer
        if observer is not None:
            observer.chat_began()
        ending = await self._ask()
        outcome = await self._settle(ending, admitted)
        if observer is not None:
            observer.chat_ended(ended_chat(self._asking, ending))
        self.call.finish(outcome)

    async def _ask(self) -> Ending:
        """Ask the targets within the call's time; return how that ended."""
        asking = self._asking
        try:
            async with asyncio.timeout(self._deadline_s) as self._time:
                self._ends_at = self._time.when()
                self._hurry()
                response = await asking.answer()
            size = asking.current.request_bytes
            return ending_of_answer(response, size, client_gone=self._has_left)
        except Exception as error:  # not even a mistake of ours may leave a call without an end
            if isinstance(error, TimeoutError) and self._time is not None and self._time.expired():
                return self._cut()
            if not isinstance(error, (LLMError, GuardRefused)):
                self._log("chat_failed", error)
            return ending_of_error(
                error,
                asking.current.request_bytes,
                asking.received,
                reported=asking.reported_usage,
            )
        finally:
            self._time = None

    def _hurry(self) -> None:
        """Bring the end of the call's time forward if its client is gone or the server stops."""
        time = self._time
        if time is None or time.expired() or not (self._has_left or self._has_stopped):
            return
        now = asyncio.get_running_loop().time()
        is_cut = self._has_stopped or not self._is_drained
        until = now if is_cut else now + self._tools.drain_s
        before = time.when()
        time.reschedule(until if before is None else min(before, until))

    def _cut(self) -> Ending:
        """Return the ending of a call whose time is over, for whatever reason it is."""
        ending: ChatEnding
        error: LLMError | WorkbenchError
        if self._has_stopped:
            ending, error = "abandoned", Abandoned(_STOPPED)
        elif self._has_left:
            ending, error = "client_gone", Abandoned(_LEFT)
        else:
            ending = "timeout"
            error = Timeout(f"The answer took longer than {self._deadline_s:g} s in all.")
        asking = self._asking
        return ending_of_cut(
            ending,
            error,
            asking.current.request_bytes,
            asking.received,
            was_sent=bool(asking.attempts),
        )

    async def _settle(self, ending: Ending, admitted: Admitted) -> ChatResult | Exception:
        """Put the end on record and return what the caller gets."""
        settled = settlement(
            self._admission, admitted, self._asking, ending, self._tools.clock.now()
        )
        for pause in (*_PATIENCE_S, None):
            try:
                if not await self._tools.ledger.settle(settled):
                    return Abandoned(_SWEPT)
                break
            except Exception as error:  # whatever it is, the call has to end for its caller
                self._log("chat_unsettled", error)
                if pause is None or self._has_stopped:
                    return Unavailable("The answer could not be recorded: ask again later.")
                await asyncio.sleep(pause)
        if ending.response is None:
            return ending.error or RuntimeError("The call ended without an answer.")
        return result_of(self._admission, admitted, self._asking, ending, ending.response)

    def _tell_refused(self, error: Exception) -> None:
        if not isinstance(error, LimitReached) or error.holder_kind is None:
            return
        if self._tools.observer is not None:
            self._tools.observer.limit_refused(error.holder_kind, budget_spent=error.budget_spent)

    def _log(self, event: str, error: Exception) -> None:
        if self._tools.logger is not None:
            self._tools.logger.error(event, generation=str(self.id), exc_info=error)


def _looked_at(future: asyncio.Future[Admitted | Duplicate]) -> None:
    """Take note of an error that nobody waits for any more."""
    if not future.cancelled():
        future.exception()
