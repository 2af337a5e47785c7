"""YAML as data and nothing more, with the line of every field for error messages.

What YAML allows beyond JSON is refused with a sentence: tags, anchors and aliases, several
documents, keys that are no text, duplicate keys, nesting deeper than 50, files over 1 MB.
Plain words are read as the YAML 1.2 core schema has them, so that `no` is the word no and a
date is a text: only `null`, `true`, `false` and decimal numbers are anything else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.core.errors import Invalid
from app.core.hashing import JSON
from app.core.suggestions import nearest_name

__all__ = [
    "FieldPath",
    "YamlDocument",
    "field_name",
    "first_problem",
    "parse_yaml",
    "read_yaml",
]

FieldPath: TypeAlias = tuple[str | int, ...]

MAX_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 50

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser where it was built
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE, _FALSE = frozenset({"true", "True", "TRUE"}), frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LARGEST_INTEGER = 2**63


@dataclass(frozen=True)
class YamlDocument:
    """One document: its value, and the line (from 1) on which each field stands."""

    source: str
    value: JSON
    lines: Mapping[FieldPath, int]

    def line(self, path: FieldPath) -> int:
        """Return the line of a field; of the nearest field around it if it is not there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def problem(self, path: FieldPath, message: str, *, hint: str | None = None) -> Invalid:
        """Return an error that names file, line and field; `message` goes on from there."""
        where = f"{self.source}, line {self.line(path)}"
        name = field_name(path)
        return Invalid(f"{where}: {name + ': ' if name else ''}{message}", path=name, hint=hint)

    def validation_problem(
        self, error: ValidationError, model: type[BaseModel], *, at: FieldPath = ()
    ) -> Invalid:
        """Return the first problem that pydantic found with the value at `at`, as `problem`."""
        first = first_problem(error)
        path = self._known_path(at, first["loc"])
        last = str(first["loc"][-1]) if first["loc"] else ""
        if first["type"] == "extra_forbidden":
            return self.problem(path, _unknown_key(last, _model_at(model, first["loc"][:-1])))
        if first["type"] == "missing":
            return self.problem(path, f"{last!r} is missing.")
        message = first["msg"].removeprefix("Value error, ")
        return self.problem(path, f"{message[:1].lower()}{message[1:]}.")

    def _known_path(self, at: FieldPath, location: Sequence[str | int]) -> FieldPath:
        """Leave out what pydantic puts into a location and the file does not have."""
        path = at
        for part in location:
            if (*path, part) in self.lines:
                path = (*path, part)
        return path


def first_problem(error: ValidationError) -> ErrorDetails:
    """Return the problem to tell: an unknown key before all others.

    A misspelled key is also a missing one, and its own name says more.
    """
    problems = error.errors()
    return next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])


def _model_at(model: type[BaseModel], location: Sequence[str | int]) -> type[BaseModel] | None:
    """Return the model that describes the mapping at a location; None where it is not certain."""
    current: type[BaseModel] | None = model
    for part in location:
        if current is None:
            return None
        field = next((f for n, f in current.model_fields.items() if part in (n, f.alias)), None)
        if field is not None:  # else an index, or a key of a free mapping
            found = set(_models_in(field.annotation))
            current = found.pop() if len(found) == 1 else None
    return current


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _unknown_key(key: str, model: type[BaseModel] | None) -> str:
    if model is None:
        return f"unknown key {key!r}."
    known = [field.alias or name for name, field in model.model_fields.items()]
    near = nearest_name(key, known)
    told = f"known are {', '.join(known)}." if near is None else f"did you mean {near!r}?"
    return f"unknown key {key!r}; {told}"


def field_name(path: FieldPath) -> str:
    """Return a path as people write it: `models[0].prices[1].input`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text


def read_yaml(path: Path, *, source: str | None = None) -> YamlDocument:
    """Read a file; `source` is its name in messages (default: the path as given).

    Raises `Invalid` for a file that is missing, too large, no UTF-8 or no strict YAML.
    """
    name = source or str(path)
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= MAX_BYTES else b""
    except OSError as error:
        raise Invalid(f"{name} cannot be read: {error.strerror}.") from error
    if size > MAX_BYTES:
        raise Invalid(f"{name} has {size:,} bytes; at most {MAX_BYTES:,} are read.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Invalid(f"{name}, line {line}: this is not UTF-8 text; save it as UTF-8.") from error
    return parse_yaml(text, source=name)


def parse_yaml(text: str, *, source: str) -> YamlDocument:
    """Parse a text; an empty one has the value None. Raises `Invalid` naming the line."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise Invalid(f"{source} is longer than the {MAX_BYTES:,} bytes that are read.")
    try:
        return _Builder(source, yaml.parse(text, Loader=_LOADER)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        last = len(text.splitlines()) or 1  # the parser counts one more at the end of the text
        line = 1 if mark is None else min(int(mark.line) + 1, last)
        told = error.problem or error.context or "it cannot be parsed"
        raise Invalid(f"{source}, line {line}: this is not valid YAML: {told}.") from error
    except yaml.YAMLError as error:  # a character that YAML does not allow
        told = str(error).splitlines()[0]
        raise Invalid(f"{source}: this is not valid YAML: {told}.") from error


class _Builder:
    """Builds the value from the parser's events, so that nothing is expanded or called."""

    def __init__(self, source: str, events: Iterator[yaml.Event]) -> None:
        self._source = source
        self._events = events
        self._lines: dict[FieldPath, int] = {}

    def document(self) -> YamlDocument:
        value: JSON = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._refuse(event, "there is a second document; keep one in a file.")
                value = self._value(self._next(), (), _line(event))
        return YamlDocument(self._source, value, self._lines)

    def _next(self) -> yaml.Event:
        return next(self._events)

    def _value(self, event: yaml.Event, path: FieldPath, line: int) -> JSON:
        """Build what begins with `event`; `line` is where its key or item stands."""
        self._lines.setdefault(path, line)
        self._check(event, path)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._mapping(path)

    def _check(self, event: yaml.Event, path: FieldPath) -> None:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise self._refuse(
                event,
                "anchors and aliases (& and *) are not read; write the value out, "
                "or put a text that begins with & or * in quotes.",
            )
        if getattr(event, "tag", None) is not None:
            raise self._refuse(
                event,
                "tags (!) are not read; put a text that begins with ! in quotes.",
            )
        if isinstance(event, yaml.CollectionStartEvent) and len(path) >= MAX_DEPTH:
            raise self._refuse(event, f"this is nested deeper than {MAX_DEPTH} levels.")

    def _sequence(self, path: FieldPath) -> list[JSON]:
        items: list[JSON] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items)), _line(event)))
        return items

    def _mapping(self, path: FieldPath) -> dict[str, JSON]:
        found: dict[str, JSON] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event, path)
            if key in found:
                first = self._lines[(*path, key)]
                raise self._refuse(event, f"the key {key!r} is there already, on line {first}.")
            found[key] = self._value(self._next(), (*path, key), _line(event))
        return found

    def _key(self, event: yaml.Event, path: FieldPath) -> str:
        self._check(event, path)
        key = self._scalar(event) if isinstance(event, yaml.ScalarEvent) else None
        if not isinstance(key, str):
            raise self._refuse(event, "a key must be a text; put it in quotes.")
        return key

    def _scalar(self, event: yaml.ScalarEvent) -> JSON:
        text: str = event.value
        plain: bool = event.implicit[0]
        if not plain:
            return text
        if text in _NULLS:
            return None
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        if _INTEGER.fullmatch(text):
            if len(text) > 20 or not -_LARGEST_INTEGER <= int(text) < _LARGEST_INTEGER:
                raise self._refuse(event, "this number is too large; put it in quotes as a text.")
            return int(text)
        if _FLOAT.fullmatch(text) and not text.lstrip("+-").isdigit():
            number = float(text)
            if not math.isfinite(number):
                raise self._refuse(event, "this number is too large; put it in quotes as a text.")
            return number
        return text

    def _refuse(self, event: yaml.Event, message: str) -> Invalid:
        return Invalid(f"{self._source}, line {_line(event)}: {message}")


def _line(event: yaml.Event) -> int:
    return 1 if event.start_mark is None else int(event.start_mark.line) + 1
