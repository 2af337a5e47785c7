"""Variables of a prompt as the properties of a JSON Schema, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from app.core.hashing import JSON
from app.schemas.prompts import Variable, VariableType
from workbench.interchange.losses import FieldPath, Source
from workbench.interchange.prompts import Draft, optional_variable

__all__ = ["declare_from_schema", "declare_variable", "schema_of"]

_TYPES: frozenset[str] = frozenset(get_args(VariableType))
_KNOWN = frozenset({"type", "description", "default"})


def declare_variable(
    source: Source,
    draft: Draft,
    name: str,
    path: FieldPath,
    *,
    kind: JSON,
    required: bool,
    default: JSON,
    description: JSON,
) -> None:
    """Declare a variable of the draft; what cannot be kept of it is named.

    `path` is where it stands in the source. Raises nothing: an unknown type becomes `any`.
    """
    told = description if isinstance(description, str) else ""
    word: VariableType = "any"
    if isinstance(kind, str) and kind in _TYPES:
        word = kind  # type: ignore[assignment]  # it is one of the words
    else:
        source.note(".".join(map(str, path)), str(kind), "there is no such type here: any")
    variable = Variable(type=word, description=told[:2000])
    if not required:
        optional = optional_variable(word, default, told)
        if optional is None:
            source.note(
                ".".join(map(str, path)),
                f"optional, of type {word}",
                "a variable that may be left out needs a default here: it is required now",
            )
        variable = optional or variable
    draft.declared[name] = (variable, path)


def declare_from_schema(
    source: Source,
    draft: Draft,
    schema: Mapping[str, JSON],
    defaults: Mapping[str, JSON],
    path: FieldPath,
) -> None:
    """Declare a variable for each property of a JSON Schema that stands at `path`."""
    properties = schema.get("properties")
    required = schema.get("required")
    for name, item in properties.items() if isinstance(properties, Mapping) else ():
        shape = item if isinstance(item, Mapping) else {}
        kind = shape.get("type", "any")
        if isinstance(kind, list):
            kind = next((word for word in kind if word != "null"), "any")
        default = defaults.get(name, shape.get("default"))
        declare_variable(
            source,
            draft,
            name,
            path,
            kind=kind,
            required=default is None and isinstance(required, list) and name in required,
            default=default,
            description=shape.get("description"),
        )
        if further := sorted(set(shape) - _KNOWN):
            source.note(
                f"{'.'.join(map(str, path))}.{name}",
                ", ".join(further),
                "variables here have a type and no further rules",
                "dropped",
            )


def schema_of(variables: Mapping[str, Variable]) -> dict[str, JSON]:
    """Return the JSON Schema of the values that variables take; defaults are not part of it."""
    properties: dict[str, JSON] = {}
    for name, variable in variables.items():
        shape: dict[str, JSON] = {} if variable.type == "any" else {"type": variable.type}
        if not variable.required and "type" in shape:
            shape["type"] = [variable.type, "null"]
        if variable.description:
            shape["description"] = variable.description
        properties[name] = shape
    schema: dict[str, JSON] = {"type": "object", "properties": properties}
    required: list[JSON] = [name for name, variable in variables.items() if variable.required]
    if required:
        schema["required"] = required
    schema["additionalProperties"] = False
    return schema
