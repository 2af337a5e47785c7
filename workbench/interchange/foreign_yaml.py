"""YAML as other tools write it, read as data and nothing more.

Unlike the strict reader of our own files this one accepts anchors, aliases and merge keys,
since other tools' files use them; what they expand to is bounded. Everything that could run,
fetch or blow up is refused with a sentence: tags beyond the core ones, nesting deeper than
50, more than 50,000 values or 2 MB of text after expansion, files over 1 MB. Plain words are
read as YAML 1.2 has them; words that a YAML 1.1 reader takes for something else are reported.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import yaml

from app.core.errors import Invalid
from app.core.hashing import JSON
from workbench.interchange.losses import FieldPath

__all__ = ["MAX_BYTES", "ForeignYaml", "parse_foreign_yaml"]

MAX_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 50
MAX_VALUES: Final = 50_000
MAX_TEXT: Final = 2_000_000  # characters after expansion

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser where it was built
_CORE = "tag:yaml.org,2002:"
_CORE_TAGS = frozenset(f"{_CORE}{name}" for name in ("str", "int", "float", "bool", "null"))
_COLLECTION_TAGS = frozenset({f"{_CORE}map", f"{_CORE}seq", "!"})
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE, _FALSE = frozenset({"true", "True", "TRUE"}), frozenset({"false", "False", "FALSE"})
_OTHER_IN_YAML_1_1 = re.compile(
    r"(?i:y|n|yes|no|on|off)$"  # truth values
    r"|[-+]?0[0-7_]+$|[-+]?0[xb][0-9a-f_]+$"  # octal, hexadecimal, binary
    r"|[-+]?[1-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$"  # base 60
    r"|\d{4}-\d\d?-\d\d?([Tt ].*)?$"  # dates
)
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LARGEST_INTEGER: Final = 2**63


@dataclass(frozen=True)
class ForeignYaml:
    """One document; `ambiguous` are the plain words that YAML 1.1 reads as no text."""

    value: JSON
    ambiguous: tuple[tuple[FieldPath, str], ...] = ()


@dataclass(frozen=True)
class _Built:
    """A value with what it counts for: an alias costs as much as what it stands for."""

    value: JSON
    values: int
    text: int


def parse_foreign_yaml(text: str, *, source: str) -> ForeignYaml:
    """Parse a text; an empty one has the value None. Raises `Invalid` naming the line."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise Invalid(f"{source} is longer than the {MAX_BYTES:,} bytes that are read.")
    try:
        return _Builder(source, yaml.parse(text, Loader=_LOADER)).document()
    except yaml.MarkedYAMLError as error:
        line = 1 if error.problem_mark is None else int(error.problem_mark.line) + 1
        told = error.problem or error.context or "it cannot be parsed"
        raise Invalid(f"{source}, line {line}: this is not valid YAML: {told}.") from error
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise Invalid(f"{source}: this is not valid YAML: {str(error).splitlines()[0]}.") from error
    except UnicodeEncodeError as error:  # half of a surrogate pair
        raise Invalid(f"{source} holds a character that is no text.") from error


class _Builder:
    """Builds the value from the parser's events; an alias names what was built before."""

    def __init__(self, source: str, events: Iterator[yaml.Event]) -> None:
        self._source = source
        self._events = events
        self._anchors: dict[str, _Built] = {}
        self._ambiguous: list[tuple[FieldPath, str]] = []
        self._values = 0
        self._text = 0

    def document(self) -> ForeignYaml:
        value: JSON = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._refuse(event, "there is a second document; keep one in a file.")
                value = self._value(next(self._events), ()).value
        return ForeignYaml(value, tuple(self._ambiguous))

    def _value(self, event: yaml.Event, path: FieldPath) -> _Built:
        values, text = self._values, self._text
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        self._count(event, 1, 0)
        if isinstance(event, yaml.ScalarEvent):
            found: JSON = self._scalar(event, path)
            self._count(event, 0, len(event.value))
        else:
            self._check_collection(event, path)
            mapping = isinstance(event, yaml.MappingStartEvent)
            found = self._mapping(path) if mapping else self._sequence(path)
        built = _Built(found, self._values - values, self._text - text)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = built
        return built

    def _alias(self, event: yaml.AliasEvent) -> _Built:
        built = self._anchors.get(str(event.anchor))
        if built is None:
            raise self._refuse(event, f"the alias *{event.anchor} stands for nothing before it.")
        self._count(event, built.values, built.text)
        return built

    def _count(self, event: yaml.Event, values: int, text: int) -> None:
        self._values += values
        self._text += text
        if self._values > MAX_VALUES or self._text > MAX_TEXT:
            raise self._refuse(
                event,
                f"with its aliases written out the document is larger than {MAX_VALUES:,} values "
                f"or {MAX_TEXT:,} characters, the most that is read.",
            )

    def _check_collection(self, event: yaml.Event, path: FieldPath) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None and tag not in _COLLECTION_TAGS:
            raise self._refuse_tag(event, tag)
        if len(path) >= MAX_DEPTH:
            raise self._refuse(event, f"this is nested deeper than {MAX_DEPTH} levels.")

    def _sequence(self, path: FieldPath) -> list[JSON]:
        items: list[JSON] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))).value)
        return items

    def _mapping(self, path: FieldPath) -> dict[str, JSON]:
        found: dict[str, JSON] = {}
        merged: dict[str, JSON] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path)
            value = self._value(next(self._events), (*path, key)).value
            if key == "<<" and isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
                merged |= self._merged(event, value)
            elif key in found:
                raise self._refuse(event, f"the key {key!r} is there twice.")
            else:
                found[key] = value
        return {**merged, **found}

    def _merged(self, event: yaml.Event, value: JSON) -> dict[str, JSON]:
        """Return the entries of a merge key; of several mappings the first that has one wins."""
        parts = value if isinstance(value, list) else [value]
        entries: dict[str, JSON] = {}
        for part in parts:
            if not isinstance(part, Mapping):
                raise self._refuse(event, "after << stands a mapping or a list of mappings.")
            entries = {**part, **entries}
        return entries

    def _key(self, event: yaml.Event, path: FieldPath) -> str:
        """Return a key as text: a number or a truth value by its word, as JSON would have it."""
        if not isinstance(event, yaml.ScalarEvent):
            raise self._refuse(event, "a key must be a text.")
        self._check_tag(event)
        self._count(event, 0, len(event.value))
        return str(event.value)

    def _check_tag(self, event: yaml.ScalarEvent) -> None:
        if event.tag is not None and event.tag not in _CORE_TAGS and event.tag != "!":
            raise self._refuse_tag(event, event.tag)

    def _scalar(self, event: yaml.ScalarEvent, path: FieldPath) -> JSON:
        self._check_tag(event)
        text: str = event.value
        if not event.implicit[0] and event.tag in (None, "!", f"{_CORE}str"):
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
        if _OTHER_IN_YAML_1_1.match(text):
            self._ambiguous.append((path, text))
        return text

    def _refuse_tag(self, event: yaml.Event, tag: str) -> Invalid:
        name = tag.replace(_CORE, "!!")[:60]
        return self._refuse(event, f"the tag {name!r} is not read: nothing is built or run here.")

    def _refuse(self, event: yaml.Event, message: str) -> Invalid:
        line = 1 if event.start_mark is None else int(event.start_mark.line) + 1
        return Invalid(f"{self._source}, line {line}: {message}")
