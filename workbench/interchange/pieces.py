r"""Templates of every tool as one sequence of pieces: text, a variable, a marker, or foreign.

Reading a template splits it before anything is put in, so that no value can ever become a
role, a placeholder or a helper. `Foreign` is what our templates cannot say: a helper, a
block, a filter, a path into an object. Kept on request, it becomes plain text.

Our own form cannot hold two things: a backslash or a single `{` right before a placeholder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from app.core.templating import TemplateSyntaxError, compile_template

__all__ = [
    "Foreign",
    "History",
    "Piece",
    "Role",
    "Text",
    "Use",
    "cannot_precede_variable",
    "is_variable_name",
    "last_start",
    "literal_braces",
    "merged",
    "our_pieces",
    "our_text",
    "strip_ends",
]

_SPACED = re.compile(r"\{\{[ \t]*+([^{}\n]{1,100}?)[ \t]*+\}\}")


@dataclass(frozen=True)
class Text:
    """Characters that reach the model as they are."""

    text: str


@dataclass(frozen=True)
class Use:
    """The place of a variable, under its name in the template."""

    name: str


@dataclass(frozen=True)
class Role:
    """What follows is said by another role, under its name in the template."""

    name: str


@dataclass(frozen=True)
class History:
    """The place where a conversation's messages go."""


@dataclass(frozen=True)
class Foreign:
    """A construct without a counterpart; `line` counts from 1 within the template.

    A comment changes nothing for a model when it is left out; everything else does.
    """

    source: str
    what: str
    line: int
    is_comment: bool = False


Piece: TypeAlias = Text | Use | Role | History | Foreign


def is_variable_name(name: str) -> bool:
    """Whether our templates can use the name as it is."""
    try:
        return compile_template(f"{{{{{name}}}}}").names == (name,)
    except TemplateSyntaxError:
        return False


def last_start(pattern: re.Pattern[str], text: str) -> int:
    """Return where the last match of a pattern begins; -1 if there is none."""
    return max((match.start() for match in pattern.finditer(text)), default=-1)


def merged(pieces: Iterable[Piece]) -> list[Piece]:
    """Return the pieces with neighbouring texts joined and empty ones left out."""
    found: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, Text):
            if not piece.text:
                continue
            if found and isinstance(found[-1], Text):
                piece = Text(found.pop().text + piece.text)  # type: ignore[union-attr]  # a Text
        found.append(piece)
    return found


def strip_ends(pieces: Sequence[Piece], characters: str | None = None) -> list[Piece]:
    """Return the pieces without white space at both ends of the whole, as `str.strip`."""
    found = merged(pieces)
    if found and isinstance(found[0], Text):
        found[0] = Text(found[0].text.lstrip(characters))
    if found and isinstance(found[-1], Text):
        found[-1] = Text(found[-1].text.rstrip(characters))
    return merged(found)


def our_pieces(content: str) -> list[Piece]:
    """Return the pieces of one of our own templates."""
    template = compile_template(content)
    pieces: list[Piece] = [Text(template.literals[0])]
    for name, literal in zip(template.names, template.literals[1:], strict=True):
        pieces += [Use(name), Text(literal)]
    return merged(pieces)


def cannot_precede_variable(text: str) -> bool:
    r"""Whether our templates cannot hold this text right before a placeholder.

    A backslash there would make the placeholder literal, and so would one more brace.
    """
    return _our_escaped(text).endswith("\\") or text.replace("{{", "").endswith("{")


def _our_escaped(text: str) -> str:
    return text.replace("{{", "\\{{")


def our_text(pieces: Iterable[Piece]) -> str:
    """Return pieces of texts and variables as one of our templates.

    A space parts what cannot stand right before a placeholder from it; `Foreign` becomes text.
    """
    parts: list[str] = []
    last = ""
    for piece in merged(_as_text(pieces)):
        if isinstance(piece, Text):
            last = piece.text
            parts.append(_our_escaped(last))
        elif isinstance(piece, Use):
            if cannot_precede_variable(last):
                parts.append(" ")
            parts.append(f"{{{{ {piece.name} }}}}")
            last = ""
    return "".join(parts)


def _as_text(pieces: Iterable[Piece]) -> Iterator[Piece]:
    for piece in pieces:
        if isinstance(piece, Foreign):
            yield Text("" if piece.is_comment else piece.source)
        else:
            yield piece


def literal_braces(text: str, *, spaces: bool) -> list[Piece]:
    """Return the pieces of a template whose only rule is that `{{name}}` is replaced.

    With `spaces`, `{{ name }}` is replaced as well; without, it is text.
    """
    pieces: list[Piece] = []
    position = 0
    for match in _SPACED.finditer(text):
        tight = match[0] == f"{{{{{match[1]}}}}}"
        if not (spaces or tight):
            continue
        pieces += [Text(text[position : match.start()]), Use(match[1])]
        position = match.end()
    pieces.append(Text(text[position:]))
    return merged(pieces)
