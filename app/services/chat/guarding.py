"""An alias' guards over what a caller sends, and over an answer in pieces and whole. Fails closed.

Every string that a caller sends to the model is looked at: texts may be masked; names, identifiers
and addresses, which would mean something else then, are refused instead. Only the pixels of an
inline image are not looked at: base64 of bytes that are no text.

Text of an answer is held back by the guard just as long as it takes. What has no order with the
text (reasoning, tool calls, choices besides the first) is never passed on before the answer is
whole and has passed; log probabilities repeat the text token by token and are dropped.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from app.core.guards import Guard, GuardRefused, InputGuard, OutputGuard
from app.core.hashing import JSON
from app.llm.types import (
    Choice,
    ImagePart,
    LLMResponse,
    Message,
    StreamEvent,
    TextPart,
    ToolCall,
)
from app.schemas.chat import ChatEvent, ChatRequest
from app.services.chat.call import fragments

__all__ = ["AnswerGuard", "guard_request"]

_TURN_S: Final = 0.005
"""How long texts are looked at before others have their turn."""

_INLINE_IMAGE: Final = re.compile(
    r"(?P<head>data:image/[a-z0-9.+-]+;base64),[A-Za-z0-9+/]*={0,2}", re.IGNORECASE
)


async def guard_request(
    request: ChatRequest, guards: Sequence[Guard]
) -> tuple[ChatRequest, set[str]]:
    """Return a request whose texts may go to the model, and a flag for each guard that masked.

    Raises `GuardRefused` with the field's path. Others have their turn between the texts.
    """
    if not guards:
        return request, set()
    checker = _RequestGuard(guards)
    checked = replace(
        request,
        messages=tuple(
            [
                await checker.message(message, f"messages[{number}]")
                for number, message in enumerate(request.messages)
            ]
        ),
        variables=await checker.mapping(request.variables, "variables"),
        parameters=await checker.mapping(request.parameters, "parameters"),
        tools=await checker.json(request.tools, "tools"),
        tool_choice=await checker.json(request.tool_choice, "tool_choice"),
        response_format=await checker.json(request.response_format, "response_format"),
    )
    return checked, checker.flags


class _RequestGuard:
    """Checks texts and remembers which guards masked something."""

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._guards = [(guard.name, InputGuard([guard])) for guard in guards]
        self._since = time.monotonic()
        self.flags: set[str] = set()

    async def text(self, text: str, path: str) -> str:
        """Return a text with what has to be masked."""
        for name, guard in self._guards:
            await self._let_others()
            checked = guard.check(text, path=path)
            if checked.masked:
                self.flags.add(f"masked:{name}")
            text = checked.text
        return text

    async def name(self, text: str, path: str) -> str:
        """Return a text that means nothing with a mask in it: one that needs a mask is refused."""
        for name, guard in self._guards:
            await self._let_others()
            if guard.check(text, path=path).masked:
                told = f"A name or an address holds what must not be in it (guard {name})."
                raise GuardRefused(told, name, path=path)
        return text

    async def json(self, value: JSON, path: str) -> JSON:
        if isinstance(value, str):
            return await self.text(value, path)
        if isinstance(value, Mapping):
            return await self.mapping(value, path)
        if isinstance(value, Sequence):
            return [await self.json(item, f"{path}[{n}]") for n, item in enumerate(value)]
        return value

    async def mapping(self, values: Mapping[str, JSON], path: str) -> dict[str, JSON]:
        return {
            await self.name(key, path): await self.json(item, f"{path}.{key}")
            for key, item in values.items()
        }

    async def message(self, message: Message, path: str) -> Message:
        content = message.content
        if isinstance(content, str):
            content = await self.text(content, f"{path}.content")
        elif content is not None:
            parts = [
                await self._part(part, f"{path}.content[{number}]")
                for number, part in enumerate(content)
            ]
            content = tuple(parts)
        calls = [
            await self._call(call, f"{path}.tool_calls[{number}]")
            for number, call in enumerate(message.tool_calls)
        ]
        return Message(
            message.role,
            content,
            await self._if_any(self.name, message.name, f"{path}.name"),
            tuple(calls),
            await self._if_any(self.name, message.tool_call_id, f"{path}.tool_call_id"),
            await self._if_any(self.text, message.refusal, f"{path}.refusal"),
            await self._if_any(self.text, message.reasoning, f"{path}.reasoning"),
        )

    async def _if_any(
        self, check: Callable[[str, str], Awaitable[str]], text: str | None, path: str
    ) -> str | None:
        return None if text is None else await check(text, path)

    async def _part(self, part: TextPart | ImagePart, path: str) -> TextPart | ImagePart:
        if isinstance(part, TextPart):
            return TextPart(await self.text(part.text, f"{path}.text"))
        inline = _INLINE_IMAGE.fullmatch(part.url)
        await self.name(part.url if inline is None else inline["head"], f"{path}.image_url")
        return ImagePart(
            part.url, await self._if_any(self.name, part.detail, f"{path}.image_url.detail")
        )

    async def _call(self, call: ToolCall, path: str) -> ToolCall:
        return ToolCall(
            await self.name(call.id, f"{path}.id"),
            await self.name(call.name, f"{path}.function.name"),
            await self.text(call.arguments, f"{path}.function.arguments"),
        )

    async def _let_others(self) -> None:
        """Give way if a turn has lasted long; one guard and one text are never cut in two."""
        if time.monotonic() - self._since > _TURN_S:
            await asyncio.sleep(0)
            self._since = time.monotonic()


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
