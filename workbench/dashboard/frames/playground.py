"""What stands in the playground's fields, as content and values (pure).

A field holds text. What the API takes is made of it here, and a field that says nothing sensible
is a `FieldError` with a sentence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = [
    "HISTORY",
    "MESSAGE_ROLES",
    "VARIABLE_TYPES",
    "EditedMessage",
    "FieldError",
    "assembled",
    "edited_messages",
    "field_text",
    "parsed_json",
    "placeholders",
    "type_of",
    "typed",
    "variable",
]

HISTORY: Final = "history"
"""The role that stands for the place of a conversation."""
MESSAGE_ROLES: Final = ("system", "developer", "user", "assistant", HISTORY)
VARIABLE_TYPES: Final = ("string", "integer", "number", "boolean", "object", "array", "any")

# As templates write it; a literal brace pair is `\{{`.
_PLACEHOLDER: Final = re.compile(r"\\\{\{|\{\{[ \t]*([A-Za-z_][A-Za-z0-9_]{0,63})[ \t]*\}\}")


class FieldError(ValueError):
    """A field's text is not what the field is for; the message is a sentence."""


@dataclass(slots=True)
class EditedMessage:
    """One message being written; `number` names it as long as it is there."""

    number: int
    role: str
    content: str = ""


_IN_WORDS: Final = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a JSON object",
    "array": "a JSON array",
}
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}


def placeholders(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the variables that texts use, in order, each once."""
    found = (match[1] for text in texts for match in _PLACEHOLDER.finditer(text))
    return tuple(dict.fromkeys(name for name in found if name))


def edited_messages(content: Mapping[str, Any]) -> list[EditedMessage]:
    """Return the messages of a content as they are written."""
    return [
        EditedMessage(number, message.get("role", HISTORY), message.get("content", ""))
        for number, message in enumerate(content["messages"], start=1)
    ]


def variable(name: str, kind: str, default: str, description: str) -> dict[str, Any]:
    """Return a variable's declaration; one with a default is not required.

    Raises `FieldError` for a default of another type.
    """
    declaration: dict[str, Any] = {"type": kind}
    if default:
        declaration |= {"required": False, "default": typed(default, kind, f"Default of {name}")}
    return {**declaration, "description": description} if description else declaration


def type_of(declaration: Mapping[str, Any]) -> str:
    """Return the type of a variable's declaration."""
    return str(declaration.get("type", "string"))


def typed(text: str, kind: str, name: str) -> Any:
    """Return the value that a field holds for a variable; `FieldError` if it is of another type."""
    if kind == "string":
        return text
    try:
        value = json.loads(text, parse_constant=_refused)
    except ValueError:
        value = text
    if kind == "any" or _is_of(value, kind):
        return value
    raise FieldError(f"{name} is to be {_IN_WORDS[kind]}, and its field holds something else.")


def _is_of(value: object, kind: str) -> bool:
    """Whether a value of JSON is of a type; true and false are no numbers."""
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind])


def _refused(constant: str) -> None:
    raise ValueError(constant)


def field_text(value: object) -> str:
    """Return the text with which a field holds a value."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def parsed_json(text: str, label: str, kind: type | tuple[type, ...]) -> Any:
    """Return the JSON of a field, None if it is empty; `FieldError` for what it cannot be."""
    if not text.strip():
        return None
    try:
        value = json.loads(text, parse_constant=_refused)
    except ValueError as error:
        raise FieldError(f"{label} holds no JSON: {error}.") from None
    if not isinstance(value, kind):
        raise FieldError(f"{label} holds JSON of another kind than it should.")
    return value


def assembled(
    messages: Sequence[EditedMessage],
    variables: Mapping[str, Any],
    parameters: Mapping[str, Any],
    others: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the content that the fields make up; `others` that are None are left out."""
    return {
        "messages": [
            {"placeholder": HISTORY}
            if message.role == HISTORY
            else {"role": message.role, "content": message.content}
            for message in messages
        ],
        "variables": dict(variables),
        "parameters": {name: value for name, value in parameters.items() if value is not None},
        **{name: value for name, value in others.items() if value is not None},
    }
