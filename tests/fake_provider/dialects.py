"""How the two protocols put an answer, a stream and an error into JSON.

OpenAI: https://platform.openai.com/docs/api-reference/chat (server-sent events, `[DONE]` at the
end, usage in an event of its own with `choices: []` and only on request). Ollama:
https://github.com/ollama/ollama/blob/main/docs/api.md (newline-delimited JSON, counts and
durations in the last object). Both are stateless; a `Dialect` is the one place that knows the
shape of its protocol.
"""

import json
from typing import ClassVar, Literal, NamedTuple, Protocol

import orjson

from tests.fake_provider.answers import Answer, Chat, Payload, tokens

__all__ = [
    "CREATED",
    "CREATED_TEXT",
    "Dialect",
    "ErrorBody",
    "Ollama",
    "OpenAI",
    "Reported",
    "encode",
]

CREATED = 1_750_000_000
"""Every answer's creation time (Unix seconds): fixed, so that equal requests get equal bytes."""

CREATED_TEXT = "2025-06-15T15:06:40Z"
"""The same time as Ollama writes it."""
_NANOSECONDS_PER_TOKEN = 1_000_000
_LOGPROB = -0.5


class Reported(NamedTuple):
    """What the provider says about itself in an answer."""

    response_id: str
    model: str
    fingerprint: str


class ErrorBody(NamedTuple):
    """An error in OpenAI's words; Ollama sends the message only."""

    message: str
    type: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None


class Dialect(Protocol):
    """One protocol. `padding` is a (start, end) between which any spaces may stand before a body,
    for plain replies and for streams."""

    name: ClassVar[Literal["openai", "ollama"]]
    stream_type: ClassVar[str]
    stream_end: ClassVar[bytes]
    stream_by_default: ClassVar[bool]
    stream_padding: ClassVar[tuple[bytes, bytes]]

    def plain(self, chat: Chat, answer: Answer, reported: Reported) -> Payload:
        """Return the whole answer as one object."""

    def frames(self, chat: Chat, answer: Answer, reported: Reported) -> list[Payload]:
        """Return the answer as the objects of a stream."""

    def finishes(self, payload: Payload) -> bool:
        """Say whether this object of a stream carries the finish reason."""

    def frame(self, payload: Payload) -> bytes:
        """Return one object of a stream as it is sent."""

    def error(self, error: ErrorBody) -> Payload:
        """Return the body of an error."""


def encode(payload: Payload) -> bytes:
    """Return the payload as JSON; lone surrogates, which orjson refuses, become escapes."""
    try:
        return orjson.dumps(payload)
    except TypeError:
        return json.dumps(payload).encode("ascii")


class OpenAI:
    """The chat completions protocol."""

    name: ClassVar[Literal["openai", "ollama"]] = "openai"
    stream_type: ClassVar[str] = "text/event-stream"
    stream_end: ClassVar[bytes] = b"data: [DONE]\n\n"
    stream_by_default: ClassVar[bool] = False
    # A line that starts with a colon is a comment.
    stream_padding: ClassVar[tuple[bytes, bytes]] = (b":", b"\n\n")

    def plain(self, chat: Chat, answer: Answer, reported: Reported) -> Payload:
        """Return a `chat.completion`; `n` choices if asked, all alike."""
        choice = {
            "message": _openai_message(answer),
            "finish_reason": answer.finish_reason,
            "logprobs": _logprobs(tokens(answer.content or "")) if _wants_logprobs(chat) else None,
        }
        payload: Payload = {
            "id": reported.response_id,
            "object": "chat.completion",
            "created": CREATED,
            "model": reported.model,
            "system_fingerprint": reported.fingerprint,
            "choices": [{"index": index, **choice} for index in range(_choice_count(chat))],
        }
        if answer.usage:
            payload["usage"] = _openai_usage(answer)
        return payload

    def frames(self, chat: Chat, answer: Answer, reported: Reported) -> list[Payload]:
        """Return `chat.completion.chunk` objects: role, one per token, finish reason, usage."""
        with_usage = _wants_stream_usage(chat) and answer.usage is not None
        common: Payload = {
            "id": reported.response_id,
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": reported.model,
            "system_fingerprint": reported.fingerprint,
        }
        if with_usage:
            common["usage"] = None
        deltas = _openai_deltas(chat, answer)
        deltas.append({"delta": {}, "finish_reason": answer.finish_reason})
        payloads: list[Payload] = [
            {**common, "choices": [{"index": index, **delta}]}
            for delta in deltas
            for index in range(_choice_count(chat))
        ]
        if with_usage:
            payloads.append({**common, "choices": [], "usage": _openai_usage(answer)})
        return payloads

    def finishes(self, payload: Payload) -> bool:
        """Say whether a choice in this chunk has a finish reason."""
        choices = payload["choices"]
        return isinstance(choices, list) and any(choice["finish_reason"] for choice in choices)

    def frame(self, payload: Payload) -> bytes:
        """Return one server-sent event."""
        return b"data: " + encode(payload) + b"\n\n"

    def error(self, error: ErrorBody) -> Payload:
        """Return the error object with its four fields."""
        return {"error": error._asdict()}


def _openai_message(answer: Answer) -> Payload:
    message: Payload = {"role": "assistant", "content": answer.content, "refusal": answer.refusal}
    if answer.tool_call:
        message["tool_calls"] = [_tool_call(answer.tool_call.name, answer.tool_call.arguments)]
    return message


def _openai_deltas(chat: Chat, answer: Answer) -> list[Payload]:
    """Return the deltas before the finish reason, each with a null finish reason."""
    first: Payload = {"role": "assistant", "content": None if answer.content is None else ""}
    deltas: list[Payload] = [{"delta": first, "finish_reason": None}]
    for token in tokens(answer.content or ""):
        delta: Payload = {"delta": {"content": token}, "finish_reason": None}
        if _wants_logprobs(chat):
            delta["logprobs"] = _logprobs([token])
        deltas.append(delta)
    for token in tokens(answer.refusal or ""):
        deltas.append({"delta": {"refusal": token}, "finish_reason": None})
    if answer.tool_call:
        opening = {"index": 0, **_tool_call(answer.tool_call.name, "")}
        deltas.append({"delta": {"tool_calls": [opening]}, "finish_reason": None})
        for token in tokens(answer.tool_call.arguments):
            part = {"index": 0, "function": {"arguments": token}}
            deltas.append({"delta": {"tool_calls": [part]}, "finish_reason": None})
    return deltas


def _tool_call(name: str, arguments: str) -> Payload:
    return {
        "id": "call_0",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def _openai_usage(answer: Answer) -> Payload | None:
    if answer.usage is None:
        return None
    return {
        "prompt_tokens": answer.usage.prompt,
        "completion_tokens": answer.usage.completion,
        "total_tokens": answer.usage.total,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _logprobs(pieces: list[str]) -> Payload:
    """Return the same log probability (natural logarithm) for every token."""
    return {"content": [_logprob(piece) for piece in pieces], "refusal": None}


def _logprob(piece: str) -> Payload:
    data = list(piece.encode("utf-8", "surrogatepass"))
    return {"token": piece, "logprob": _LOGPROB, "bytes": data, "top_logprobs": []}


def _wants_logprobs(chat: Chat) -> bool:
    return chat.body.get("logprobs") is True


def _wants_stream_usage(chat: Chat) -> bool:
    options = chat.body.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _choice_count(chat: Chat) -> int:
    count = chat.body.get("n")
    return count if isinstance(count, int) and 1 <= count <= 128 else 1


class Ollama:
    """The `/api/chat` protocol."""

    name: ClassVar[Literal["openai", "ollama"]] = "ollama"
    stream_type: ClassVar[str] = "application/x-ndjson"
    stream_end: ClassVar[bytes] = b""
    stream_by_default: ClassVar[bool] = True
    stream_padding: ClassVar[tuple[bytes, bytes]] = (b"", b"")

    def plain(self, chat: Chat, answer: Answer, reported: Reported) -> Payload:
        """Return the answer with its counts and its durations in nanoseconds."""
        return {
            "model": reported.model,
            "created_at": CREATED_TEXT,
            "message": _ollama_message(answer, answer.content),
            "done": True,
            "done_reason": answer.finish_reason,
            **_ollama_counts(answer),
        }

    def frames(self, chat: Chat, answer: Answer, reported: Reported) -> list[Payload]:
        """Return one object per token, then one that is done, with an empty message."""
        common: Payload = {"model": reported.model, "created_at": CREATED_TEXT}
        payloads: list[Payload] = [
            {**common, "message": {"role": "assistant", "content": token}, "done": False}
            for token in tokens(answer.content or "")
        ]
        last = "" if answer.content is not None else None
        payloads.append(
            {**self.plain(chat, answer, reported), "message": _ollama_message(answer, last)}
        )
        return payloads

    def finishes(self, payload: Payload) -> bool:
        """Say whether this is the object that is done."""
        return payload["done"] is True

    def frame(self, payload: Payload) -> bytes:
        """Return one line."""
        return encode(payload) + b"\n"

    def error(self, error: ErrorBody) -> Payload:
        """Return the message alone."""
        return {"error": error.message}


def _ollama_message(answer: Answer, content: str | None) -> Payload:
    message: Payload = {"role": "assistant", "content": content}
    if answer.tool_call:
        arguments: object = orjson.loads(answer.tool_call.arguments)
        function = {"name": answer.tool_call.name, "arguments": arguments}
        message["tool_calls"] = [{"function": function}]
    return message


def _ollama_counts(answer: Answer) -> Payload:
    if answer.usage is None:
        return {}
    prompt, completion = answer.usage.prompt, answer.usage.completion
    counts: Payload = {"prompt_eval_count": prompt, "eval_count": completion}
    if isinstance(prompt, int) and isinstance(completion, int):
        counts["prompt_eval_duration"] = abs(prompt) * _NANOSECONDS_PER_TOKEN
        counts["eval_duration"] = abs(completion) * _NANOSECONDS_PER_TOKEN
        counts["load_duration"] = _NANOSECONDS_PER_TOKEN
        counts["total_duration"] = (1 + abs(prompt) + abs(completion)) * _NANOSECONDS_PER_TOKEN
    return counts
