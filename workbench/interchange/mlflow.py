"""Prompts of MLflow's prompt registry, exported as JSON.

Two shapes are read: prompt versions as the client has them (`name`, `version`, `template`,
`aliases`, `commit_message`), and model versions as the REST API returns them, with the text in
the tag `mlflow.prompt.text`. Templates are `{{ name }}`; Jinja ones are read as Jinja. Aliases
are proposed only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from app.core.errors import Invalid
from app.core.hashing import JSON
from workbench.interchange.foreign_json import parse_foreign_json
from workbench.interchange.jinja import read_jinja
from workbench.interchange.losses import FieldPath, Source, path_text
from workbench.interchange.pieces import Piece
from workbench.interchange.prompts import (
    Draft,
    DraftMessage,
    Imported,
    ImportedPrompt,
    add_parameter,
    add_response_schema,
    assemble,
    prompt_name,
)
from workbench.interchange.records import records, text_message, text_pieces

__all__ = ["read_mlflow"]

_TEXT: Final = "mlflow.prompt.text"
_KIND: Final = "_mlflow_prompt_type"
_MARKS: Final = {"mlflow.prompt.is_prompt": ("true", "True"), _KIND: ("text", "chat", "jinja2")}
_MODEL: Final = frozenset({"provider", "model_name"})

_REASONS: Final = MappingProxyType(
    {
        "tags": "prompts here have no tags",
        "creation_timestamp": "the time of registration is stored here",
        "last_updated_timestamp": "a published version is never changed",
        "user_id": "the registry records who published a version",
        "model_config": "there is no such parameter here",
        "variables": "variables are found in the text",
        "uri": "an address of the other registry",
        "prompt_type": "the text shows it",
        "response_format": "it is no JSON Schema",
        "next_page_token": "it only says how the list is paged",
    }
)


def read_mlflow(text: str, *, source: str, file_stem: str) -> Imported:
    """Read an export; versions of a prompt come oldest first. Raises `Invalid` if it is none."""
    document = Source(parse_foreign_json(text, source=source), _REASONS)
    found: list[tuple[str, int, ImportedPrompt]] = []
    for path in records(document):
        draft = _draft(document, path, source, file_stem)
        found.append((draft.name, _number(document, path), assemble(document, draft)))
    if not found:
        raise Invalid(f"{source} holds no prompt.")
    found.sort(key=lambda item: item[:2])
    return Imported(tuple(prompt for _, _, prompt in found), document.finish())


def _number(document: Source, path: FieldPath) -> int:
    """Return the version's number; the REST API has it as a text."""
    try:
        return int(str(document.take(*path, "version")))
    except ValueError:
        return 0


def _draft(document: Source, path: FieldPath, source: str, file_stem: str) -> Draft:
    told = document.text(*path, "name")
    draft = Draft(prompt_name(document, told, (*path, "name"), file_stem))
    comment = document.text(*path, "commit_message") or document.text(*path, "description")
    draft.message = comment or f"version {document.at(*path, 'version')} in MLflow"
    draft.messages = list(_messages(document, path, source))
    aliases = document.at(*path, "aliases")
    if isinstance(aliases, list) and all(isinstance(alias, str) for alias in aliases):
        draft.aliases = tuple(map(str, aliases))
        document.take(*path, "aliases")
    for name in document.keys(*path, "model_config"):
        if name not in _MODEL:
            add_parameter(document, draft, (*path, "model_config", name), name)
    schema = document.at(*path, "response_format")
    if isinstance(schema, Mapping) and ("properties" in schema or "type" in schema):
        add_response_schema(draft, dict(schema))
        document.take(*path, "response_format")
    return draft


def _messages(document: Source, path: FieldPath, source: str) -> Iterator[DraftMessage]:
    tags = _take_tags(document, path)
    jinja = "jinja2" in (tags.get(_KIND), document.at(*path, "prompt_type"))
    if isinstance(document.at(*path, "template"), list):
        yield from _chat(document, (*path, "template"), jinja)
        return
    told = document.at(*path, "template")
    text = document.text(*path, "template") if isinstance(told, str) else tags.get(_TEXT)
    if not isinstance(text, str):
        raise Invalid(f"{source}: {path_text(path) or 'the object'} has no template.")
    place = path_text((*path, "template"))
    if tags.get(_KIND) == "chat":
        inner = Source(parse_foreign_json(text, source=place))
        yield from _chat(inner, (), jinja)
        for loss in inner.finish():
            document.note(f"{place}: {loss.path}", loss.was, loss.why, loss.severity)
        return
    yield text_message(document, text, _pieces(text, jinja), place)


def _take_tags(document: Source, path: FieldPath) -> dict[str, JSON]:
    """Return the tags, a mapping or a list of key and value; takes those that say what this is."""
    value = document.at(*path, "tags")
    found: dict[str, JSON] = {}
    places: dict[str, FieldPath] = {}
    if isinstance(value, Mapping):
        found = dict(value)
        places = {key: (*path, "tags", key) for key in value}
    for index in range(document.length(*path, "tags")):
        key = str(document.at(*path, "tags", index, "key"))
        found[key] = document.at(*path, "tags", index, "value")
        places[key] = (*path, "tags", index)
    for key, place in places.items():
        if key == _TEXT or found[key] in _MARKS.get(key, ()):
            document.take(*place)
    return found


def _chat(document: Source, path: FieldPath, jinja: bool) -> Iterator[DraftMessage]:
    for index in range(document.length(*path)):
        at = (*path, index)
        role = document.text(*at, "role") or "user"
        text = document.text(*at, "content")
        yield DraftMessage(role, _pieces(text, jinja), f"{path_text(at)}.content")


def _pieces(text: str, jinja: bool) -> list[Piece]:
    return read_jinja(text) if jinja else text_pieces(text)
