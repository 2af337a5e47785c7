"""Which fields an extraction request wants, and what it says of each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from app.core.hashing import JSON

__all__ = ["Field", "named_fields", "schema_fields", "schema_of", "wants_json"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field to fill."""

    name: str
    """The key of the answer; for a field named in prose, the words as they stand there."""
    notes: str = ""
    """What the request says of it, in lower case."""
    types: frozenset[str] = frozenset()
    """JSON Schema types; empty if the request does not say."""
    choices: tuple[str, ...] = ()
    """The allowed texts; empty if any will do."""
    exact: bool = True
    """Whether `name` is given as a key (schema, quotes, JSON example) and not in prose."""


_KEYS_IN_QUOTES = re.compile(r"[\"`]([a-z_][a-z0-9_]{1,40})[\"`]", re.IGNORECASE)
_IN_PROSE = re.compile(
    r"\b(?:extract|find|give(?: me)?|get|return|pull out|list|read|fields?|keys?)\b[: ]+"
    r"(?P<list>(?:[a-z][\w' ]{1,30}, )+(?:and )?[a-z][\w' ]{1,30}?(?: and [a-z][\w' ]{1,30}?)?)"
    r"(?=[.:\n]| (?:from|of|in|as|out of)\b|\Z)",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"^(?:and |the |its |an? )+", re.IGNORECASE)


def wants_json(response_format: Mapping[str, JSON] | None) -> bool:
    """Whether a response format demands JSON, with a schema or without."""
    if response_format is None:
        return False
    kind = response_format.get("type")
    return kind in ("json_object", "json_schema") or schema_of(response_format) is not None


def schema_of(response_format: Mapping[str, JSON] | None) -> Mapping[str, JSON] | None:
    """Return the JSON Schema of an object that `response_format` demands, or None.

    Read are the chat-completions form (`{"type": "json_schema", "json_schema": {"schema": ...}}`)
    and a bare schema with `properties`.
    """
    if response_format is None:
        return None
    inner = response_format.get("json_schema", response_format)
    if isinstance(inner, Mapping) and isinstance(inner.get("schema"), Mapping):
        inner = inner["schema"]
    if isinstance(inner, Mapping) and isinstance(inner.get("properties"), Mapping):
        return inner
    return None


def schema_fields(schema: Mapping[str, JSON]) -> tuple[Field, ...]:
    """Return the fields of an object schema, in its order."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return ()
    return tuple(
        _schema_field(name, rule if isinstance(rule, Mapping) else {})
        for name, rule in properties.items()
    )


def _schema_field(name: str, rule: Mapping[str, JSON]) -> Field:
    kinds = rule.get("type")
    names = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list | tuple) else []
    choices = rule.get("enum")
    texts = choices if isinstance(choices, list | tuple) else ()
    notes = " ".join(str(rule[key]) for key in ("description", "format", "pattern") if key in rule)
    return Field(
        name=name,
        notes=notes.lower(),
        types=frozenset(kind for kind in names if isinstance(kind, str)),
        choices=tuple(choice for choice in texts if isinstance(choice, str)),
    )


def named_fields(instructions: str) -> tuple[Field, ...]:
    """Return the fields that the instructions name as quoted keys or in a sentence."""
    keys = dict.fromkeys(_KEYS_IN_QUOTES.findall(instructions))
    if len(keys) >= 2:
        return tuple(Field(key, _line_with(key, instructions)) for key in keys)
    match = _IN_PROSE.search(instructions)
    if match is None:
        return ()
    names = re.split(r", (?:and )?| and ", match["list"])
    return tuple(
        Field(_ARTICLE.sub("", name).strip().lower(), exact=False) for name in names if name.strip()
    )


def _line_with(key: str, instructions: str) -> str:
    """Return the line that speaks of `key`, in lower case."""
    return next((line.lower() for line in instructions.splitlines() if key in line), "")
