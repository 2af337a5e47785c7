"""Prompts as Langfuse's API returns them: one object, a list, or pages with `data`.

Text prompts and chat prompts with `{{name}}`; a placeholder for messages becomes ours. Labels
become proposed aliases; `latest` is no choice of anybody and is left out. What refers to
another prompt by name is not looked up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from app.core.errors import Invalid
from workbench.interchange.foreign_json import parse_foreign_json
from workbench.interchange.losses import FieldPath, Source, path_text
from workbench.interchange.pieces import Foreign, History, Piece, Text
from workbench.interchange.prompts import (
    Draft,
    DraftMessage,
    Imported,
    ImportedPrompt,
    add_parameter,
    assemble,
    prompt_name,
)
from workbench.interchange.records import records, text_message, text_pieces

__all__ = ["read_langfuse"]

_REFERENCE: Final = re.compile(r"@@@langfusePrompt:[^@\n]{1,500}@@@")
_PARAMETERS: Final = {
    "temperature": "temperature",
    "top_p": "top_p",
    "topP": "top_p",
    "max_tokens": "max_tokens",
    "maxTokens": "max_tokens",
    "seed": "seed",
    "stop": "stop",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}
_REASONS: Final = MappingProxyType(
    {
        "id": "rows have ids of their own here",
        "projectId": "one database is one organisation",
        "createdAt": "the time of registration is stored here",
        "updatedAt": "a published version is never changed",
        "createdBy": "the registry records who published a version",
        "tags": "prompts here have no tags",
        "config": "there is no such parameter here",
        "labels": "it is always on the newest version",
        "isActive": "an alias says what is in use",
        "resolutionGraph": "prompts here do not include each other",
        "meta": "it only says how the list is paged",
    }
)


def read_langfuse(text: str, *, source: str, file_stem: str) -> Imported:
    """Read an export; versions of a prompt come oldest first. Raises `Invalid` if it is none."""
    document = Source(parse_foreign_json(text, source=source), _REASONS)
    found: list[tuple[str, int, ImportedPrompt]] = []
    for path in records(document):
        if document.at(*path, "prompt") is None:
            raise Invalid(
                f"{source}: {path_text(path) or 'the object'} has no prompt. A list of prompts "
                "holds no texts: export each version."
            )
        draft = _draft(document, path, file_stem)
        version = document.at(*path, "version")
        number = version if isinstance(version, int) else 0
        found.append((draft.name, number, assemble(document, draft)))
    if not found:
        raise Invalid(f"{source} holds no prompt.")
    found.sort(key=lambda item: item[:2])
    return Imported(tuple(prompt for _, _, prompt in found), document.finish())


def _draft(document: Source, path: FieldPath, file_stem: str) -> Draft:
    told = document.text(*path, "name")
    draft = Draft(prompt_name(document, told, (*path, "name"), file_stem))
    version = document.take(*path, "version")
    comment = document.text(*path, "commitMessage")
    draft.message = comment or f"version {version} in Langfuse"
    draft.messages = list(_messages(document, path))
    for name in document.keys(*path, "config"):
        at = (*path, "config", name)
        if name == "model":
            document.lose(at, "a prompt here names no model: an experiment does")
        else:
            add_parameter(document, draft, at, _PARAMETERS.get(name, name))
    if not document.keys(*path, "config"):
        document.take(*path, "config")
    labels = []
    for index in range(document.length(*path, "labels")):
        label = document.at(*path, "labels", index)
        if isinstance(label, str) and label != "latest":
            labels.append(str(document.take(*path, "labels", index)))
    draft.aliases = tuple(labels)
    return draft


def _messages(document: Source, path: FieldPath) -> Iterator[DraftMessage]:
    if document.at(*path, "type") in ("text", "chat"):
        document.take(*path, "type")
    if isinstance(document.at(*path, "prompt"), str):
        text = document.text(*path, "prompt")
        yield text_message(document, text, _pieces(text), path_text((*path, "prompt")))
        return
    for index in range(document.length(*path, "prompt")):
        yield _chat_message(document, (*path, "prompt", index))


def _chat_message(document: Source, at: FieldPath) -> DraftMessage:
    place = path_text(at)
    if document.at(*at, "type") == "placeholder":
        document.take(*at, "type")
        name = document.text(*at, "name")
        if name and name != "history":
            document.note(f"{place}.name", name, "the one message placeholder is called history")
        return DraftMessage("", [History()], place)
    if document.at(*at, "type") is not None:
        document.take(*at, "type")
    role = document.text(*at, "role") or "user"
    return DraftMessage(role, _pieces(document.text(*at, "content")), f"{place}.content")


def _pieces(text: str) -> list[Piece]:
    return [part for piece in text_pieces(text) for part in _without_references(piece)]


def _without_references(piece: Piece) -> Iterator[Piece]:
    if not isinstance(piece, Text):
        yield piece
        return
    position = 0
    for match in _REFERENCE.finditer(piece.text):
        yield Text(piece.text[position : match.start()])
        yield Foreign(match[0], "the text of another prompt", 1)
        position = match.end()
    yield Text(piece.text[position:])
