"""Answers in the shapes that OpenAI's clients read: a whole completion, and the chunks of a stream.

Every chunk of a stream has the same `id`, `created` and `model`, and always `choices`. A choice
begins with a delta of its role, grows, and ends with an empty delta that has the finish reason.
What of a message did not grow (choices besides the first, refusals, log probabilities) comes whole
before the end: the stream carries everything that the plain answer does. With `include_usage` each
chunk has `usage: null` and one more, without choices, has the usage; without it no chunk is without
choices, because many clients read the first choice of every chunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import orjson

from app.core.hashing import JSON
from app.core.lifecycle import lifecycle_headers
from app.llm.types import Choice, FinishReason, Message, Usage
from app.schemas.chat import ChatEvent, ChatResult, ServedBy

__all__ = ["DONE", "ChunkWriter", "completion", "completion_id", "served_headers", "sse"]

DONE: Final = b"data: [DONE]\n\n"


def sse(payload: Mapping[str, JSON]) -> bytes:
    """Return one event of a stream."""
    return b"data: " + orjson.dumps(payload) + b"\n\n"


def completion_id(generation_id: UUID | None, request_id: str) -> str:
    """Return the id of an answer: its generation's, or for the text of a disabled alias, of which
    there is none, the request's."""
    return f"chatcmpl-{generation_id.hex if generation_id is not None else request_id}"


def completion(result: ChatResult, request_id: str) -> dict[str, JSON]:
    """Return a whole answer."""
    response = result.response
    return {
        "id": completion_id(result.generation_id, request_id),
        "object": "chat.completion",
        "created": int(result.created_at.timestamp()),
        "model": result.served.model,
        "choices": [_choice(index, choice) for index, choice in enumerate(response.choices)],
        "usage": _usage(response.usage),
        "system_fingerprint": response.reported_fingerprint,
    }


class ChunkWriter:
    """Writes the events of one answer as chunks; `created_at` is when it began."""

    def __init__(
        self, answer_id: str, created_at: datetime, model: str, *, include_usage: bool
    ) -> None:
        self._shape: dict[str, JSON] = {
            "id": answer_id,
            "object": "chat.completion.chunk",
            "created": int(created_at.timestamp()),
            "model": model,
        }
        self._usage: dict[str, JSON] = {"usage": None} if include_usage else {}
        self._include_usage = include_usage
        self._grown: dict[int, set[str]] = {}  # by choice, which parts of its message came

    def write(self, event: ChatEvent) -> bytes:
        """Return the chunks of an event; those of the one with the result end the stream."""
        if event.result is not None:
            return b"".join(self._end(event.result))
        delta = _delta(event.text, event.reasoning, event.tool_call_delta)
        return b"".join(self._grow(event.index, delta))

    def _grow(self, index: int, delta: Mapping[str, JSON]) -> Iterator[bytes]:
        if index not in self._grown:
            self._grown[index] = set()
            yield self._chunk(index, {"role": "assistant", "content": ""})
        if delta:
            self._grown[index].update(delta)
            yield self._chunk(index, delta)

    def _end(self, result: ChatResult) -> Iterator[bytes]:
        for index, choice in enumerate(result.response.choices):
            grown = self._grown.get(index, ())
            whole = _whole_delta(choice.message)
            yield from self._grow(index, {n: part for n, part in whole.items() if n not in grown})
            yield self._chunk(index, {}, _finish_reason(choice), choice.logprobs)
        if self._include_usage:
            usage = _usage(result.response.usage)
            yield sse({**self._shape, "choices": [], "usage": usage})
        yield DONE

    def _chunk(
        self,
        index: int,
        delta: Mapping[str, JSON],
        finish_reason: str | None = None,
        logprobs: JSON = None,
    ) -> bytes:
        choice: dict[str, JSON] = {
            "index": index,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": finish_reason,
        }
        return sse({**self._shape, "choices": [choice], **self._usage})


def _delta(text: str, reasoning: str, tool_calls: JSON) -> dict[str, JSON]:
    delta: dict[str, JSON] = {}
    if text:
        delta["content"] = text
    if reasoning:
        delta["reasoning_content"] = reasoning
    if tool_calls:
        delta["tool_calls"] = tool_calls
    return delta


def _whole_delta(message: Message) -> dict[str, JSON]:
    calls: list[JSON] = [
        {"index": index, **shape} for index, shape in enumerate(_tool_calls(message))
    ]
    delta = _delta(message.text, message.reasoning or "", calls)
    if message.refusal is not None:
        delta["refusal"] = message.refusal
    return delta


def _choice(index: int, choice: Choice) -> dict[str, JSON]:
    message = choice.message
    shape: dict[str, JSON] = {
        "role": "assistant",
        "content": message.text if message.content is not None else None,
        "refusal": message.refusal,
    }
    if message.reasoning is not None:
        shape["reasoning_content"] = message.reasoning
    if message.tool_calls:
        shape["tool_calls"] = _tool_calls(message)
    return {
        "index": index,
        "message": shape,
        "logprobs": choice.logprobs,
        "finish_reason": _finish_reason(choice),
    }


def _tool_calls(message: Message) -> Sequence[Mapping[str, JSON]]:
    return [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in message.tool_calls
    ]


def _finish_reason(choice: Choice) -> str:
    """Return a word that OpenAI's clients know; typed ones fail at any other."""
    if choice.finish_reason is not FinishReason.OTHER:
        return choice.finish_reason.value
    return "tool_calls" if choice.message.tool_calls else "stop"


def _usage(usage: Usage) -> dict[str, JSON] | None:
    """Return the usage, None if it is not known: a zero would say that nothing was used."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    shape: dict[str, JSON] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    if usage.cached_input_tokens is not None:
        shape["prompt_tokens_details"] = {"cached_tokens": usage.cached_input_tokens}
    if usage.reasoning_tokens is not None:
        shape["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return shape


def served_headers(served: ServedBy, generation_id: UUID | None) -> dict[str, str]:
    """Return the headers that say what answered, and until when it will."""
    headers: dict[str, str] = {
        "x-workbench-variant": served.variant_hash,
        "x-workbench-prompt": served.prompt,
        "x-workbench-model": served.model,
        "x-workbench-exact": "true" if served.is_exact else "false",
    }
    if generation_id is not None:
        headers["x-workbench-generation"] = str(generation_id)
    if served.alias is not None:
        headers["x-workbench-alias"] = served.alias
    if served.deployment_number is not None:
        headers["x-workbench-deployment"] = str(served.deployment_number)
    if served.role is not None:
        headers["x-workbench-role"] = served.role
    if served.ignored:
        headers["x-workbench-ignored"] = ", ".join(served.ignored)
    return {
        **headers,
        **lifecycle_headers(served.deprecated_at, served.sunset_at, served.successor),
    }
