"""The first form of Prompty files, read and written."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from app.core.hashing import JSON
from app.schemas.prompts import Variable
from workbench.interchange.losses import FieldPath, Source, is_reference
from workbench.interchange.pieces import Use
from workbench.interchange.prompts import (
    JINJA_FORMS,
    Draft,
    Example,
    Exportable,
    Imported,
    add_parameter,
    assemble,
)
from workbench.interchange.prompty_body import (
    Engine,
    engine_at,
    read_body,
    read_head,
    write_body,
)
from workbench.interchange.schemas import declare_variable
from workbench.interchange.writing import Written, close, note_unwritten
from workbench.yaml_text import dump_yaml

__all__ = ["read_prompty_v1", "write_prompty_v1"]

_FORMAT: Final = "a Prompty file of the first form"
_PARAMETERS: Final = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "stop": "stop",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "n": "n",
    "logprobs": "logprobs",
    "top_logprobs": "top_logprobs",
    "reasoning_effort": "reasoning_effort",
    "verbosity": "verbosity",
}
_WRITTEN: Final = frozenset(_PARAMETERS) - {"max_completion_tokens"}
_TYPES: Final = frozenset({"string", "integer", "number", "boolean", "object", "array", "any"})
_NEVER: Final = "references to files and the environment are never resolved"

_REASONS: Final = MappingProxyType(
    {
        "version": "versions are numbered here when they are published",
        "authors": "the registry records who published a version",
        "tags": "prompts here have no tags",
        "model": "a prompt here names no model: an experiment does",
        "model.api": "answers are asked for as chats here",
        "model.configuration": "where a model is reached stands in workbench.yaml, keys in the "
        "environment",
        "model.response": "the whole answer is stored here",
        "model.parameters": "there is no such parameter here",
        "outputs": "it only describes; write a response_format to demand it",
        "sample": _NEVER,
    }
)


def read_prompty_v1(text: str, *, source: str, file_stem: str) -> Imported:
    """Read one file. Raises `Invalid` for a file without front matter."""
    front, document, draft = read_head(text, _REASONS, source=source, file_stem=file_stem)
    if document.at("base") is not None:
        document.lose(
            ("base",), "another file is never read for what it adds", changes_meaning=True
        )
    draft.messages = read_body(document, front, 1, _engine(document))
    _model(document, draft)
    _inputs(document, draft)
    _sample(document, draft)
    return Imported((assemble(document, draft),), document.finish())


def _engine(document: Source) -> Engine:
    """Take the template engine; Jinja where none is told."""
    if not isinstance(document.at("template"), Mapping):
        return engine_at(document, ("template",))
    if document.at("template", "parser") in ("prompty", "prompty.chat"):
        document.take("template", "parser")
    return engine_at(document, ("template", "type"))


def _model(document: Source, draft: Draft) -> None:
    if document.at("model", "api") == "chat":
        document.take("model", "api")
    for name in document.keys("model", "parameters"):
        path = ("model", "parameters", name)
        value = document.at(*path)
        if name == "response_format" and isinstance(value, Mapping):
            draft.response_format = dict(value)
            document.take(*path)
        elif name == "tools" and _are_tools(value):
            draft.tools = [dict(tool) for tool in value]  # type: ignore[union-attr,arg-type]
            document.take(*path)
        elif name in ("tool_choice", "tools_choice") and isinstance(value, (str, Mapping)):
            draft.tool_choice = value
            document.take(*path)
        else:
            add_parameter(document, draft, path, _PARAMETERS.get(name, name))


def _are_tools(value: JSON) -> bool:
    return isinstance(value, list) and all(isinstance(tool, Mapping) for tool in value)


def _inputs(document: Source, draft: Draft) -> None:
    for name in document.keys("inputs"):
        path = ("inputs", name)
        if not isinstance(document.at(*path), Mapping):
            continue
        default = document.at(*path, "default")
        if is_reference(default):
            document.lose((*path, "default"), _NEVER)
            default = None
        declare_variable(
            document,
            draft,
            name,
            path,
            kind=document.at(*path, "type") or "string",
            required=default is None and document.at(*path, "is_required") is not False,
            default=default,
            description=document.at(*path, "description"),
        )
        for key in ("type", "description", "is_required"):
            if document.at(*path, key) is not None:
                document.take(*path, key)
        if default is not None and not draft.declared[name][0].required:
            document.take(*path, "default")
        if not document.keys(*path):
            document.take(*path)


def _sample(document: Source, draft: Draft) -> None:
    """Make an example of the sample, and of each input's own sample."""
    used = {p.name for m in draft.messages for p in m.pieces if isinstance(p, Use)}
    values: dict[str, JSON] = {}
    places: list[tuple[str, FieldPath]] = [
        (name, ("sample", name)) for name in document.keys("sample")
    ]
    places += [
        (name, ("inputs", name, "sample"))
        for name in document.keys("inputs")
        if document.at("inputs", name, "sample") is not None
    ]
    for name, path in places:
        value = document.at(*path)
        if is_reference(value):
            document.lose(path, _NEVER)
        elif name not in used:
            document.lose(path, "no message uses this variable")
        else:
            values[name] = document.take(*path)
            if name not in draft.declared and not isinstance(value, str):
                draft.declared[name] = (Variable(type="any"), path)
    if values:
        draft.examples.append(Example(values))


# Writing


def write_prompty_v1(prompt: Exportable) -> Written:
    """Return the text of a file, with everything named that the format has no place for."""
    losses = Source({})
    content = prompt.content
    document: dict[str, JSON] = {"name": prompt.name}
    if prompt.description:
        document["description"] = prompt.description
    parameters: dict[str, JSON] = {
        name: value for name, value in content.parameters.items() if name in _WRITTEN
    }
    if content.response_format is not None:
        parameters["response_format"] = content.response_format
    if content.tools is not None:
        parameters["tools"] = content.tools
    if content.tool_choice is not None:
        parameters["tool_choice"] = content.tool_choice
    document["model"] = {"api": "chat"} | ({"parameters": parameters} if parameters else {})
    if content.variables:
        document["inputs"] = {n: _written_input(v) for n, v in content.variables.items()}
    document["template"] = "jinja2"
    note_unwritten(
        losses,
        content,
        _FORMAT,
        parameters=_WRITTEN,
        variables=True,
        written_otherwise=JINJA_FORMS,
        tools=True,
        tool_choice=True,
        response_format=True,
    )
    body = write_body(losses, prompt, 1, None)
    return close(prompt, f"---\n{dump_yaml(document)}---\n{body}\n", losses, read_prompty_v1)


def _written_input(variable: Variable) -> dict[str, JSON]:
    shape: dict[str, JSON] = {"type": variable.type}
    if variable.description:
        shape["description"] = variable.description
    if not variable.required:
        shape["default"] = variable.default
    return shape
