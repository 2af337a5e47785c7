"""An alias' guards over what a caller sends, and over an answer in pieces and whole. Fails closed.

Text of an answer is held back by the guard just as long as it takes. What has no order with the
text (reasoning, tool calls, choices besides the first) is never passed on before the answer is
whole and has passed; log probabilities repeat the text token by token and are dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from app.core.guards import Guard, InputGuard, OutputGuard
from app.core.hashing import JSON
from app.llm.types import Choice, LLMResponse, Message, StreamEvent, TextPart, ToolCall
from app.schemas.chat import ChatEvent, ChatRequest
from app.services.chat.call import fragments

__all__ = ["AnswerGuard", "guard_request"]


def guard_request(request: ChatRequest, guards: Sequence[Guard]) -> tuple[ChatRequest, set[str]]:
    """Return a request whose texts may go to the model, and a flag for each guard that masked.

    Raises `GuardRefused` with the field's path.
    """
    if not guards:
        return request, set()
    checker = _RequestGuard(guards)
    checked = replace(
        request,
        messages=tuple(
            checker.message(message, f"messages[{number}]")
            for number, message in enumerate(request.messages)
        ),
        variables={
            name: checker.json(value, f"variables.{name}")
            for name, value in request.variables.items()
        },
    )
    return checked, checker.flags


class _RequestGuard:
    """Checks texts and remembers which guards masked something."""

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._guard = InputGuard(guards)
        self.flags: set[str] = set()

    def text(self, text: str, path: str) -> str:
        checked = self._guard.check(text, path=path)
        self.flags.update(f"masked:{name}" for name in checked.masked)
        return checked.text

    def json(self, value: JSON, path: str) -> JSON:
        if isinstance(value, str):
            return self.text(value, path)
        if isinstance(value, Mapping):
            return {key: self.json(item, f"{path}.{key}") for key, item in value.items()}
        if isinstance(value, Sequence):
            return [self.json(item, f"{path}[{n}]") for n, item in enumerate(value)]
        return value

    def message(self, message: Message, path: str) -> Message:
        content = message.content
        if isinstance(content, str):
            content = self.text(content, f"{path}.content")
        elif content is not None:
            content = tuple(
                TextPart(self.text(part.text, f"{path}.content"))
                if isinstance(part, TextPart)
                else part
                for part in content
            )
        calls = tuple(
            replace(call, arguments=self.text(call.arguments, f"{path}.tool_calls"))
            for call in message.tool_calls
        )
        return replace(message, content=content, tool_calls=calls)


class AnswerGuard:
    """Lets pass what may leave of one answer; without guards that is everything."""

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._guards = tuple(guards)
        self._stream = OutputGuard(self._guards) if self._guards else None
        self._passed: list[str] = []

    def feed(self, event: StreamEvent) -> ChatEvent | None:
        """Return what may be passed on now; None for nothing. Raises `GuardRefused`."""
        if self._stream is None:
            return ChatEvent(event.text, event.reasoning, event.tool_call_delta)
        text = self._stream.feed(event.text) if event.text else ""
        self._passed.append(text)
        return ChatEvent(text) if text else None

    def finish(self, response: LLMResponse) -> tuple[LLMResponse, ChatEvent | None]:
        """Return the answer as it may be seen, and the event that was still held back.

        Raises `GuardRefused`.
        """
        if self._stream is None:
            return response, None
        tail = self._stream.finish()
        self._passed.append(tail)
        first, *others = response.choices
        streamed = "".join(self._passed)
        checked = self._choice(first)
        if streamed:
            checked = replace(checked, message=replace(checked.message, content=streamed))
        message = checked.message
        late = ChatEvent(tail, message.reasoning or "", fragments(message.tool_calls))
        seen = replace(response, choices=(checked, *map(self._choice, others)))
        return seen, late if late != ChatEvent() else None

    def whole(self, response: LLMResponse) -> LLMResponse:
        """Return an answer that was not streamed as it may be seen. Raises `GuardRefused`."""
        if self._stream is None:
            return response
        return replace(response, choices=tuple(map(self._choice, response.choices)))

    def _choice(self, choice: Choice) -> Choice:
        message = choice.message
        content = message.content
        seen = Message(
            message.role,
            None if content is None else self._text(message.text),
            message.name,
            tuple(
                ToolCall(call.id, call.name, self._text(call.arguments))
                for call in message.tool_calls
            ),
            message.tool_call_id,
            None if message.refusal is None else self._text(message.refusal),
            None if message.reasoning is None else self._text(message.reasoning),
        )
        return replace(choice, message=seen, logprobs=None)

    def _text(self, text: str) -> str:
        guard = OutputGuard(self._guards)
        return guard.feed(text) + guard.finish()
