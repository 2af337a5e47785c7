"""The chat-completions protocol: our request as its bytes, its replies as our values.

Pure: no socket, no SDK. `encode_request` writes the body, `read_completion` reads a whole reply,
and a `StreamReader` turns the payloads of an event stream into events and, at its end, into the
same kind of reply. A reply that is no answer raises `MalformedResponse`; what is only odd (usage
that makes no sense, an unknown finish reason) is taken for what it is worth.
https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson

from app.core.hashing import JSON
from app.llm.answers import check_choices, malformed
from app.llm.errors import BadRequest, TruncatedStream
from app.llm.http_errors import ErrorContext, error_from_payload
from app.llm.parsing import (
    Object,
    finish_reason_of,
    make_usage,
    mapping,
    object_list,
    read_json,
    short_text,
    text_or_none,
    token_count,
    write_json,
)
from app.llm.providers import ProviderReply
from app.llm.types import (
    NO_USAGE,
    Choice,
    LLMRequest,
    Message,
    StreamEvent,
    ToolCall,
    Usage,
)

__all__ = ["StreamReader", "encode_request", "read_completion"]

_DONE = b"[DONE]"


def encode_request(request: LLMRequest, *, stream: bool) -> bytes:
    """Return the body of a request; a stream asks for its usage too.

    Raises `BadRequest` if the request cannot be written as JSON (a lone surrogate in a text).
    """
    shape = request.request_shape
    if stream:
        shape |= {"stream": True, "stream_options": {"include_usage": True}}
    try:
        return orjson.dumps(shape)
    except TypeError as error:
        raise BadRequest(f"The request cannot be written as JSON: {error}.") from error


def read_completion(
    body: bytes, context: ErrorContext, *, header_request_id: str | None = None
) -> ProviderReply:
    """Return the reply that a `chat.completion` body carries.

    Raises `MalformedResponse` if it carries none, `ContentFiltered` if the filter took every
    choice, and the error that the body tells of if it is an error object.
    """
    payload = _read_object(body, context)
    choices = tuple(_read_choice(choice, body, context) for choice in _choices(payload))
    usage = _read_usage(payload.get("usage"))
    check_choices(choices, usage, body, context)
    return ProviderReply(
        choices=choices,
        usage=usage,
        reported_model=short_text(payload.get("model")),
        reported_fingerprint=short_text(payload.get("system_fingerprint")),
        provider_request_id=short_text(header_request_id) or short_text(payload.get("id")),
        http_status=200,
    )


def _read_object(body: bytes, context: ErrorContext) -> Object:
    """Return the JSON object of a reply; an error object raises what it says."""
    try:
        payload = mapping(read_json(body))
    except ValueError:
        payload = None
    if payload is None:
        raise malformed("is no JSON object", body, context)
    if payload.get("error"):
        raise error_from_payload(payload, body, context)
    return payload


def _choices(payload: Object) -> list[Object]:
    return object_list(payload.get("choices"))


def _read_choice(choice: Object, body: bytes, context: ErrorContext) -> Choice:
    shape = mapping(choice.get("message"))
    if shape is None:
        raise malformed("has a choice without a message", body, context)
    word = short_text(choice.get("finish_reason"))
    message = Message(
        "assistant",
        _read_content(shape.get("content")),
        tool_calls=_read_tool_calls(shape.get("tool_calls"), body, context),
        refusal=text_or_none(shape.get("refusal")),
        reasoning=_read_reasoning(shape),
    )
    return Choice(message, finish_reason_of(word), word, choice.get("logprobs"))


def _read_content(content: JSON) -> str | None:
    """Return the text of an answer; a list of parts, as some servers send it, is joined."""
    if isinstance(content, list):
        return "".join(text_or_none(part.get("text")) or "" for part in object_list(content))
    return text_or_none(content)


def _read_reasoning(shape: Object) -> str | None:
    return text_or_none(shape.get("reasoning_content")) or text_or_none(shape.get("reasoning"))


def _read_tool_calls(calls: JSON, body: bytes, context: ErrorContext) -> tuple[ToolCall, ...]:
    return tuple(
        _read_tool_call(call, number, body, context)
        for number, call in enumerate(object_list(calls))
    )


def _read_tool_call(call: Object, number: int, body: bytes, context: ErrorContext) -> ToolCall:
    function = mapping(call.get("function")) or {}
    name = text_or_none(function.get("name"))
    if not name:
        raise malformed("has a tool call without a name", body, context)
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = write_json(arguments or {})
    return ToolCall(short_text(call.get("id")) or f"call_{number}", name, arguments)


def _read_usage(shape: JSON) -> Usage:
    usage = mapping(shape)
    if usage is None:
        return NO_USAGE
    inputs = mapping(usage.get("prompt_tokens_details")) or {}
    outputs = mapping(usage.get("completion_tokens_details")) or {}
    return make_usage(
        token_count(usage.get("prompt_tokens")),
        token_count(usage.get("completion_tokens")),
        token_count(inputs.get("cached_tokens")),
        token_count(outputs.get("reasoning_tokens")),
    )


@dataclass(slots=True)
class _PartialToolCall:
    id: str | None = None
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class _PartialChoice:
    """A choice while it grows. Lists of pieces: joining once is linear."""

    content: list[str] | None = None
    reasoning: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    tool_calls: dict[int, _PartialToolCall] = field(default_factory=dict)
    logprobs: list[JSON] = field(default_factory=list)
    finish_reason: str | None = None

    def whole(self) -> Choice:
        calls = tuple(
            ToolCall(call.id or f"call_{index}", call.name, call.arguments)
            for index, call in sorted(self.tool_calls.items())
            if call.name
        )
        message = Message(
            "assistant",
            None if self.content is None else text_or_none("".join(self.content)),
            tool_calls=calls,
            refusal=text_or_none("".join(self.refusal)) or None,
            reasoning=text_or_none("".join(self.reasoning)) or None,
        )
        logprobs: JSON = {"content": self.logprobs} if self.logprobs else None
        word = self.finish_reason
        return Choice(message, finish_reason_of(word), word, logprobs)


class StreamReader:
    """Reads the payloads of one event stream.

    `events` takes one payload and yields what it adds; `done` is true after `[DONE]`; `reply`
    then gives the whole answer. Only the first choice's text is passed on while it grows.
    """

    def __init__(self, context: ErrorContext, *, header_request_id: str | None = None) -> None:
        self._context = context
        self._request_id = short_text(header_request_id)
        self._choices: dict[int, _PartialChoice] = {}
        self._usage = NO_USAGE
        self._model: str | None = None
        self._fingerprint: str | None = None
        self._last = b""
        self.done = False

    @property
    def partial_text(self) -> str:
        """The text of the first choice so far."""
        first = self._choices.get(0)
        return text_or_none("".join(first.content or ())) or "" if first else ""

    def events(self, payload: bytes) -> Iterator[StreamEvent]:
        """Yield the events of one payload.

        Raises `MalformedResponse` for what is no chunk, and the error that the payload tells of.
        """
        if self.done or not payload.strip():
            return  # nothing belongs to the answer after its end; an empty payload is a keep-alive
        self._last = payload
        if payload == _DONE:
            self.done = True
            return
        chunk = _read_object(payload, self._context)
        self._model = short_text(chunk.get("model")) or self._model
        self._fingerprint = short_text(chunk.get("system_fingerprint")) or self._fingerprint
        self._request_id = self._request_id or short_text(chunk.get("id"))
        if chunk.get("usage"):
            self._usage = _read_usage(chunk.get("usage"))
        for shape in _choices(chunk):
            index = shape.get("index")
            index = index if isinstance(index, int) else 0
            event = self._grow(self._choices.setdefault(index, _PartialChoice()), shape)
            if event is not None and index == 0:
                yield event

    def reply(self) -> ProviderReply:
        """Return the whole answer.

        Raises `TruncatedStream` if `[DONE]` or a choice's finish reason did not come,
        `MalformedResponse` if all came and said nothing.
        """
        context = self._context
        finished = all(partial.finish_reason for partial in self._choices.values())
        if not self.done or not finished:
            raise TruncatedStream(
                f"The stream of endpoint {context.endpoint!r} ended before the answer did.",
                http_status=200,
                usage=self._usage,
            )
        choices = tuple(self._choices[index].whole() for index in sorted(self._choices))
        check_choices(choices, self._usage, self._last, context)
        return ProviderReply(
            choices=choices,
            usage=self._usage,
            reported_model=self._model,
            reported_fingerprint=self._fingerprint,
            provider_request_id=self._request_id,
            http_status=200,
        )

    def _grow(self, partial: _PartialChoice, shape: Object) -> StreamEvent | None:
        partial.finish_reason = short_text(shape.get("finish_reason")) or partial.finish_reason
        partial.logprobs += object_list((mapping(shape.get("logprobs")) or {}).get("content"))
        delta = mapping(shape.get("delta")) or {}
        content, refusal = delta.get("content"), delta.get("refusal")
        if isinstance(content, str):
            # Unchecked: half a surrogate pair may wait for its other half in the next piece.
            partial.content = partial.content if partial.content is not None else []
            partial.content.append(content)
        if isinstance(refusal, str):
            partial.refusal.append(refusal)
        text, reasoning = text_or_none(content) or "", _read_reasoning(delta) or ""
        partial.reasoning.append(reasoning)
        calls = object_list(delta.get("tool_calls"))
        for call in calls:
            _grow_tool_call(partial, call)
        if not (text or reasoning or calls):
            return None
        return StreamEvent(text, reasoning, calls or None)


def _grow_tool_call(partial: _PartialChoice, shape: Object) -> None:
    index = shape.get("index")
    index = index if isinstance(index, int) else len(partial.tool_calls)
    call = partial.tool_calls.setdefault(index, _PartialToolCall())
    function = mapping(shape.get("function")) or {}
    call.id = call.id or short_text(shape.get("id"))
    call.name += text_or_none(function.get("name")) or ""
    call.arguments += text_or_none(function.get("arguments")) or ""
