"""The second form of Prompty files, read and written.

An input of kind `thread` is the conversation's place; `outputs` demand an answer of a JSON
Schema; inputs and outputs are mappings by name, or lists of properties with a name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from app.core.hashing import JSON
from app.schemas.prompts import MessagePlaceholder, Variable
from workbench.interchange.losses import FieldPath, Source, is_reference, path_text
from workbench.interchange.pieces import Foreign, Use
from workbench.interchange.prompts import (
    JINJA_FORMS,
    Draft,
    DraftMessage,
    Example,
    Exportable,
    Imported,
    add_parameter,
    add_response_schema,
    assemble,
)
from workbench.interchange.prompty_body import (
    Engine,
    engine_at,
    read_body,
    read_head,
    split_history,
    write_body,
)
from workbench.interchange.schemas import declare_variable
from workbench.interchange.writing import (
    Written,
    close,
    functions,
    note_further,
    note_schema_details,
    note_unwritten,
    response_schema,
)
from workbench.yaml_text import dump_yaml

__all__ = ["read_prompty_v2", "write_prompty_v2"]

_FORMAT: Final = "a Prompty file of the second form"
_PARAMETERS: Final = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "maxOutputTokens": "max_tokens",
    "stopSequences": "stop",
    "seed": "seed",
    "frequencyPenalty": "frequency_penalty",
    "presencePenalty": "presence_penalty",
    "reasoningEffort": "reasoning_effort",
}
_KINDS: Final = {
    "string": "string",
    "integer": "integer",
    "number": "number",
    "float": "number",
    "boolean": "boolean",
    "object": "object",
    "array": "array",
    "any": "any",
}
_MEDIA: Final = frozenset({"image", "file", "audio"})
_NEVER: Final = "references to files and the environment are never resolved"
_TOOL_KEYS: Final = frozenset({"name", "description", "parameters", "strict"})

_REASONS: Final = MappingProxyType(
    {
        "displayName": "prompts here have one name",
        "metadata": "prompts here have no free metadata",
        "model": "a prompt here names no model: an experiment does",
        "model.connection": "where a model is reached stands in workbench.yaml, keys in the "
        "environment",
        "model.options": "there is no such parameter here",
        "inputs": "variables here have a type and no further rules",
        "outputs": "it has no form in JSON Schema here",
        "tools": "tools here are functions with name, description and parameters",
        "template": "templates here have one form",
    }
)


def read_prompty_v2(text: str, *, source: str, file_stem: str) -> Imported:
    """Read one file. Raises `Invalid` for a file without front matter."""
    front, document, draft = read_head(text, _REASONS, source=source, file_stem=file_stem)
    draft.messages = read_body(document, front, 2, _engine(document))
    for name in document.keys("model", "options"):
        path = ("model", "options", name)
        add_parameter(document, draft, path, _PARAMETERS.get(name, name))
    _inputs(document, draft)
    _outputs(document, draft)
    _tools(document, draft)
    return Imported((assemble(document, draft),), document.finish())


def _engine(document: Source) -> Engine:
    """Take the template engine; Jinja where none is told."""
    shape = document.at("template", "format")
    path = ("template", "format", "kind") if isinstance(shape, Mapping) else ("template", "format")
    if document.at("template", "format", "strict") is not None:
        # Text of values never becomes a role here, whatever the file asks for.
        document.take("template", "format", "strict")
    parser = document.at("template", "parser")
    where = (
        ("template", "parser", "kind") if isinstance(parser, Mapping) else ("template", "parser")
    )
    if document.at(*where) == "prompty":
        document.take(*where)
    return engine_at(document, path)


def _properties(document: Source, *path: str | int) -> Iterator[tuple[str, FieldPath]]:
    """Yield name and place of each property; takes the names of a list's items."""
    for name in document.keys(*path):
        yield name, (*path, name)
    for index in range(document.length(*path)):
        told = document.at(*path, index, "name")
        if isinstance(told, str):
            document.take(*path, index, "name")
            yield told, (*path, index)


# Inputs


def _inputs(document: Source, draft: Draft) -> None:
    values: dict[str, JSON] = {}
    used = {p.name for m in draft.messages for p in m.pieces if isinstance(p, Use)}
    for name, path in _properties(document, "inputs"):
        shape = document.at(*path)
        if not isinstance(shape, Mapping):
            _bare_example(document, draft, name, path, name in used, values)
            continue
        kind = document.at(*path, "kind")
        if kind == "thread":
            split = split_history(draft.messages, name)
            draft.messages = [_without_media(message, name, "thread") for message in split]
            document.take(*path, "kind")
        elif kind in _MEDIA:
            draft.messages = [_without_media(m, name, str(kind)) for m in draft.messages]
        elif name in used:
            _declare(document, draft, name, path)
            _take_example(document, name, (*path, "example"), values)
        else:
            document.lose(path, "no message uses this variable")
    if values:
        draft.examples.append(Example(values))


def _bare_example(
    document: Source,
    draft: Draft,
    name: str,
    path: FieldPath,
    used: bool,
    values: dict[str, JSON],
) -> None:
    """Take an input that is written as an example of its value alone."""
    if not used:
        document.lose(path, "no message uses this variable")
        return
    value = document.at(*path)
    _take_example(document, name, path, values)
    if value is not None and not isinstance(value, str):
        kind = "boolean" if isinstance(value, bool) else "number"
        kind = "integer" if type(value) is int else kind
        declare_variable(
            document, draft, name, path, kind=kind, required=True, default=None, description=""
        )


def _declare(document: Source, draft: Draft, name: str, path: FieldPath) -> None:
    default = document.at(*path, "default")
    if is_reference(default):
        document.lose((*path, "default"), _NEVER)
        default = None
    kind = document.at(*path, "kind")
    declare_variable(
        document,
        draft,
        name,
        path,
        kind=_KINDS.get(str(kind), kind) if kind is not None else "string",
        required=default is None and document.at(*path, "required") is not False,
        default=default,
        description=document.at(*path, "description"),
    )
    for key in ("kind", "description", "required"):
        if document.at(*path, key) is not None:
            document.take(*path, key)
    if default is not None and not draft.declared[name][0].required:
        document.take(*path, "default")
    if not document.keys(*path):
        document.take(*path)


def _take_example(document: Source, name: str, path: FieldPath, values: dict[str, JSON]) -> None:
    value = document.at(*path)
    if value is None:
        return
    if is_reference(value):
        document.lose(path, _NEVER)
    else:
        values[name] = document.take(*path)


def _without_media(message: DraftMessage, name: str, kind: str) -> DraftMessage:
    pieces = [
        Foreign(f"{{{{ {name} }}}}", f"an input of kind {kind}", 1) if piece == Use(name) else piece
        for piece in message.pieces
    ]
    return DraftMessage(message.role, pieces, message.place, message.first_line)


# Outputs and tools


def _outputs(document: Source, draft: Draft) -> None:
    schema = _object_schema(document, "outputs")
    if schema is not None:
        add_response_schema(draft, schema)


def _object_schema(document: Source, *path: str | int) -> dict[str, JSON] | None:
    """Return the JSON Schema of an object with these properties, taking them; None if none."""
    properties: dict[str, JSON] = {}
    required: list[JSON] = []
    for name, place in _properties(document, *path):
        schema = _schema(document, place)
        if schema is None:
            continue
        properties[name] = schema
        if document.at(*place, "required") is True:
            required.append(name)
            document.take(*place, "required")
    if not properties:
        return None
    found: dict[str, JSON] = {"type": "object", "properties": properties}
    if required:
        found["required"] = required
    found["additionalProperties"] = False
    return found


def _schema(document: Source, path: FieldPath) -> dict[str, JSON] | None:
    """Return the JSON Schema of one property, taking it; None if it has no such form."""
    kind = _KINDS.get(str(document.at(*path, "kind") or "any"))
    if kind is None or not isinstance(document.at(*path), Mapping):
        return None
    found: dict[str, JSON] = {} if kind == "any" else {"type": kind}
    if document.at(*path, "kind") is not None:
        document.take(*path, "kind")
    if kind == "array" and document.at(*path, "items") is not None:
        found["items"] = _schema(document, (*path, "items")) or {}
    if kind == "object" and document.at(*path, "properties") is not None:
        found |= _object_schema(document, *path, "properties") or {}
    if isinstance(document.at(*path, "description"), str):
        found["description"] = document.take(*path, "description")
    if document.at(*path, "enumValues") is not None:
        found["enum"] = document.take(*path, "enumValues")
    if document.at(*path, "nullable") is True and "type" in found:
        document.take(*path, "nullable")
        found["type"] = [found["type"], "null"]
    if document.at(*path, "required") is False:
        document.take(*path, "required")
    if not document.keys(*path):
        document.take(*path)
    return found


def _tools(document: Source, draft: Draft) -> None:
    for name, path in _properties(document, "tools"):
        if document.at(*path, "kind") != "function":
            document.lose(path, "tools here are functions; others are never called")
            continue
        document.take(*path, "kind")
        function: dict[str, JSON] = {"name": name}
        for key in ("description", "strict"):
            if document.at(*path, key) is not None:
                function[key] = document.take(*path, key)
        schema = _object_schema(document, *path, "parameters")
        if schema is not None:
            function["parameters"] = schema
        elif document.at(*path, "parameters") is not None:
            document.lose((*path, "parameters"), "it has no properties")
        draft.tools.append({"type": "function", "function": function})


# Writing


def write_prompty_v2(prompt: Exportable) -> Written:
    """Return the text of a file, with everything named that the format has no place for."""
    losses = Source({})
    content = prompt.content
    document: dict[str, JSON] = {"name": prompt.name}
    if prompt.description:
        document["description"] = prompt.description
    options: dict[str, JSON] = {
        wire: content.parameters[name]
        for wire, name in _PARAMETERS.items()
        if name in content.parameters
    }
    if options:
        document["model"] = {"options": options}
    history = _history_name(prompt)
    inputs: dict[str, JSON] = {n: _written_input(v) for n, v in content.variables.items()}
    if history is not None:
        inputs[history] = {"kind": "thread"}
    if inputs:
        document["inputs"] = inputs
    outputs = _written_outputs(losses, prompt)
    if outputs is not None:
        document["outputs"] = outputs
    tools = _written_tools(losses, prompt)
    if tools:
        document["tools"] = tools
    document["template"] = {"format": {"kind": "jinja2"}, "parser": {"kind": "prompty"}}
    note_unwritten(
        losses,
        content,
        _FORMAT,
        parameters=frozenset(_PARAMETERS.values()),
        variables=True,
        written_otherwise=JINJA_FORMS,
        tools=True,
        response_format=outputs is not None,
    )
    body = write_body(losses, prompt, 2, history)
    return close(prompt, f"---\n{dump_yaml(document)}---\n{body}\n", losses, read_prompty_v2)


def _history_name(prompt: Exportable) -> str | None:
    """Return a name for the conversation that no variable has; None if there is no placeholder."""
    if not any(isinstance(message, MessagePlaceholder) for message in prompt.content.messages):
        return None
    name = "history"
    while name in prompt.content.variables:
        name += "_"
    return name


def _written_input(variable: Variable) -> dict[str, JSON]:
    shape: dict[str, JSON] = {"kind": variable.type}
    if variable.description:
        shape["description"] = variable.description
    if variable.required:
        shape["required"] = True
    else:
        shape["default"] = variable.default
    return shape


def _written_outputs(losses: Source, prompt: Exportable) -> JSON:
    schema = response_schema(prompt.content)
    outputs = None if schema is None else _as_properties(schema)
    if outputs is not None:
        note_schema_details(losses, prompt, _FORMAT)
    return outputs


def _as_properties(schema: Mapping[str, JSON]) -> dict[str, JSON] | None:
    """Return the properties that read back as this JSON Schema; None if there are none such."""
    properties = schema.get("properties")
    required = schema.get("required", [])
    if not isinstance(properties, Mapping) or not isinstance(required, list):
        return None
    found: dict[str, JSON] = {
        name: _as_property(item, name in required) for name, item in properties.items()
    }
    read_back = _object_schema(Source({"outputs": found}), "outputs")
    return found if read_back == schema else None


def _as_property(schema: JSON, required: bool) -> dict[str, JSON]:
    shape = schema if isinstance(schema, Mapping) else {}
    kind = shape.get("type", "any")
    found: dict[str, JSON] = {"kind": kind}
    if isinstance(kind, list) and len(kind) == 2 and kind[1] == "null":
        found = {"kind": kind[0], "nullable": True}
    if "description" in shape:
        found["description"] = shape["description"]
    if "enum" in shape:
        found["enumValues"] = shape["enum"]
    if "items" in shape:
        found["items"] = _as_property(shape["items"], required=False)
    if isinstance(properties := shape.get("properties"), Mapping):
        inner = shape.get("required", [])
        names = inner if isinstance(inner, list) else []
        found["properties"] = {n: _as_property(v, n in names) for n, v in properties.items()}
    if required:
        found["required"] = True
    return found


def _written_tools(losses: Source, prompt: Exportable) -> list[JSON]:
    found: list[JSON] = []
    for index, function in functions(losses, prompt.content.tools, _FORMAT):
        place = f"tools[{index}].function"
        shape: dict[str, JSON] = {"name": function["name"], "kind": "function"}
        for key in ("description", "strict"):
            if key in function:
                shape[key] = function[key]
        parameters = function.get("parameters")
        if isinstance(parameters, Mapping):
            properties = _as_properties(parameters)
            if properties is None:
                why = f"{_FORMAT} has no form for this JSON Schema"
                losses.note(path_text((place, "parameters")), "", why, "dropped")
            else:
                shape["parameters"] = properties
        note_further(losses, place, function, _TOOL_KEYS, _FORMAT)
        found.append(shape)
    return found
