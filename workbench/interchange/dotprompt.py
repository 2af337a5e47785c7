"""Google dotprompt files (`.prompt`), read and written.

Front matter between two lines `---`, perhaps after comment lines, then a Handlebars body in
which `{{role "model"}}` begins another message and `{{history}}` is the conversation's place.
The body is cut at both ends; white space between messages belongs to them. Without front
matter the whole file is the body. Names are taken from the file's name where none is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from app.core.errors import Invalid
from app.core.hashing import JSON
from app.schemas.prompts import MessagePlaceholder, Variable, VariableType
from workbench.interchange.foreign_yaml import ForeignYaml, parse_foreign_yaml
from workbench.interchange.handlebars import read_handlebars, write_handlebars
from workbench.interchange.losses import FieldPath, Source
from workbench.interchange.picoschema import from_picoschema, to_picoschema
from workbench.interchange.pieces import (
    Foreign,
    History,
    Piece,
    Role,
    Text,
    Use,
    merged,
    our_pieces,
    strip_ends,
)
from workbench.interchange.prompts import (
    HANDLEBARS_FORMS,
    Draft,
    DraftMessage,
    Exportable,
    Imported,
    add_parameter,
    add_response_schema,
    assemble,
    prompt_name,
)
from workbench.interchange.schemas import declare_from_schema, schema_of
from workbench.interchange.writing import (
    Written,
    close,
    functions,
    mapping_source,
    note_further,
    note_schema_details,
    note_unwritten,
    response_schema,
)
from workbench.yaml_text import dump_yaml

__all__ = ["read_dotprompt", "write_dotprompt"]

_FORMAT: Final = "a dotprompt file"
_FRONT: Final = re.compile(
    r"\A(?P<header>(?:(?:#[^\n]*|[ \t]*)\n)*)---[ \t]*\r?\n(?P<yaml>(?:.*?\n)??)---[ \t]*"
    r"(?:\r?\n(?P<body>.*))?\Z",
    re.DOTALL,
)
_PARAMETERS: Final = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "maxOutputTokens": "max_tokens",
    "stopSequences": "stop",
    "seed": "seed",
    "frequencyPenalty": "frequency_penalty",
    "presencePenalty": "presence_penalty",
}
_TOOL_KEYS: Final = frozenset({"name", "description", "parameters"})
_WRITTEN_ROLES: Final = {"assistant": "model", "developer": "system"}

_REASONS: Final = MappingProxyType(
    {
        "model": "a prompt here names no model: an experiment does",
        "version": "the hash of the other tool's file; versions are numbered here",
        "config": "there is no such parameter here",
        "tools": "the name of a tool that is defined elsewhere",
        "toolDefs": "tools here have name, description and parameters",
        "metadata": "prompts here have no free metadata",
        "input": "there is no such field here",
        "output": "there is no such output format here",
    }
)


def read_dotprompt(text: str, *, source: str, file_stem: str) -> Imported:
    """Read one file. Raises `Invalid` for front matter that is no YAML mapping."""
    match = _FRONT.match(text)
    front = match["yaml"] if match else ""
    body = (match["body"] or "") if match else text
    above = "\n" * text[: match.start("yaml")].count("\n") if match else ""
    parsed = parse_foreign_yaml(above + front, source=source)  # lines are those of the file
    if parsed.value is None:
        parsed = ForeignYaml({})
    document = mapping_source(parsed, _REASONS, source)
    if match:
        _note_header(document, match["header"])
    draft = Draft(_name(document, file_stem))
    draft.description = document.text("description")
    first_line = text[: len(text) - len(body)].count("\n") + 1
    draft.messages = _messages(body, first_line, whole=match is None)
    for name in document.keys("config"):
        add_parameter(document, draft, ("config", name), _PARAMETERS.get(name, name))
    _inputs(document, draft)
    _output(document, draft)
    _tools(document, draft)
    return Imported((assemble(document, draft),), document.finish())


def _note_header(document: Source, header: str) -> None:
    comments = [line for line in header.split("\n") if line.startswith("#")]
    if comments:
        document.note(
            "comment lines", " ".join(comments), "comments of the file are not kept", "dropped"
        )


def _name(document: Source, file_stem: str) -> str:
    told = document.text("name")
    variant = document.at("variant")
    if isinstance(variant, str) and told:
        document.lose(("variant",), f"part of the name here: {told}.{variant}", "changed")
        told = f"{told}.{variant}"
    return prompt_name(document, told, ("name",), file_stem)


# Body


def _messages(body: str, first_line: int, *, whole: bool) -> list[DraftMessage]:
    """Split the template, before anything is put in, at its markers."""
    lead = 0 if whole else len(body) - len(body.lstrip())
    first_line += body[:lead].count("\n")
    pieces = read_handlebars(body if whole else body.strip(), markers=True)
    found: list[DraftMessage] = []
    role, gathered = "user", list[Piece]()
    for piece in [*pieces, Role("")]:
        if isinstance(piece, (Role, History)):
            if not _is_blank(gathered):
                found.append(DraftMessage(role, gathered, "body", first_line))
            gathered = []
            role = piece.name if isinstance(piece, Role) else "model"
        if isinstance(piece, History):
            found.append(DraftMessage("", [piece], "body", first_line))
        elif not isinstance(piece, Role):
            gathered.append(piece)
    return found


def _is_blank(pieces: Sequence[Piece]) -> bool:
    """Whether nothing but white space is said; a comment alone is no message."""
    return all(
        (isinstance(piece, Text) and not piece.text.strip())
        or (isinstance(piece, Foreign) and piece.is_comment)
        for piece in pieces
    )


# Front matter


def _inputs(document: Source, draft: Draft) -> None:
    defaults = document.at("input", "default")
    values = defaults if isinstance(defaults, Mapping) else {}
    schema = _schema(document, ("input", "schema"))
    if schema is not None:
        declare_from_schema(document, draft, schema, values, ("input", "schema"))
        document.take("input", "schema")
    used = {p.name for m in draft.messages for p in m.pieces if isinstance(p, Use)}
    for name, value in values.items():
        path = ("input", "default", name)
        if name not in used:
            document.lose(path, "no message uses this variable")
        elif name in draft.declared:
            variable, _ = draft.declared[name]
            if variable.default == value:
                document.take(*path)
            else:
                document.lose(path, f"it is not of the type {variable.type}")
        else:
            kind = _kind(value)
            draft.declared[name] = (Variable(type=kind, required=False, default=value), path)
            document.take(*path)
    for name in [name for name in draft.declared if name not in used]:
        del draft.declared[name]
        document.note(f"input.schema.{name}", name, "no message uses this variable", "dropped")


def _kind(value: JSON) -> VariableType:
    return "string" if isinstance(value, str) else "any"


def _schema(document: Source, path: FieldPath) -> Mapping[str, JSON] | None:
    """Return the JSON Schema at a path; None, with the loss named, if it is none."""
    value = document.at(*path)
    if value is None:
        return None
    try:
        schema = from_picoschema(value)
    except Invalid as error:
        document.lose(path, error.message)
        return None
    return schema if isinstance(schema, Mapping) else None


def _output(document: Source, draft: Draft) -> None:
    kind = document.at("output", "format")
    schema = _schema(document, ("output", "schema"))
    if kind == "text" and schema is None:
        document.take("output", "format")
    elif kind in ("json", None):
        if schema is not None:
            document.take("output", "schema")
            add_response_schema(draft, schema)
        elif kind == "json":
            draft.response_format = {"type": "json_object"}
        if kind == "json":
            document.take("output", "format")


def _tools(document: Source, draft: Draft) -> None:
    defined = set()
    for index in range(document.length("toolDefs")):
        at = ("toolDefs", index)
        name = document.at(*at, "name")
        if not isinstance(name, str):
            continue
        function: dict[str, JSON] = {"name": document.take(*at, "name")}
        if isinstance(document.at(*at, "description"), str):
            function["description"] = document.take(*at, "description")
        schema = _schema(document, (*at, "inputSchema"))
        if schema is not None:
            document.take(*at, "inputSchema")
            function["parameters"] = dict(schema)
        defined.add(name)
        draft.tools.append({"type": "function", "function": function})
    for index in range(document.length("tools")):
        if document.at("tools", index) in defined:
            document.take("tools", index)


# Writing


def write_dotprompt(prompt: Exportable) -> Written:
    """Return the text of a file, with everything named that the format has no place for."""
    losses = Source({})
    content = prompt.content
    document: dict[str, JSON] = {"name": prompt.name}
    if prompt.description:
        document["description"] = prompt.description
    config = {
        wire: content.parameters[name]
        for wire, name in _PARAMETERS.items()
        if name in content.parameters
    }
    if config:
        document["config"] = config
    if content.variables:
        document["input"] = _written_input(content.variables)
    output = _written_output(losses, prompt)
    if output is not None:
        document["output"] = output
    tools = _written_tools(losses, prompt)
    if tools:
        document["toolDefs"] = tools
    note_unwritten(
        losses,
        content,
        _FORMAT,
        parameters=frozenset(_PARAMETERS.values()),
        variables=True,
        written_otherwise=HANDLEBARS_FORMS,
        tools=True,
        response_format=output is not None,
    )
    body = _written_body(losses, prompt)
    return close(prompt, f"---\n{dump_yaml(document)}---\n{body}\n", losses, read_dotprompt)


def _written_input(variables: Mapping[str, Variable]) -> dict[str, JSON]:
    schema = schema_of(variables)
    shape: dict[str, JSON] = {"schema": to_picoschema(schema) or schema}
    defaults = {name: v.default for name, v in variables.items() if not v.required}
    return shape | ({"default": defaults} if defaults else {})


def _written_output(losses: Source, prompt: Exportable) -> JSON:
    if prompt.content.response_format == {"type": "json_object"}:
        return {"format": "json"}
    schema = response_schema(prompt.content)
    if schema is None:
        return None
    note_schema_details(losses, prompt, _FORMAT)
    return {"format": "json", "schema": to_picoschema(schema) or schema}


def _written_tools(losses: Source, prompt: Exportable) -> list[JSON]:
    found: list[JSON] = []
    for index, function in functions(losses, prompt.content.tools, _FORMAT):
        shape: dict[str, JSON] = {"name": function["name"]}
        if "description" in function:
            shape["description"] = function["description"]
        parameters = function.get("parameters")
        if isinstance(parameters, Mapping):
            shape["inputSchema"] = dict(parameters)
        note_further(losses, f"tools[{index}].function", function, _TOOL_KEYS, _FORMAT)
        found.append(shape)
    return found


def _written_body(losses: Source, prompt: Exportable) -> str:
    """Return the template. `~` keeps the line ends around a marker out of the messages."""
    parts = []
    cut_before = False
    for index, message in enumerate(prompt.content.messages):
        before = "~" if cut_before else ""
        gap = "\n" if cut_before else ""
        if isinstance(message, MessagePlaceholder):
            parts.append(f"{gap}{{{{{before}history}}}}")
            cut_before = True
            continue
        if message.role == "developer":
            losses.note(f"messages[{index}].role", message.role, "the nearest role there is system")
        role = _WRITTEN_ROLES.get(message.role, message.role)
        pieces = merged(our_pieces(message.content))
        cut_after = pieces == _without_lead(pieces)
        marker = f'{{{{{before}role "{role}"{"~" if cut_after else ""}}}}}'
        parts.append(f"{gap}{marker}{chr(10) if cut_after else ''}{write_handlebars(pieces)}")
        cut_before = pieces == strip_ends(pieces) or not _ends_in_space(pieces)
    return "".join(parts) + ("" if cut_before else '{{role "user"}}')


def _without_lead(pieces: list[Piece]) -> list[Piece]:
    if pieces and isinstance(pieces[0], Text):
        return merged([Text(pieces[0].text.lstrip()), *pieces[1:]])
    return pieces


def _ends_in_space(pieces: Sequence[Piece]) -> bool:
    last = pieces[-1] if pieces else None
    return isinstance(last, Text) and last.text != last.text.rstrip()
