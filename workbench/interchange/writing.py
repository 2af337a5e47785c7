"""What all writers share: what a format has no place for, and the proof by reading back.

A writer never vouches for its text: `close` reads it with the format's own reader and compares
the messages. White space that the format cuts is named; any other difference means that a
model would see another text, and the export is refused unless losses are accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.core.errors import Invalid
from app.core.hashing import JSON, ordered_json
from app.schemas.prompts import MessagePlaceholder, MessageTemplate, PromptContent, Variable
from workbench.interchange.foreign_yaml import ForeignYaml
from workbench.interchange.losses import LossReport, Source, shown
from workbench.interchange.prompts import Exportable, Imported, schema_name

__all__ = [
    "Written",
    "close",
    "functions",
    "mapping_source",
    "note_further",
    "note_schema_details",
    "note_unwritten",
    "response_schema",
]

_Message = MessageTemplate | MessagePlaceholder


@dataclass(frozen=True)
class Written:
    """The text of a file in another tool's format, and what it does not hold."""

    text: str
    report: LossReport


def mapping_source(
    parsed: ForeignYaml, reasons: Mapping[str, str], name: str, *, needs: str | None = None
) -> Source:
    """Return the document as a source; raises `Invalid` if it is no mapping or lacks a key."""
    value = parsed.value
    if not isinstance(value, Mapping) or (needs is not None and needs not in value):
        lacks = f" with the key {needs}" if needs else ""
        raise Invalid(f"{name} holds no mapping{lacks}: is it a file of this format?")
    return Source(value, reasons, parsed.ambiguous)


def note_unwritten(
    losses: Source,
    content: PromptContent,
    format_name: str,
    *,
    parameters: frozenset[str] = frozenset(),
    variables: bool = False,
    written_otherwise: frozenset[str] = frozenset(),
    tools: bool = False,
    tool_choice: bool = False,
    response_format: bool = False,
) -> None:
    """Name the parts of a prompt for which a format has no place.

    `parameters` are those it has a place for, `written_otherwise` the types of values that it
    puts into a text in another form; the other arguments say whether it has a place.
    """
    why = f"{format_name} has no place for it"
    for name, value in content.parameters.items():
        if name not in parameters:
            losses.note(f"parameters.{name}", shown(value), why, "dropped")
    if not variables:
        for name, variable in content.variables.items():
            if variable != Variable():
                shape: JSON = variable.model_dump(exclude_defaults=True)
                losses.note(f"variables.{name}", shown(shape), why, "dropped")
    for name, variable in content.variables.items():
        if variable.type in written_otherwise:
            form = "its values are put into a text in another form there; here as JSON"
            losses.note(f"variables.{name}.type", variable.type, form)
    for name, has_place in (
        ("tools", tools),
        ("tool_choice", tool_choice),
        ("response_format", response_format),
    ):
        value = getattr(content, name)
        if value is not None and not has_place:
            losses.note(name, shown(value), why, "dropped")


def functions(
    losses: Source, tools: Sequence[Mapping[str, JSON]] | None, format_name: str
) -> Iterator[tuple[int, Mapping[str, JSON]]]:
    """Yield index and description of each tool that is a function; name the others."""
    for index, tool in enumerate(tools or ()):
        function = tool.get("function")
        if tool.get("type") == "function" and isinstance(function, Mapping) and "name" in function:
            yield index, function
        else:
            why = f"{format_name} has functions only"
            losses.note(f"tools[{index}]", shown(tool), why, "dropped")


def note_further(
    losses: Source,
    place: str,
    value: Mapping[str, JSON],
    known: frozenset[str],
    format_name: str,
) -> None:
    """Name the entries of a mapping that a format has no place for."""
    for key, item in value.items():
        if key not in known:
            why = f"{format_name} has no place for it"
            losses.note(f"{place}.{key}", shown(item), why, "dropped")


def note_schema_details(losses: Source, prompt: Exportable, format_name: str) -> None:
    """Name what stands beside the schema of a response format and is lost without it.

    A schema that is called as the prompt is gets that name again when it is read back.
    """
    told = (prompt.content.response_format or {}).get("json_schema", {})
    known = {"schema"} | ({"name"} if told.get("name") == schema_name(prompt.name) else set())
    note_further(losses, "response_format.json_schema", told, frozenset(known), format_name)


def response_schema(content: PromptContent) -> Mapping[str, JSON] | None:
    """Return the JSON Schema that answers must satisfy; None if there is none."""
    match content.response_format:
        case {"type": "json_schema", "json_schema": {"schema": dict() as schema}}:
            return schema
    return None


def close(prompt: Exportable, text: str, losses: Source, read: Callable[..., Imported]) -> Written:
    """Return the text with its losses, those included that reading it back shows."""
    try:
        back = read(text, source="the written text", file_stem="export")
    except Invalid as error:
        losses.note("messages", "", f"it does not read back: {error.message}", changes_meaning=True)
        return Written(text, losses.finish())
    found = back.prompts[0]
    for loss in back.report.of_meaning:  # as an image in Markdown, which looks the same here
        losses.note(loss.path, loss.was, loss.why, loss.severity, changes_meaning=True)
    named = {loss.path for loss in losses.finish()}
    kept = _kept(losses, prompt.content.messages, found.content.messages, named)
    if len(kept) != len(found.content.messages):
        losses.note(
            "messages",
            f"{len(kept)} messages",
            f"it reads back as {len(found.content.messages)}: a text looks like a role there",
            changes_meaning=True,
        )
    else:
        for (index, ours), theirs in zip(kept, found.content.messages, strict=True):
            _compare(losses, index, ours, theirs, named)
    _compare_rest(prompt, found.content, losses, named)
    return Written(text, losses.finish())


def _kept(
    losses: Source, ours: Sequence[_Message], theirs: Sequence[_Message], named: set[str]
) -> list[tuple[int, _Message]]:
    """Return index and message of those that are to come back.

    A message that says nothing is left out by formats which have no place for one.
    """
    kept = [(i, message) for i, message in enumerate(ours) if f"messages[{i}]" not in named]
    blank = [(i, message) for i, message in kept if _is_blank(message)]
    if blank and len(kept) - len(blank) == len(theirs):
        for index, _ in blank:
            why = "a message that says nothing is left out there"
            losses.note(f"messages[{index}]", "", why, "dropped")
        return [item for item in kept if item not in blank]
    return kept


def _is_blank(message: _Message) -> bool:
    return isinstance(message, MessageTemplate) and not message.content.strip()


def _compare(losses: Source, index: int, ours: _Message, theirs: _Message, named: set[str]) -> None:
    place = f"messages[{index}]"
    if isinstance(ours, MessagePlaceholder) or isinstance(theirs, MessagePlaceholder):
        if ours != theirs:
            losses.note(place, "history", "it reads back elsewhere", changes_meaning=True)
        return
    if ours.role != theirs.role and f"{place}.role" not in named:
        losses.note(
            f"{place}.role", ours.role, f"it reads back as {theirs.role}", changes_meaning=True
        )
    if ours.content == theirs.content:
        return
    if ours.content.strip() == theirs.content.strip():
        losses.note(f"{place}.content", ours.content[-40:], "white space at its ends is cut there")
        return
    where, was = _first_difference(ours.content, theirs.content)
    losses.note(
        f"{place}.content, line {where}",
        was,
        "it would be read as something else there, and cannot be written otherwise",
        changes_meaning=True,
    )


def _first_difference(ours: str, theirs: str) -> tuple[int, str]:
    """Return the line (from 1) and its text at which two texts part."""
    lines = ours.split("\n")
    other = theirs.split("\n")
    for number, line in enumerate(lines):
        if number >= len(other) or line != other[number]:
            return number + 1, line
    return len(lines), lines[-1]


def _compare_rest(
    prompt: Exportable, found: PromptContent, losses: Source, named: set[str]
) -> None:
    """Name what reads back otherwise and was not named yet."""
    ours, theirs = prompt.content, found
    for name in sorted(set(ours.variables) | set(theirs.variables)):
        if ours.variables.get(name) != theirs.variables.get(name):
            _name_once(losses, named, f"variables.{name}")
    for name in sorted(set(ours.parameters) | set(theirs.parameters)):
        if ours.parameters.get(name) != theirs.parameters.get(name):
            _name_once(losses, named, f"parameters.{name}")
    for name in ("tools", "tool_choice", "response_format"):
        if ordered_json(getattr(ours, name)) != ordered_json(getattr(theirs, name)):
            _name_once(losses, named, name)


def _name_once(losses: Source, named: set[str], place: str) -> None:
    if not any(path == place or path.startswith(f"{place}.") for path in named):
        losses.note(place, "", "it reads back in another form")
