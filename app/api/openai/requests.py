"""A chat-completions request as our `ChatRequest`.

Hand-written instead of a model of pydantic: this runs for every request in production, most of it
is passed on as it came, and each refusal names the field in the words of OpenAI's protocol. What
the values mean (bounds of parameters, which of them an alias lets callers override, sizes of texts)
is decided by the service, which refuses in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import orjson

from app.api.openai.fields import EXTENSIONS, FIELDS, Handling
from app.core.errors import Invalid
from app.core.hashing import JSON, content_hash
from app.core.parameters import PARAMETER_NAMES
from app.llm.types import ImagePart, Message, Role, TextPart, ToolCall
from app.schemas.chat import ChatRequest

__all__ = ["CompletionRequest", "parse_completion_request"]

Object: TypeAlias = Mapping[str, JSON]

_MOST_TAGS: Final = 16
_LONGEST_TAG_KEY: Final = 64
_LONGEST_TAG: Final = 512
_LONGEST_TARGET: Final = 300
_LONGEST_SUBJECT: Final = 200
_MOST_IGNORED: Final = 32
_UNREADABLE: Final = "(unreadable)"
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")
_DETAILS: Final = ("auto", "low", "high", "original")

_PARAMETERS: Final = tuple(
    name for name in (*FIELDS, *EXTENSIONS) if name in PARAMETER_NAMES and name != "max_tokens"
)
_ABSENT: Final[Mapping[str, tuple[JSON, ...]]] = {
    "function_call": ("none",),
    "functions": ([],),
    "logit_bias": ({},),
    "modalities": (["text"], []),
    "parallel_tool_calls": (True,),
    "service_tier": ("auto", "default"),
    "store": (True,),
}
"""Values of ignored and refused fields that ask for what happens anyway."""

_REFUSED: Final = {n: f.note for n, f in FIELDS.items() if f.handling is Handling.REFUSED}
_IGNORED: Final = tuple(n for n, f in FIELDS.items() if f.handling is Handling.IGNORED)
_KNOWN: Final = FIELDS.keys() | EXTENSIONS.keys()


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """What a client asks for; `include_usage` concerns only how a stream is written."""

    chat: ChatRequest
    include_usage: bool


def parse_completion_request(
    body: bytes, *, request_id: str, idempotency_key: str | None = None
) -> CompletionRequest:
    """Read the body of a request.

    Raises `Invalid` with the field's name as `path`: what is no JSON object, a field of the wrong
    type, a field that is refused.
    """
    payload = _read(body)
    ignored: list[str] = []
    _refuse_unsupported(payload)
    messages = tuple(_messages(payload.get("messages"), ignored))
    stream = _flag(payload, "stream")
    include_usage = _include_usage(payload, stream, ignored)
    ignored += [n for n in _IGNORED if n in payload and not _is_absent(n, payload[n])]
    ignored += [n for n, value in payload.items() if n not in _KNOWN and value is not None]
    chat = ChatRequest(
        target=_text(payload, "model", _LONGEST_TARGET, required=True) or "",
        messages=messages,
        request_id=request_id,
        request_hash=content_hash(payload),
        parameters=_parameters(payload),
        variables=_variables(payload.get("prompt")),
        tools=_tools(payload.get("tools")),
        tool_choice=_tool_choice(payload.get("tool_choice")),
        response_format=_response_format(payload.get("response_format")),
        stream=stream,
        subject=_text(payload, "safety_identifier", _LONGEST_SUBJECT)
        or _text(payload, "user", _LONGEST_SUBJECT),
        tags=_tags(payload.get("metadata")),
        idempotency_key=idempotency_key or None,
        asked_besides=_named(ignored),
    )
    return CompletionRequest(chat, include_usage)


def _read(body: bytes) -> Object:
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"The body is no valid JSON: {error}.", path="body") from None
    if not isinstance(payload, dict):
        raise Invalid("The body must be a JSON object.", path="body")
    return payload


def _refuse_unsupported(payload: Object) -> None:
    for name, note in _REFUSED.items():
        if name in payload and not _is_absent(name, payload[name]):
            raise Invalid(f"{name} is not supported. {note}", path=name)


def _is_absent(name: str, value: JSON) -> bool:
    return value is None or any(
        type(value) is type(absent) and value == absent for absent in _ABSENT.get(name, ())
    )


def _named(ignored: list[str]) -> tuple[str, ...]:
    """Return the names for a header: each once, in order, and none that a header cannot carry."""
    plain = (name if _PLAIN_NAME.fullmatch(name) else _UNREADABLE for name in ignored)
    return tuple(dict.fromkeys(plain))[:_MOST_IGNORED]


def _parameters(payload: Object) -> dict[str, JSON]:
    found = {n: payload[n] for n in _PARAMETERS if payload.get(n) is not None}
    if found.get("logprobs") is False:
        del found["logprobs"]
    new, old = payload.get("max_completion_tokens"), payload.get("max_tokens")
    if new is not None and old is not None and new != old:
        raise Invalid("max_tokens and max_completion_tokens differ: send one.", path="max_tokens")
    limit = old if new is None else new
    return found if limit is None else {**found, "max_tokens": limit}


def _variables(prompt: JSON) -> Object:
    if prompt is None:
        return {}
    shape = _object(prompt, "prompt")
    for name in shape:
        if name != "variables":
            raise Invalid(
                "prompt takes variables only: which prompt answers is what model names.",
                path=f"prompt.{name}" if _PLAIN_NAME.fullmatch(name) else "prompt",
            )
    variables = shape.get("variables")
    return {} if variables is None else _object(variables, "prompt.variables")


def _tags(metadata: JSON) -> dict[str, str]:
    if metadata is None:
        return {}
    tags: dict[str, str] = {}
    for key, value in _object(metadata, "metadata").items():
        if not isinstance(value, str) or len(key) > _LONGEST_TAG_KEY or len(value) > _LONGEST_TAG:
            raise Invalid(
                f"metadata holds texts: keys of at most {_LONGEST_TAG_KEY} characters, values of "
                f"at most {_LONGEST_TAG}.",
                path="metadata",
            )
        tags[key] = value
    if len(tags) > _MOST_TAGS:
        raise Invalid(f"metadata holds at most {_MOST_TAGS} keys.", path="metadata")
    return tags


def _include_usage(payload: Object, stream: bool, ignored: list[str]) -> bool:
    options = payload.get("stream_options")
    if options is None:
        return False
    shape = _object(options, "stream_options")
    if not stream:
        raise Invalid("stream_options goes with stream: true.", path="stream_options")
    _ignore_others(shape, ("include_usage",), "stream_options", ignored)
    return _flag(shape, "include_usage", "stream_options.include_usage")


def _tools(tools: JSON) -> JSON:
    if tools is None or tools == []:
        return None
    for index, tool in enumerate(_list(tools, "tools")):
        path = f"tools[{index}]"
        shape = _object(tool, path)
        if shape.get("type") != "function":
            raise Invalid(f"{path} is no function: other tools are not run here.", path=path)
        function = _object(shape.get("function"), f"{path}.function")
        _text(function, "name", _LONGEST_SUBJECT, f"{path}.function.name", required=True)
    return tools


def _tool_choice(choice: JSON) -> JSON:
    if choice is None or isinstance(choice, Mapping):
        return choice
    if choice in ("none", "auto", "required"):
        return choice
    raise Invalid("tool_choice is none, auto, required or an object.", path="tool_choice")


def _response_format(wanted: JSON) -> JSON:
    if wanted is None:
        return None
    kind = _object(wanted, "response_format").get("type")
    if kind not in ("text", "json_object", "json_schema"):
        raise Invalid(
            "response_format.type is text, json_object or json_schema.",
            path="response_format.type",
        )
    return wanted


# --- messages -------------------------------------------------------------------------------------


def _messages(messages: JSON, ignored: list[str]) -> Iterator[Message]:
    if not messages:
        raise Invalid("messages must hold at least one message.", path="messages")
    for index, message in enumerate(_list(messages, "messages")):
        path = f"messages[{index}]"
        shape = _object(message, path)
        role = shape.get("role")
        read = _READERS.get(role) if isinstance(role, str) else None
        if read is None:
            raise Invalid(
                f"{path}.role is one of {', '.join(_READERS)}.",
                path=f"{path}.role",
            )
        yield read(shape, path, ignored)


def _said(role: Role) -> Callable[[Object, str, list[str]], Message]:
    """Return the reader of messages that hold a content and perhaps a name."""

    def read(shape: Object, path: str, ignored: list[str]) -> Message:
        _ignore_others(shape, ("role", "content", "name"), "messages[]", ignored)
        content = _content(shape.get("content"), path, ignored, images=role == "user")
        return Message(role, content, name=_name(shape, path))

    return read


def _read_tool(shape: Object, path: str, ignored: list[str]) -> Message:
    _ignore_others(shape, ("role", "content", "tool_call_id"), "messages[]", ignored)
    call_id = _text(shape, "tool_call_id", _LONGEST_SUBJECT, f"{path}.tool_call_id", required=True)
    return Message(
        "tool", _content(shape.get("content"), path, ignored, images=False), tool_call_id=call_id
    )


def _read_assistant(shape: Object, path: str, ignored: list[str]) -> Message:
    known = ("role", "content", "name", "tool_calls", "refusal")
    _ignore_others(shape, known, "messages[]", ignored)
    calls = tuple(_tool_calls(shape.get("tool_calls"), path))
    refusal = _optional_text(shape.get("refusal"), f"{path}.refusal")
    content = shape.get("content")
    if isinstance(content, list):
        content, refusals = _split_refusals(content, path)
        refusal = refusal or refusals or None
    if content is None and not calls and refusal is None:
        raise Invalid(f"{path} says nothing: give it content.", path=f"{path}.content")
    return Message(
        "assistant",
        None if content is None else _content(content, path, ignored, images=False),
        name=_name(shape, path),
        tool_calls=calls,
        refusal=refusal,
    )


_READERS: Final[Mapping[str, Callable[[Object, str, list[str]], Message]]] = {
    "developer": _said("developer"),
    "system": _said("system"),
    "user": _said("user"),
    "assistant": _read_assistant,
    "tool": _read_tool,
}


def _split_refusals(parts: list[JSON], path: str) -> tuple[JSON, str]:
    """Take the refusals out of an assistant's parts; without other parts its content is None."""
    rest: list[JSON] = []
    refusals: list[str] = []
    for index, part in enumerate(parts):
        if isinstance(part, Mapping) and part.get("type") == "refusal":
            where = f"{path}.content[{index}].refusal"
            refusals.append(_optional_text(part.get("refusal"), where) or "")
        else:
            rest.append(part)
    return rest or None, "".join(refusals)


def _content(
    content: JSON, path: str, ignored: list[str], *, images: bool
) -> str | tuple[TextPart | ImagePart, ...]:
    if isinstance(content, str):
        return content
    where = f"{path}.content"
    if not isinstance(content, list) or not content:
        raise Invalid(f"{where} is a text or a list of parts.", path=where)
    return tuple(
        _part(part, f"{where}[{index}]", ignored, images=images)
        for index, part in enumerate(content)
    )


def _part(part: JSON, path: str, ignored: list[str], *, images: bool) -> TextPart | ImagePart:
    shape = _object(part, path)
    kind = shape.get("type")
    if kind == "text":
        _ignore_others(shape, ("type", "text"), "messages[].content[]", ignored)
        text = shape.get("text")
        if not isinstance(text, str):
            raise Invalid(f"{path}.text must be a text.", path=f"{path}.text")
        return TextPart(text)
    if kind == "image_url" and images:
        _ignore_others(shape, ("type", "image_url"), "messages[].content[]", ignored)
        return _image(_object(shape.get("image_url"), f"{path}.image_url"), f"{path}.image_url")
    taken = "text and image_url" if images else "text"
    raise Invalid(f"{path}.type: parts of this message are {taken}.", path=f"{path}.type")


def _image(shape: Object, path: str) -> ImagePart:
    url, detail = shape.get("url"), shape.get("detail")
    if not isinstance(url, str) or not url:
        raise Invalid(f"{path}.url must be an address or a data URL.", path=f"{path}.url")
    if detail is not None and detail not in _DETAILS:
        raise Invalid(f"{path}.detail is one of {', '.join(_DETAILS)}.", path=f"{path}.detail")
    return ImagePart(url, str(detail) if detail is not None else None)


def _tool_calls(calls: JSON, path: str) -> Iterator[ToolCall]:
    if calls is None:
        return
    for index, call in enumerate(_list(calls, f"{path}.tool_calls")):
        where = f"{path}.tool_calls[{index}]"
        shape = _object(call, where)
        function = shape.get("function")
        if not isinstance(function, Mapping):
            raise Invalid(f"{where} is no call of a function.", path=where)
        called, name, arguments = shape.get("id"), function.get("name"), function.get("arguments")
        if not (isinstance(called, str) and isinstance(name, str) and isinstance(arguments, str)):
            raise Invalid(
                f"{where} needs id, function.name and function.arguments as texts.", path=where
            )
        yield ToolCall(called, name, arguments)


# --- values ---------------------------------------------------------------------------------------


def _ignore_others(shape: Object, known: tuple[str, ...], path: str, ignored: list[str]) -> None:
    """Note the fields of a nested object that nobody reads; empty ones say nothing."""
    for name, value in shape.items():
        if name not in known and value is not None and value != []:
            ignored.append(f"{path}.{name}")


def _name(shape: Object, path: str) -> str | None:
    return _text(shape, "name", _LONGEST_SUBJECT, f"{path}.name")


def _text(
    shape: Object, name: str, longest: int, path: str | None = None, *, required: bool = False
) -> str | None:
    """Return a text of a bounded length; None if it is absent or empty and not required."""
    value, where = shape.get(name), path or name
    if value is None and not required:
        return None
    if not isinstance(value, str) or (required and not value):
        raise Invalid(f"{where} must be a text.", path=where)
    if len(value) > longest:
        raise Invalid(f"{where} has more than {longest} characters.", path=where)
    return value or None


def _optional_text(value: JSON, path: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise Invalid(f"{path} must be a text.", path=path)
    return value


def _flag(shape: Object, name: str, path: str | None = None) -> bool:
    value, where = shape.get(name), path or name
    if value is not None and not isinstance(value, bool):
        raise Invalid(f"{where} must be true or false.", path=where)
    return bool(value)


def _object(value: JSON, path: str) -> Object:
    if not isinstance(value, Mapping):
        raise Invalid(f"{path} must be an object.", path=path)
    return value


def _list(value: JSON, path: str) -> list[JSON]:
    if not isinstance(value, list):
        raise Invalid(f"{path} must be a list.", path=path)
    return value
