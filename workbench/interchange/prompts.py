"""Between another tool's prompt and ours: names, variables, parameters, response format.

A reader fills a `Draft` from its format and `assemble` makes the prompt of it; what our model
cannot hold is named in the source's losses on the way. A writer starts from `Exportable`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from app.core.errors import Invalid
from app.core.hashing import JSON
from app.core.parameters import PARAMETER_NAMES
from app.schemas.prompts import (
    MessagePlaceholder,
    MessageTemplate,
    PromptContent,
    Variable,
    VariableType,
    check_parameters,
    has_type,
)
from workbench.interchange.losses import FieldPath, LossReport, Source, is_reference, path_text
from workbench.interchange.pieces import (
    Foreign,
    History,
    Piece,
    Text,
    Use,
    cannot_precede_variable,
    is_variable_name,
    our_text,
)

__all__ = [
    "HANDLEBARS_FORMS",
    "JINJA_FORMS",
    "Draft",
    "DraftMessage",
    "Example",
    "Exportable",
    "Imported",
    "ImportedPrompt",
    "add_parameter",
    "add_response_schema",
    "assemble",
    "optional_variable",
    "prompt_name",
    "schema_name",
]

ROLES: Mapping[str, str] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "model": "assistant",
}
HANDLEBARS_FORMS: frozenset[str] = frozenset({"array", "object"})
JINJA_FORMS: frozenset[str] = frozenset({"array", "object", "boolean"})
_LONGEST_NAME = 100
_LONGEST_DESCRIPTION = 2000


@dataclass(frozen=True)
class Example:
    """One example that came with a prompt: values of its variables, perhaps the right answer."""

    input: Mapping[str, JSON]
    expected: JSON = None
    metadata: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True)
class ImportedPrompt:
    """A prompt as our files hold it, and what came with it.

    `aliases` are proposals: importing moves none. `model` is the other tool's name of the
    model, for the losses only: a prompt of ours names none. `scorers` are as experiment
    files have them.
    """

    name: str
    content: PromptContent
    description: str = ""
    message: str = ""
    aliases: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    scorers: tuple[dict[str, JSON], ...] = ()


@dataclass(frozen=True)
class Imported:
    """What a file holds, oldest version first, and what could not be taken over."""

    prompts: tuple[ImportedPrompt, ...]
    report: LossReport


@dataclass(frozen=True)
class Exportable:
    """A prompt version to be written in another tool's format."""

    name: str
    content: PromptContent
    description: str = ""


@dataclass
class DraftMessage:
    """One message as pieces under the other tool's names; `place` says where it stood."""

    role: str
    pieces: Sequence[Piece]
    place: str
    first_line: int = 1
    """The line of the message's first line within `place`."""


@dataclass
class Draft:
    """What a reader gathers. `declared` maps a variable to its declaration and its place."""

    name: str
    description: str = ""
    message: str = ""
    messages: list[DraftMessage] = field(default_factory=list)
    declared: dict[str, tuple[Variable, FieldPath]] = field(default_factory=dict)
    parameters: dict[str, JSON] = field(default_factory=dict)
    tools: list[dict[str, JSON]] = field(default_factory=list)
    tool_choice: JSON = None
    response_format: dict[str, JSON] | None = None
    aliases: tuple[str, ...] = ()
    examples: list[Example] = field(default_factory=list)
    scorers: list[dict[str, JSON]] = field(default_factory=list)
    written_otherwise: frozenset[str] = HANDLEBARS_FORMS
    """Types of values that the other tool puts into a text in another form than we do."""


def prompt_name(source: Source, told: str, path: FieldPath, file_stem: str) -> str:
    """Return a name of ours for a prompt, `file_stem` if the document gives none.

    Names are lower-case ASCII here; another spelling is named as changed.
    """
    name = _slug(told or file_stem)
    if told and name != told:
        source.note(path_text(path), told, f"names are lower-case ASCII here: {name}")
    return name


def _slug(text: str) -> str:
    parts = [_slug_part(part) for part in text.lower().split("/")][-2:]
    return "/".join(part for part in parts if part) or "imported"


def _slug_part(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", text).strip("-._")[: _LONGEST_NAME - 1]


def optional_variable(kind: VariableType, default: JSON, description: str = "") -> Variable | None:
    """Return a variable that may be left out; None if there is no default that fits.

    Other tools put nothing where a value is missing: for a text that is the empty default.
    """
    if default is None and kind in ("string", "any"):
        default = ""
    if default is None or not has_type(default, kind):
        return None
    return Variable(
        type=kind,
        required=False,
        default=default,
        description=description[:_LONGEST_DESCRIPTION],
    )


def add_parameter(source: Source, draft: Draft, path: FieldPath, name: str) -> None:
    """Take the parameter at `path` over under our name, or name why it cannot be."""
    value = source.at(*path)
    if value is None:
        source.lose(path, "it has no value")
        return
    if is_reference(value):
        source.lose(path, "references to files and the environment are never resolved")
        return
    if name not in PARAMETER_NAMES:
        source.lose(path, "there is no such parameter here")
        return
    try:
        check_parameters({name: value})
    except Invalid as error:
        source.lose(path, error.message.rstrip("."))
        return
    draft.parameters[name] = source.take(*path)


def add_response_schema(draft: Draft, schema: JSON) -> None:
    """Demand answers of a JSON Schema."""
    draft.response_format = {
        "type": "json_schema",
        "json_schema": {"name": schema_name(draft.name), "schema": schema},
    }


def schema_name(prompt: str) -> str:
    """Return the name that a prompt's response schema has where none is told."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", prompt)[:64]


def assemble(source: Source, draft: Draft) -> ImportedPrompt:
    """Return the prompt, with everything it cannot hold named as a loss.

    Raises `Invalid` if there is no message, or one is too long.
    """
    names = _variable_names(source, draft)
    messages = _messages(source, draft, names)
    if not messages:
        raise Invalid("There is no message in it.")
    content = _content(
        {
            "messages": tuple(messages),
            "variables": _variables(source, draft, names),
            "parameters": draft.parameters,
            "tools": draft.tools or None,
            "tool_choice": draft.tool_choice,
            "response_format": draft.response_format,
        }
    )
    return ImportedPrompt(
        name=draft.name,
        content=content,
        description=draft.description,
        message=draft.message,
        aliases=draft.aliases,
        examples=tuple(_renamed(example, names) for example in draft.examples),
        scorers=tuple(draft.scorers),
    )


def _content(shape: dict[str, Any]) -> PromptContent:
    try:
        content = PromptContent.model_validate(shape)
    except ValidationError as error:
        first = error.errors()[0]
        where = path_text(tuple(first["loc"]))
        raise Invalid(f"{where}: {first['msg']}.", path=where) from None
    _ = content.hash  # raises `Invalid` for a character that JSON cannot hold
    return content


def _variable_names(source: Source, draft: Draft) -> dict[str, str]:
    """Return our name for every variable that a message uses, in the order of use."""
    used = dict.fromkeys(
        piece.name
        for message in draft.messages
        for piece in message.pieces
        if isinstance(piece, Use)
    )
    names: dict[str, str] = {}
    taken = {name for name in used if is_variable_name(name)}
    for name in used:
        ours = name if name in taken else _unused(name, taken)
        taken.add(ours)
        names[name] = ours
        if ours != name:
            source.note(
                f"variable {name}",
                name,
                f"names of variables are ASCII letters, digits and _ here: {ours}",
            )
    return names


def _unused(name: str, taken: set[str]) -> str:
    base = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")[:60] or "value"
    if base[0].isdigit():
        base = f"_{base}"
    ours, number = base, 2
    while ours in taken:
        ours, number = f"{base}_{number}", number + 1
    return ours


def _messages(
    source: Source, draft: Draft, names: Mapping[str, str]
) -> list[MessageTemplate | MessagePlaceholder]:
    found: list[MessageTemplate | MessagePlaceholder] = []
    placeholders = 0
    for message in draft.messages:
        if [piece for piece in message.pieces if isinstance(piece, History)]:
            placeholders += 1
            if placeholders > 1:
                source.note(
                    message.place,
                    "history",
                    "a prompt has at most one message placeholder",
                    "dropped",
                    changes_meaning=True,
                )
            else:
                found.append(MessagePlaceholder(placeholder="history"))
            continue
        pieces = _renamed_pieces(source, message, names)
        text = our_text(pieces)
        try:
            found.append(
                MessageTemplate.model_validate({"role": _role(source, message), "content": text})
            )
        except ValidationError as error:
            raise Invalid(f"{message.place}: {error.errors()[0]['msg']}.") from None
    return found


def _role(source: Source, message: DraftMessage) -> str:
    role = ROLES.get(message.role.lower())
    if role is None:
        source.note(
            message.place,
            message.role,
            "there is no such role here: the message became one of the user",
            changes_meaning=True,
        )
        return "user"
    return role


def _renamed_pieces(source: Source, message: DraftMessage, names: Mapping[str, str]) -> list[Piece]:
    pieces: list[Piece] = []
    for piece in message.pieces:
        if isinstance(piece, Foreign):
            _name_foreign(source, message, piece)
        if isinstance(piece, Use):
            last = pieces[-1] if pieces else None
            if isinstance(last, Text) and cannot_precede_variable(last.text):
                source.note(
                    message.place,
                    f"{last.text[-1]}{{{{ {piece.name} }}}}",
                    "a backslash or brace cannot stand right before a placeholder here: "
                    "a space was put between",
                    changes_meaning=True,
                )
            piece = Use(names[piece.name])
        pieces.append(piece)
    return pieces


def _name_foreign(source: Source, message: DraftMessage, piece: Foreign) -> None:
    place = f"{message.place}, line {message.first_line + piece.line - 1}"
    if piece.is_comment:
        source.note(place, piece.source, "templates here have no comments", "dropped")
    else:
        source.note(
            place,
            piece.source,
            f"{piece.what}: templates here are {{{{ name }}}} and nothing else; kept as plain text",
            changes_meaning=True,
        )


def _variables(source: Source, draft: Draft, names: Mapping[str, str]) -> dict[str, Variable]:
    found = {ours: Variable() for ours in names.values()}
    for name, (variable, path) in draft.declared.items():
        if name in names:
            found[names[name]] = variable
            if variable.type in draft.written_otherwise:
                why = "its values are put into a text as JSON here, in another form there"
                source.note(f"variable {name}", variable.type, why)
        else:
            source.lose(path, "no message uses this variable")
    return found


def _renamed(example: Example, names: Mapping[str, str]) -> Example:
    values = {names.get(name, name): value for name, value in example.input.items()}
    return Example(values, example.expected, example.metadata)
