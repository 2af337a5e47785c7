"""One call as its caller holds it: events as they come, the result when it is settled.

The task that reads from the provider belongs to the service, and this is all that connects it with
the request of a client: it never waits for the client, so a slow or vanished one holds nothing up.
What waits to be read is bounded by the limit of a reply's bytes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from uuid import UUID

from app.core.hashing import JSON
from app.llm.types import ToolCall
from app.schemas.chat import ChatEvent, ChatResult, ServedBy

__all__ = ["ChatCall", "finished_call", "fragments", "replay"]


class ChatCall:
    """An answer under way. Read it by `result` or by `events`; tell by `leave` that nobody does.

    `served` is what answers; it is final once the first event or the result is there, because until
    then a fallback may take over. `generation_id` is None for an alias' fixed text. `limits` are
    headers.
    """

    def __init__(
        self,
        generation_id: UUID | None,
        served: ServedBy,
        limits: Mapping[str, str],
        on_leave: Callable[[], None] | None = None,
        on_return: Callable[[], None] | None = None,
    ) -> None:
        self.generation_id = generation_id
        self.served = served
        self.limits = limits
        self._on_leave = on_leave
        self._on_return = on_return
        self._waiting = 1  # who wants the answer: the call's own client, and who joined
        self._has_left = False
        self._events: deque[ChatEvent] = deque()
        self._changed = asyncio.Event()
        self._result: ChatResult | None = None
        self._error: Exception | None = None

    @property
    def is_settled(self) -> bool:
        """Whether the result, or the error, is there."""
        return self._result is not None or self._error is not None

    async def result(self) -> ChatResult:
        """Return the answer once it is on record.

        Raises the `LLMError` of the provider, `GuardRefused`, or `Unavailable` if the end could not
        be recorded.
        """
        while not self.is_settled:
            self._changed.clear()
            await self._changed.wait()
        return self._settled()

    async def events(self) -> AsyncIterator[ChatEvent]:
        """Yield the answer as it grows, then, once it is on record, one event with the result.

        Raises as `result` does, after the text that came; never ends without either.
        """
        while True:
            while self._events:
                yield self._events.popleft()
            if self.is_settled:
                break
            self._changed.clear()
            await self._changed.wait()
        yield ChatEvent(result=self._settled())

    def leave(self) -> None:
        """Say that the client is gone: once nobody else waits for the answer either, it is read on
        for a while, then cut off."""
        if not self._has_left:
            self._has_left = True
            self._events.clear()
            self.part()

    def join(self) -> None:
        """Say that somebody else waits for the answer as well, until `part`."""
        self._waiting += 1
        if self._waiting == 1 and not self.is_settled and self._on_return is not None:
            self._on_return()

    def part(self) -> None:
        """Say that somebody who joined waits no more."""
        self._waiting -= 1
        if not self._waiting and not self.is_settled and self._on_leave is not None:
            self._on_leave()

    def pass_on(self, event: ChatEvent) -> None:
        """Give an event to the reader, if there is one."""
        if not self._has_left:
            self._events.append(event)
            self._changed.set()

    def finish(self, outcome: ChatResult | Exception) -> None:
        """End with a result or an error; the first one counts."""
        if self.is_settled:
            return
        if isinstance(outcome, ChatResult):
            self._result = outcome
            self.served = outcome.served
        else:
            self._error = outcome
        self._changed.set()

    def _settled(self) -> ChatResult:
        if self._result is None:
            raise self._error or RuntimeError("The call is not settled.")
        return self._result


def finished_call(result: ChatResult) -> ChatCall:
    """Return a call that gives an answer which is there already."""
    call = ChatCall(result.generation_id, result.served, result.limits)
    replay(call, result)
    return call


def replay(call: ChatCall, result: ChatResult) -> None:
    """Let a call give a stored answer: what it says at once, then the result."""
    message = result.response.choices[0].message
    said = ChatEvent(message.text, message.reasoning or "", fragments(message.tool_calls))
    if said != ChatEvent():
        call.pass_on(said)
    call.finish(result)


def fragments(calls: Sequence[ToolCall]) -> JSON:
    """Return whole tool calls in the form in which they stream; None for none."""
    return [
        {
            "index": index,
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for index, call in enumerate(calls)
    ] or None
