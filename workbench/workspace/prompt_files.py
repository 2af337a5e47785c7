"""Prompt files: one file a version, `prompts/<name>/v3.yaml` or `prompts/<team>/<name>/v3.yaml`.

    name: support-triage
    version: v3
    description: Route a ticket to one queue.
    message: name the queues, ask for the label only
    messages:
      - {role: system, content: "You route support tickets."}
      - {role: user, content: "{{ ticket }}"}
    variables: {ticket: {type: string, required: true}}
    parameters: {temperature: 0, max_tokens: 8}

A file without `version` is a draft, under any other file name. Reading is strict: whatever is
unknown, undeclared, unused or out of place is an error that names file, line and field.
Writing has one byte form, and what it writes reads back as the same prompt. Giving a file
its number changes only the lines concerned, so that comments and layout stay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from app.core.errors import Invalid
from app.core.hashing import JSON
from app.core.settings import WORKSPACE_MARKER
from app.schemas.names import parse_reference
from app.schemas.prompts import (
    MessagePlaceholder,
    MessageTemplate,
    PromptContent,
    Variable,
    check_parameters,
)
from workbench.workspace.strict_yaml import (
    FieldPath,
    YamlDocument,
    first_problem,
    parse_yaml,
    read_yaml,
)
from workbench.yaml_text import dump_yaml

__all__ = [
    "PROMPTS_FOLDER",
    "PromptFile",
    "find_prompt_files",
    "is_prompt_file",
    "number_prompt_text",
    "parse_prompt",
    "prompt_path",
    "read_prompt_file",
    "write_prompt",
]

PROMPTS_FOLDER = "prompts"

_SUFFIX = ".yaml"
_VERSION = re.compile(r"v([1-9][0-9]{0,8})")
_BARE_BRACES = re.compile(r"[:,\[-][ \t]*\{\{")


@dataclass(frozen=True)
class PromptFile:
    """What one file says. `number` is None for a draft."""

    path: Path
    name: str
    number: int | None
    content: PromptContent
    description: str = ""
    message: str = ""

    @property
    def reference(self) -> str:
        """`triage@3`, or the path of a draft."""
        return str(self.path) if self.number is None else f"{self.name}@{self.number}"


class _Document(BaseModel):
    """The keys of a prompt file; what stands inside them is checked one by one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    version: Any = None
    description: str = ""
    message: str = ""
    messages: list[Any]
    variables: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    tools: Any = None
    tool_choice: Any = None
    response_format: Any = None


def is_prompt_file(text: str) -> bool:
    """Whether an argument means a file and no reference: it ends in `.yaml` or `.yml`."""
    return text.endswith((_SUFFIX, ".yml"))


def prompt_path(root: Path, name: str, number: int) -> Path:
    """Return where a version's file belongs in the workspace `root`."""
    return root.joinpath(PROMPTS_FOLDER, *name.split("/"), f"v{number}{_SUFFIX}")


def find_prompt_files(root: Path) -> list[Path]:
    """Return the YAML files below `prompts/` of a workspace, sorted; hidden ones are left out."""
    folder = root / PROMPTS_FOLDER
    found = [*folder.rglob(f"*{_SUFFIX}"), *folder.rglob("*.yml")]
    return sorted(
        path
        for path in found
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def read_prompt_file(path: Path, *, source: str | None = None) -> PromptFile:
    """Read one file; `source` is its name in messages (default: the path as given).

    A file below the `prompts/` folder of a workspace must lie in the folder of its name.
    Raises `Invalid` for the first problem.
    """
    shown = source or str(path)
    if path.suffix != _SUFFIX:
        raise Invalid(f"{shown}: a prompt file's name ends in {_SUFFIX}; rename the file.")
    try:
        document = read_yaml(path, source=shown)
    except Invalid as error:
        raise _with_hint(error, path) from None
    return _prompt_file(_Source(document, path.read_text(encoding="utf-8-sig")), path)


def parse_prompt(text: str, path: Path, *, source: str | None = None) -> PromptFile:
    """Read a text as if it stood in the file `path`. Raises `Invalid` for the first problem."""
    document = parse_yaml(text, source=source or str(path))
    return _prompt_file(_Source(document, text), path)


def _with_hint(error: Invalid, path: Path) -> Invalid:
    """YAML reads `content: {{ x }}` as mappings, and says so in words that help nobody."""
    if path.is_file() and _BARE_BRACES.search(path.read_text("utf-8-sig", errors="replace")):
        error.hint = 'A text that begins with {{ stands in quotes: "{{ name }}".'
    return error


@dataclass(frozen=True)
class _Source:
    """A document with its text, and the ways to refuse it."""

    document: YamlDocument
    text: str

    def problem(self, path: FieldPath, message: str) -> Invalid:
        return self.document.problem(path, message)

    def problem_in_text(self, path: FieldPath, line: int, message: str) -> Invalid:
        """Return a problem in the `line`th line (from 1) of the text at `path`.

        A literal block has the text's lines as they are; any other form folds them, and the
        field's line is named.
        """
        document = self.document
        node = _node(_compose(self.text), path)
        if isinstance(node, yaml.ScalarNode) and node.style == "|":
            in_file = int(node.start_mark.line) + 1 + line
            document = replace(document, lines={**document.lines, path: in_file})
        return document.problem(path, message)

    def refuse(self, error: ValidationError, model: type[BaseModel], at: FieldPath) -> NoReturn:
        """Raise the first problem that pydantic found with the value at `at`."""
        first = first_problem(error)
        context, where = first.get("ctx", {}), (*at, *first["loc"])
        problem = f"{first['msg']}."
        match first["type"]:
            case "string_type":
                found = self.problem(where, "this must be a text; put it in quotes.")
            case "bool_type":
                found = self.problem(where, "this must be true or false.")
            case "template":
                found = self.problem_in_text(where, context["line"], first["msg"])
            case "nul":
                found = self.problem(where, problem)
            case "undeclared":
                where = ("messages", context["message"], "content")
                line = _line_of_placeholder(self._value(where), context["variable"])
                found = self.problem_in_text(where, line, problem)
            case "second_placeholder":
                found = self.problem(("messages", context["message"]), problem)
            case "unused":
                found = self.problem(("variables", context["variable"]), problem)
            case _:
                found = self.document.validation_problem(error, model, at=at)
        raise found from None

    def _value(self, path: FieldPath) -> str:
        value: Any = self.document.value
        for part in path:
            value = value[part]
        return str(value)


def _line_of_placeholder(text: str, name: str) -> int:
    """Return the line (from 1) of the first placeholder with this name."""
    match = re.search(r"\{\{[ \t]*" + re.escape(name) + r"[ \t]*\}\}", text)
    return 1 if match is None else text.count("\n", 0, match.start()) + 1


def _compose(text: str) -> yaml.Node | None:
    """Return a document's nodes with their places in the text, or None.

    This is the parser written in Python; the one that read the file may be libyaml, and the
    two differ at the edges of YAML.
    """
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None


def _node(node: yaml.Node | None, path: FieldPath) -> yaml.Node | None:
    """Return the node at a path of a document without tags and aliases."""
    for part in path:
        if isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == part), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
    return node


def _prompt_file(source: _Source, path: Path) -> PromptFile:
    value = source.document.value
    if not isinstance(value, dict):
        raise source.problem((), "a prompt file holds a mapping with name and messages.")
    try:
        fields = _Document.model_validate(value)
    except ValidationError as error:
        source.refuse(error, _Document, ())
    number = _number(source, fields.version) if "version" in value else None
    _check_place(source, path, fields.name, number)
    content = _content(source, fields)
    return PromptFile(path, fields.name, number, content, fields.description, fields.message)


def _number(source: _Source, version: JSON) -> int:
    match = _VERSION.fullmatch(version) if isinstance(version, str) else None
    if match is None:
        raise source.problem(
            ("version",), "write v and a number, as in v3; leave the key out for a draft."
        )
    return int(match[1])


def _check_place(source: _Source, path: Path, name: str, number: int | None) -> None:
    """Refuse a file whose name or folder says something else than its text."""
    try:
        parse_reference(name, noun="prompt")
    except Invalid as error:
        raise source.problem(("name",), error.message) from None
    if "@" in name:
        raise source.problem(("name",), f"{name!r} is a reference; write the name alone.")
    called = _VERSION.fullmatch(path.stem)
    if number is None and called:
        raise source.problem(
            (),
            f"version is missing: a file called {path.name} says version: {path.stem}. "
            "Add it, or give the draft another file name.",
        )
    if number is not None and path.stem != f"v{number}":
        raise source.problem(
            ("version",), f"version v{number} belongs in a file called v{number}{_SUFFIX}."
        )
    folder = _folder(path)
    if folder is not None and folder != name:
        raise source.problem(
            ("name",),
            f"the name is {name!r}, so that the file belongs in the folder "
            f"{PROMPTS_FOLDER}/{name}; it lies in {f'{PROMPTS_FOLDER}/{folder}'.rstrip('/')}.",
        )


def _folder(path: Path) -> str | None:
    """Return the folder below a workspace's `prompts/`, or None for a file anywhere else."""
    resolved = path.resolve()
    for root in resolved.parents:
        if (root / WORKSPACE_MARKER).is_file():
            prompts = root / PROMPTS_FOLDER
            if resolved.is_relative_to(prompts):
                return resolved.parent.relative_to(prompts).as_posix().removeprefix(".")
            return None
    return None


def _content(source: _Source, fields: _Document) -> PromptContent:
    shape = {
        "messages": tuple(
            _message(source, item, ("messages", index))
            for index, item in enumerate(fields.messages)
        ),
        "variables": {
            name: _variable(source, item, ("variables", name))
            for name, item in fields.variables.items()
        },
        "parameters": _parameters(source, fields.parameters),
        "tools": fields.tools,
        "tool_choice": fields.tool_choice,
        "response_format": fields.response_format,
    }
    try:
        content = PromptContent.model_validate(shape)
    except ValidationError as error:
        source.refuse(error, PromptContent, ())
    try:
        _ = content.hash
    except Invalid as error:  # a character that JSON cannot hold
        raise source.problem((), error.message) from None
    return content


def _message(source: _Source, item: JSON, at: FieldPath) -> MessageTemplate | MessagePlaceholder:
    if not isinstance(item, dict):
        raise source.problem(
            at, "a message is a mapping with role and content, or {placeholder: history}."
        )
    model = MessagePlaceholder if "placeholder" in item else MessageTemplate
    try:
        return model.model_validate(item, strict=True)
    except ValidationError as error:
        source.refuse(error, model, at)


def _variable(source: _Source, item: JSON, at: FieldPath) -> Variable:
    if not isinstance(item, dict):
        raise source.problem(at, "a variable is a mapping, as in {type: string, required: true}.")
    try:
        return Variable.model_validate(item, strict=True)
    except ValidationError as error:
        source.refuse(error, Variable, at)


def _parameters(source: _Source, parameters: dict[str, JSON]) -> dict[str, JSON]:
    for name, value in parameters.items():
        if value is None:
            raise source.problem(("parameters", name), "the value is missing.")
    try:
        check_parameters(parameters)
    except Invalid as error:
        at = tuple((error.path or "parameters").split("."))
        raise Invalid(
            f"{source.document.source}, line {source.document.line(at)}: {error.message}",
            path=error.path,
        ) from None
    return parameters


def write_prompt(file: PromptFile) -> str:
    """Return the text of a file in its one byte form."""
    content = file.content
    document: dict[str, JSON] = {"name": file.name}
    if file.number is not None:
        document["version"] = f"v{file.number}"
    told = {"description": file.description, "message": file.message}
    document |= {key: text for key, text in told.items() if text}
    document["messages"] = [message.model_dump() for message in content.messages]
    if content.variables:
        document["variables"] = {n: _variable_shape(v) for n, v in content.variables.items()}
    if content.parameters:
        document["parameters"] = dict(content.parameters)
    for key in ("tools", "tool_choice", "response_format"):
        value: JSON = getattr(content, key)
        if value is not None:
            document[key] = value
    return dump_yaml(document)


def _variable_shape(variable: Variable) -> dict[str, JSON]:
    shape: dict[str, JSON] = {"type": variable.type, "required": variable.required}
    if not variable.required:
        shape["default"] = variable.default
    if variable.description:
        shape["description"] = variable.description
    return shape


def number_prompt_text(text: str, numbered: PromptFile) -> str:
    """Return a file's text with the number and the message of `numbered`, else as it was.

    `text` says the same content. Comments and layout stay; where that cannot be done by
    changing whole entries, the file is written anew.
    """
    try:
        changed = _with_number(text, numbered)
        if parse_prompt(changed, numbered.path) == numbered:
            return changed
    except Invalid:
        return write_prompt(numbered)
    return write_prompt(numbered)


def _with_number(text: str, numbered: PromptFile) -> str:
    """Set the entries `version` and `message`, or insert them below `name`."""
    root = _compose(text)
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        return text
    entries = {key.value: (key, value) for key, value in root.value}
    wanted = {"version": f"v{numbered.number}", "message": numbered.message}
    edits: list[tuple[int, int, str]] = []
    inserted = ""
    for name, value in wanted.items():
        line = dump_yaml({name: value}).removesuffix("\n")
        if name in entries:
            key, node = entries[name]
            start, end = key.start_mark.index, node.end_mark.index
            end = start + len(text[start:end].rstrip())  # a block's mark is behind its blank lines
            edits.append((start, end, line))
        elif value:
            inserted += f"\n{line}"
    after_name = text.find("\n", entries["name"][1].end_mark.index)
    at = len(text) if after_name < 0 else after_name
    at -= text[:at].endswith("\r")
    edits.append((at, at, inserted))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + (new.replace("\n", "\r\n") if "\r\n" in text else new) + text[end:]
    return text
