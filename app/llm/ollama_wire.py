"""Ollama's chat protocol: our request as its body, its objects as our values.

Pure, as `openai_wire` is. Ollama nests generation parameters under `options`, says `num_predict`
for our `max_tokens`, takes images as base64 beside the text, tool arguments as objects, and a
JSON schema as `format`. A stream is one object a line; the last one has `done: true`.
https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from app.core.hashing import JSON
from app.llm.answers import check_choices, malformed
from app.llm.errors import BadRequest, ParameterNotSupported, TruncatedStream
from app.llm.http_errors import ErrorContext, error_from_payload
from app.llm.parsing import (
    Object,
    finish_reason_of,
    make_usage,
    mapping,
    object_list,
    short_text,
    text_or_none,
    token_count,
    write_json,
)
from app.llm.providers import ProviderReply
from app.llm.types import (
    Choice,
    FinishReason,
    ImagePart,
    LLMRequest,
    Message,
    StreamEvent,
    ToolCall,
)

__all__ = ["StreamReader", "chat_body", "read_chat"]

_OPTION_NAMES: Mapping[str, str] = {
    "max_tokens": "num_predict",
    "max_completion_tokens": "num_predict",
}
_TOP_LEVEL: Mapping[str, str] = {
    "think": "think",
    "reasoning_effort": "think",
    "keep_alive": "keep_alive",
    "logprobs": "logprobs",
    "top_logprobs": "top_logprobs",
}
_REFUSED = frozenset({"n", "verbosity", "logit_bias"})  # Ollama would ignore them silently


def chat_body(request: LLMRequest, *, stream: bool) -> dict[str, JSON]:
    """Return the body of a chat request.

    Raises `ParameterNotSupported` for what Ollama would ignore, `BadRequest` for a message or
    response format that it cannot express.
    """
    body: dict[str, JSON] = {
        "model": request.target.provider_model,
        "messages": [_message(message) for message in request.messages],
        "stream": stream,
    }
    options: dict[str, JSON] = {}
    for name, value in request.parameters.items():
        if name in _REFUSED:
            raise ParameterNotSupported(f"Ollama has no parameter {name}.", parameter=name)
        if name in _TOP_LEVEL:
            body[_TOP_LEVEL[name]] = value
        else:
            many = [value] if name == "stop" and isinstance(value, str) else value
            options[_OPTION_NAMES.get(name, name)] = many
    if options:
        body["options"] = options
    if request.tools is not None:
        body["tools"] = request.tools
    if request.tool_choice not in (None, "auto"):
        raise BadRequest("Ollama has no tool_choice: leave it out or set it to auto.")
    if (answer_format := _format(request.response_format)) is not None:
        body["format"] = answer_format
    return body


def _message(message: Message) -> dict[str, JSON]:
    shape: dict[str, JSON] = {
        "role": "system" if message.role == "developer" else message.role,
        "content": message.text,
    }
    if not isinstance(message.content, str):
        images = [_image(p) for p in message.content or () if isinstance(p, ImagePart)]
        if images:
            shape["images"] = images
    if message.tool_calls:
        shape["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
    if message.role == "tool" and message.name is not None:
        shape["tool_name"] = message.name
    if message.reasoning is not None:
        shape["thinking"] = message.reasoning
    return shape


def _image(part: ImagePart) -> str:
    head, _, data = part.url.partition(",")
    if not (head.startswith("data:") and head.endswith(";base64")):
        raise BadRequest("Ollama takes images only as data: URLs in base64.")
    return data


def _tool_call(call: ToolCall) -> dict[str, JSON]:
    try:
        arguments = mapping(orjson.loads(call.arguments or "{}"))
    except orjson.JSONDecodeError:
        arguments = None
    if arguments is None:
        raise BadRequest(f"The arguments of the call of {call.name!r} are no JSON object.")
    return {"function": {"name": call.name, "arguments": arguments}}


def _format(response_format: JSON) -> JSON:
    """Return Ollama's `format` for OpenAI's `response_format`."""
    shape = mapping(response_format) or {}
    schema = mapping(shape.get("json_schema")) or {}
    match shape.get("type"):
        case "json_object":
            return "json"
        case "json_schema" if "schema" in schema:
            return schema["schema"]
        case None | "text":
            return None
    raise BadRequest("Ollama takes a response format of type text, json_object or json_schema.")


def read_chat(payload: Object, context: ErrorContext) -> ProviderReply:
    """Return the answer that one whole chat object carries.

    Raises `MalformedResponse` if it carries none, `ContentFiltered`, and what an error object
    tells of.
    """
    if payload.get("error"):
        raise error_from_payload(payload, _bytes(payload), context)
    message = mapping(payload.get("message"))
    if message is None:
        raise malformed("has no message", _bytes(payload), context)
    if payload.get("done") is not True:
        raise malformed("is not marked as done", _bytes(payload), context)
    return _reply(_answer(message), payload, context)


class StreamReader:
    """Reads the objects of one stream: `events` takes one, `reply` then gives the whole answer."""

    def __init__(self, context: ErrorContext) -> None:
        self._context = context
        self._content: list[str] | None = None
        self._thinking: list[str] = []
        self._tool_calls: list[ToolCall] = []
        self._logprobs: list[JSON] = []
        self._last: Object | None = None

    @property
    def done(self) -> bool:
        """Whether the terminal object came."""
        return self._last is not None and self._last.get("done") is True

    @property
    def partial_text(self) -> str:
        """The text so far."""
        return text_or_none("".join(self._content or ())) or ""

    def events(self, payload: Object) -> list[StreamEvent]:
        """Return what one object adds: one event, or none if it adds nothing."""
        self._last = payload
        shape = mapping(payload.get("message"))
        if shape is None:
            raise malformed("has an object without a message", _bytes(payload), self._context)
        piece = _answer(shape, first_call=len(self._tool_calls))
        if isinstance(piece.content, str):
            self._content = self._content if self._content is not None else []
            self._content.append(piece.content)
        self._thinking.append(piece.reasoning or "")
        self._tool_calls += piece.tool_calls
        self._logprobs += object_list(payload.get("logprobs"))
        if not (piece.text or piece.reasoning or piece.tool_calls):
            return []
        calls = object_list(shape.get("tool_calls")) or None
        return [StreamEvent(piece.text, piece.reasoning or "", calls)]

    def reply(self) -> ProviderReply:
        """Return the whole answer.

        Raises `TruncatedStream` if the terminal object did not come, `MalformedResponse` if
        nothing did.
        """
        if self._last is None:
            raise malformed("is an empty stream", b"", self._context)
        if not self.done:
            raise TruncatedStream(
                f"The stream of endpoint {self._context.endpoint!r} ended before the answer did.",
                http_status=200,
            )
        message = Message(
            "assistant",
            None if self._content is None else self.partial_text,
            tool_calls=tuple(self._tool_calls),
            reasoning="".join(self._thinking) or None,
        )
        payload = {**self._last, "logprobs": self._logprobs or None}
        return _reply(message, payload, self._context)


def _answer(shape: Object, *, first_call: int = 0) -> Message:
    calls = object_list(shape.get("tool_calls"))
    return Message(
        "assistant",
        text_or_none(shape.get("content")),
        tool_calls=tuple(_read_call(call, first_call + i) for i, call in enumerate(calls)),
        reasoning=text_or_none(shape.get("thinking")) or None,
    )


def _read_call(call: Object, number: int) -> ToolCall:
    """Return a tool call; Ollama gives it no id, so it gets its number."""
    function = mapping(call.get("function")) or {}
    arguments = write_json(function.get("arguments") or {})
    name = text_or_none(function.get("name")) or ""
    return ToolCall(short_text(call.get("id")) or f"call_{number}", name, arguments)


def _reply(message: Message, payload: Object, context: ErrorContext) -> ProviderReply:
    word = short_text(payload.get("done_reason"))
    reason = finish_reason_of(word)
    if message.tool_calls and reason is FinishReason.STOP:
        reason = FinishReason.TOOL_CALLS
    logprobs = payload.get("logprobs")
    choice = Choice(message, reason, word, {"content": logprobs} if logprobs else None)
    usage = make_usage(
        token_count(payload.get("prompt_eval_count")), token_count(payload.get("eval_count"))
    )
    check_choices((choice,), usage, _bytes(payload), context)
    return ProviderReply(
        choices=(choice,),
        usage=usage,
        reported_model=short_text(payload.get("model")),
        http_status=200,
    )


def _bytes(payload: Object) -> bytes:
    """Return a reply as text again, for the record of an error."""
    return write_json(payload).encode()
