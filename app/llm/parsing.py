"""What providers send, read with care: JSON, texts, counts.

Providers and the servers that imitate them bend the protocol. What has one sensible meaning is
taken; the rest becomes None here and an error, or "not reported", where it is used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias

import orjson

from app.core.hashing import JSON
from app.llm.types import FinishReason, Usage, UsageSource

__all__ = [
    "Object",
    "finish_reason_of",
    "make_usage",
    "mapping",
    "object_list",
    "read_json",
    "short_text",
    "text_or_none",
    "token_count",
    "write_json",
]

Object: TypeAlias = Mapping[str, JSON]

_NAME_LENGTH = 200
_MOST_TOKENS = 10**12

_FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
}


def read_json(data: bytes) -> JSON:
    """Parse JSON, also of servers that write lone surrogates or NaN (which becomes None).

    Raises `ValueError` for anything else.
    """
    value: JSON
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        value = _read_leniently(data)
    return value


def _read_leniently(data: bytes) -> JSON:
    value: JSON
    try:
        value = json.loads(data, parse_constant=lambda _: None)
    except RecursionError:
        raise ValueError("The JSON is nested too deeply.") from None
    return value


def write_json(value: JSON) -> str:
    """Return compact JSON of whatever `read_json` can return: big numbers, lone surrogates."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return json.dumps(value, separators=(",", ":"))


def mapping(value: JSON) -> Object | None:
    """Return a JSON object as it is, and None for anything else."""
    return value if isinstance(value, dict) else None


def object_list(value: JSON) -> list[Object]:
    """Return the objects of a list; an empty list for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text_or_none(value: JSON) -> str | None:
    """Return a text that can be encoded, and None for what is no text.

    Halves of a surrogate pair are joined; a lone half becomes U+FFFD.
    """
    if not isinstance(value, str):
        return None
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def short_text(value: JSON) -> str | None:
    """Return a name or an id, cut to 200 characters; None if it is no text or empty."""
    text = text_or_none(value)
    return text[:_NAME_LENGTH] if text else None


def token_count(value: JSON) -> int | None:
    """Return a count of tokens; None for what cannot be one (negative, text, absurdly large)."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS:
        return value
    return None


def make_usage(
    input_tokens: int | None,
    output_tokens: int | None,
    cached_input_tokens: int | None = None,
    reasoning_tokens: int | None = None,
) -> Usage:
    """Return the usage; reported only if input and output both are.

    A part that is larger than its whole contradicts it and is left out.
    """
    whole = input_tokens is not None and output_tokens is not None
    return Usage(
        input_tokens,
        output_tokens,
        _part(cached_input_tokens, input_tokens),
        _part(reasoning_tokens, output_tokens),
        UsageSource.PROVIDER if whole else UsageSource.UNREPORTED,
    )


def _part(part: int | None, whole: int | None) -> int | None:
    return part if part is not None and whole is not None and part <= whole else None


def finish_reason_of(word: str | None) -> FinishReason:
    """Return our word for a provider's; what is unknown or missing is `OTHER`."""
    return _FINISH_REASONS.get(word or "", FinishReason.OTHER)
