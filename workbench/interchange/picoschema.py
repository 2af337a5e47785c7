"""Picoschema, dotprompt's short form of JSON Schema, in both directions.

`name?: string, a description` is an optional, nullable property; `tags(array): string`,
`x(object): {…}` and `kind(enum): [A, B]` are the structured forms; `(*): any` allows further
properties, which are otherwise refused. A mapping with `type` or `properties` is JSON Schema
already.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from app.core.errors import Invalid
from app.core.hashing import JSON

__all__ = ["from_picoschema", "to_picoschema"]

_SCALARS: Final = frozenset({"any", "boolean", "integer", "null", "number", "string"})
_KEY: Final = re.compile(r"(?P<name>[^()?]*)(?P<optional>\??)(?:\((?P<kind>[^)]*)\))?")
_WILDCARD: Final = "(*)"


def from_picoschema(schema: JSON) -> JSON:
    """Return the JSON Schema. Raises `Invalid` for what is none, or names a schema elsewhere."""
    if isinstance(schema, str):
        kind, description = _split(schema)
        if kind in _SCALARS:
            return {"type": kind} | ({"description": description} if description else {})
        raise _unknown(kind)
    if not isinstance(schema, Mapping):
        raise Invalid("a schema is a mapping or the name of a type")
    told = schema.get("type")
    if isinstance(told, str) and told in (*_SCALARS, "object", "array"):
        return dict(schema)
    if isinstance(schema.get("properties"), Mapping):
        return {**schema, "type": "object"}
    return _from_pico(schema)


def _from_pico(value: JSON) -> JSON:
    if isinstance(value, str):
        kind, description = _split(value)
        if kind not in _SCALARS:
            raise _unknown(kind)
        told: dict[str, JSON] = {} if kind == "any" else {"type": kind}
        return told | ({"description": description} if description else {})
    if not isinstance(value, Mapping):
        raise Invalid("Picoschema consists of mappings and texts only")
    properties: dict[str, JSON] = {}
    required: list[JSON] = []
    others: JSON = False
    for key, item in value.items():
        if key == _WILDCARD:
            others = _from_pico(item)
            continue
        match = _KEY.fullmatch(key)
        if match is None or not match["name"]:
            raise Invalid(f"{key!r} is no property of Picoschema")
        properties[match["name"]] = _property(match, item)
        if not match["optional"]:
            required.append(match["name"])
    schema: dict[str, JSON] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    schema["additionalProperties"] = others
    return schema


def _property(match: re.Match[str], item: JSON) -> JSON:
    optional = bool(match["optional"])
    kind, description = _split(match["kind"] or "")
    found: dict[str, JSON]
    match kind:
        case "":
            found = dict(_as_mapping(_from_pico(item)))
            if optional and isinstance(found.get("type"), str):
                found["type"] = [found["type"], "null"]
        case "array":
            found = {"type": ["array", "null"] if optional else "array", "items": _from_pico(item)}
        case "object":
            found = dict(_as_mapping(_from_pico(item)))
            if optional:
                found["type"] = [found.get("type"), "null"]
        case "enum" if isinstance(item, list):
            found = {"enum": [*item, None] if optional and None not in item else item}
        case _:
            raise Invalid(f"{kind!r} in parentheses is no type of Picoschema")
    return found | ({"description": description} if description else {})


def _as_mapping(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, Mapping) else {}


def _split(text: str) -> tuple[str, str]:
    """Return type and description of `type, description`."""
    kind, _, description = text.partition(",")
    return kind.strip(), description.strip()


def _unknown(kind: str) -> Invalid:
    return Invalid(f"{kind!r} is no type; named schemas of another place are not looked up")


def to_picoschema(schema: Mapping[str, JSON]) -> JSON:
    """Return the Picoschema that expands to this JSON Schema; None if there is none."""
    try:
        pico = _to_pico(schema)
        return pico if from_picoschema(pico) == schema else None
    except (Invalid, KeyError, TypeError, AttributeError):
        return None


def _to_pico(schema: JSON) -> JSON:
    if not isinstance(schema, Mapping):
        raise TypeError
    kind, description = schema.get("type"), schema.get("description")
    if kind == "object":
        return _object(schema)
    word = "any" if kind is None else str(kind)
    return f"{word}, {description}" if description else word


def _object(schema: Mapping[str, JSON]) -> dict[str, JSON]:
    properties = _as_mapping(schema["properties"])
    required = schema.get("required", [])
    found: dict[str, JSON] = {}
    for name, item in properties.items():
        optional = not (isinstance(required, list) and name in required)
        key, value = _entry(name + ("?" if optional else ""), dict(_as_mapping(item)), optional)
        found[key] = value
    others = schema.get("additionalProperties")
    if isinstance(others, Mapping):
        found[_WILDCARD] = _to_pico(others)
    return found


def _entry(key: str, item: dict[str, JSON], optional: bool) -> tuple[str, JSON]:
    kind = item.get("type")
    if optional and isinstance(kind, list) and len(kind) == 2 and kind[1] == "null":
        kind = item["type"] = kind[0]
    description = item.pop("description", None)
    about = f", {description}" if description else ""
    if "enum" in item:
        values = item["enum"]
        if optional and isinstance(values, list):
            values = [value for value in values if value is not None]
        return f"{key}(enum{about})", values
    if kind == "array":
        return f"{key}(array{about})", _to_pico(item["items"])
    if kind == "object":
        return (f"{key}(object{about})" if about else key), _to_pico(item)
    return key, _to_pico(item | ({"description": description} if description else {}))
