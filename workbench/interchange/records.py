"""What exports of prompt registries have in common: records in lists, `{{ name }}` templates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from app.core.errors import Invalid
from workbench.interchange.losses import FieldPath, Source
from workbench.interchange.pieces import (
    Foreign,
    Piece,
    Use,
    is_variable_name,
    literal_braces,
)
from workbench.interchange.prompts import DraftMessage

__all__ = ["records", "text_message", "text_pieces"]

_LISTS: Final = ("data", "prompts", "prompt_versions", "model_versions", "versions")


def records(document: Source, path: FieldPath = ()) -> Iterator[FieldPath]:
    """Yield the place of every record: of the object itself, of a list, of pages in a list.

    Raises `Invalid` for anything else.
    """
    value = document.at(*path)
    if isinstance(value, Mapping):
        for key in _LISTS:
            if isinstance(value.get(key), list):
                yield from records(document, (*path, key))
                return
        yield path
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index in range(len(value)):
            yield from records(document, (*path, index))
    else:
        raise Invalid("An export holds an object or a list of objects.")


def text_pieces(text: str) -> list[Piece]:
    """Return the pieces of a template in which `{{ name }}` is replaced and nothing else is.

    What has braces and no plain name (a path, a block) is foreign.
    """
    pieces: list[Piece] = []
    line = 1
    for piece in literal_braces(text, spaces=True):
        if isinstance(piece, Use) and not _is_plain(piece.name):
            pieces.append(Foreign(f"{{{{{piece.name}}}}}", "an expression", line))
        else:
            pieces.append(piece)
        line += getattr(piece, "text", "").count("\n")
    return pieces


def _is_plain(name: str) -> bool:
    return is_variable_name(name.replace("-", "_").replace(" ", "_"))


def text_message(document: Source, text: str, pieces: list[Piece], place: str) -> DraftMessage:
    """Return the message of a prompt that is one text without a role."""
    document.note(place, text, "a text without a role became a message of the user")
    return DraftMessage("user", pieces, place)
