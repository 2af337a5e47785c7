"""JSON in model output: reading it, walking to a field, and when two values are equal."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import islice
from typing import Final, NoReturn, TypeAlias

from app.core.hashing import JSON

__all__ = [
    "FieldPath",
    "NotJSON",
    "equal_json",
    "look_up",
    "parse_path",
    "read_json",
    "written_path",
]

FieldPath: TypeAlias = tuple[str | int, ...]
"""Steps from the root: a name enters an object, a number (from 0) an array."""

_FENCE: Final = "```"
_OPENING: Final = re.compile(r"[\[{]")
_MAX_OPENINGS: Final = 200
_STEP: Final = re.compile(
    r"""
    (?: (?P<dot>\.)? (?P<name>[^.\[\]"]+) )   # a.b
    | \[ (?P<index>\d{1,9}) \]                # [0]
    | \[ (?P<quoted>"(?:[^"\\]|\\.)*") \]     # ["any name"], escapes as in JSON
    """,
    re.VERBOSE,
)
_PLAIN_NAME: Final = re.compile(r'[^.\[\]"]+')


class NotJSON(ValueError):
    """The text is not one JSON value; the message says why in a few words."""


def read_json(text: str, *, allow_fence: bool = False, anywhere: bool = False) -> JSON:
    """Return the JSON value that the text consists of.

    With `allow_fence`, a text that is no JSON may hold it in its only ``` block, with prose
    around it; with `anywhere`, the first object or array in the text will do. Refused with
    `NotJSON` are, besides what is malformed, NaN and infinity, lone surrogates, nesting deeper
    than the interpreter follows and integers beyond 4,300 digits.
    """
    try:
        return _parse(text)
    except NotJSON:
        body = _fenced(text) if allow_fence else None
        if body is None and not anywhere:
            raise
    if body is not None:
        try:
            return _parse(body)
        except NotJSON:
            if not anywhere:
                raise
    return _first_json(text)


def _first_json(text: str) -> JSON:
    """Return the first JSON object or array that stands anywhere in the text.

    Raises `NotJSON` if there is none among the first 200 places where one could begin, a
    bound that keeps hostile text (`[[[[…`) cheap.
    """
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    for place in islice(_OPENING.finditer(text), _MAX_OPENINGS):
        try:
            _, end = decoder.raw_decode(text, place.start())
            return _parse(text[place.start() : end])
        except (ValueError, RecursionError):
            continue
    raise NotJSON("no JSON object or array in it")


def _parse(text: str) -> JSON:
    try:
        value: JSON = json.loads(text, parse_constant=_refuse_constant)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise NotJSON(f"{error.msg} at line {error.lineno} column {error.colno}") from error
    except UnicodeEncodeError as error:
        raise NotJSON("a lone surrogate is not text") from error
    except RecursionError as error:
        raise NotJSON("it is nested too deeply") from error
    except ValueError as error:
        raise NotJSON("it holds a number that JSON does not allow or that is too long") from error
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _fenced(text: str) -> str | None:
    """Return the inside of the only fenced block, without its language, or None."""
    parts = text.split(_FENCE, 3)
    if len(parts) != 3:
        return None
    language, newline, body = parts[1].partition("\n")
    opens_with_language = newline and (not language.strip() or language.strip().isalnum())
    return body if opens_with_language else parts[1]


def equal_json(left: JSON, right: JSON) -> bool:
    """Whether two values are equal as JSON: 1 and 1.0 are, true and 1 are not."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(
            equal_json(value, right[key]) for key, value in left.items()
        )
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(equal_json, left, right))
    return left == right


def parse_path(path: str) -> FieldPath:
    """Read `customer.orders[0].total` or `["a.b"][2]`.

    Raises `ValueError` with a sentence that names the place where reading stopped.
    """
    steps: list[str | int] = []
    position = 0
    while position < len(path):
        match = _STEP.match(path, position)
        # A dot separates names: it may neither open the path nor be left out between two names.
        if match is None or (match["name"] is not None and bool(match["dot"]) != bool(steps)):
            raise ValueError(
                f"The path {path!r} cannot be read from character {position + 1}; "
                'write it like a.b[0].c, and a name with other characters like ["a.b"].'
            )
        steps.append(_step(match))
        position = match.end()
    if not steps:
        raise ValueError("A path needs at least one step, such as a.b[0].c.")
    return tuple(steps)


def _step(match: re.Match[str]) -> str | int:
    if match["index"] is not None:
        return int(match["index"])
    if match["quoted"] is not None:
        return str(json.loads(match["quoted"]))
    return match["name"]


def written_path(path: FieldPath) -> str:
    """Return the path as `parse_path` reads it; the root is an empty text."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_NAME.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step, ensure_ascii=False)}]"
    return text


def look_up(value: JSON, path: FieldPath) -> JSON:
    """Return what stands at the path; raises `LookupError` if nothing does."""
    for step in path:
        value = _child(value, step)
    return value


def _child(value: JSON, step: str | int) -> JSON:
    child: JSON
    if isinstance(step, str) and isinstance(value, Mapping):
        child = value[step]
        return child
    if isinstance(step, int) and isinstance(value, (list, tuple)):
        child = value[step]
        return child
    raise LookupError(step)
