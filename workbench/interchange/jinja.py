"""Jinja templates as pieces, without running any of them.

`{{ name }}` is a variable, `{{ "text" }}` and `{% raw %}` are text, `{# … #}` is a comment, and
`-` inside the braces cuts the white space beside them. Filters, attributes, calls, blocks and
statements are foreign.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from workbench.interchange.pieces import (
    Foreign,
    Piece,
    Text,
    Use,
    is_variable_name,
    last_start,
    merged,
)

__all__ = ["read_jinja", "write_jinja"]

_RAW = re.compile(r"\{%[-+]?\s*+raw\s*+[-+]?%\}")
_END_RAW = re.compile(r"\{%[-+]?\s*+endraw\s*+[-+]?%\}")
_TAG = re.compile(
    r"\{\#(?P<comment>.*?)\#\}"
    r"|\{%(?P<statement>.*?)%\}"
    r"|\{\{(?P<expression>(?:\"[^\"\n]*\"|'[^'\n]*'|[^{}\"']|\{(?!\{)|\}(?!\}))*)\}\}",
    re.DOTALL,
)
_OPENS = re.compile(r"\{\{|\{%|\{#")
_STRING = re.compile(r"\"([^\"\\\n]*)\"|'([^'\\\n]*)'")
_CONSTANTS = frozenset({"true", "false", "none", "True", "False", "None"})


def read_jinja(text: str) -> list[Piece]:
    """Return the pieces of a template."""
    pieces: list[Piece] = []
    position = 0
    cut = False
    last_end = last_start(_END_RAW, text)
    while opens := _OPENS.search(text, position):
        start = opens.start()
        literal = text[position:start].lstrip() if cut else text[position:start]
        line = text.count("\n", 0, start) + 1
        found = _tag(text, start, line, last_end)
        if found is None:
            pieces += [Text(literal), Foreign(text[start:], "a tag that is not closed", line)]
            return merged(pieces)
        if text[start + 2 : start + 3] == "-":
            literal = literal.rstrip()
        piece, position = found
        pieces += [Text(literal), piece]
        cut = text[position - 3 : position - 2] == "-"
    pieces.append(Text(text[position:].lstrip() if cut else text[position:]))
    return merged(pieces)


def _tag(text: str, start: int, line: int, last_end: int) -> tuple[Piece, int] | None:
    """Return the piece that begins at `start` and where it ends; None if it is not closed.

    Raw text is looked for only where an end of it lies ahead, at most at `last_end`: looking for
    one in vain, tag by tag, would take time that grows with the square of the length.
    """
    raw = _RAW.match(text, start)
    if raw and raw.end() <= last_end and (end := _END_RAW.search(text, raw.end())):
        return Text(text[raw.end() : end.start()]), end.end()
    match = _TAG.match(text, start)
    return None if match is None else (_piece(match, line), match.end())


def _piece(match: re.Match[str], line: int) -> Piece:
    if match["comment"] is not None:
        return Foreign(match[0], "a comment", line, is_comment=True)
    if match["statement"] is not None:
        word = match["statement"].strip(" \t\r\n-+").split(maxsplit=1)
        return Foreign(match[0], f"the statement {word[0] if word else ''}".strip(), line)
    inside = match["expression"].removeprefix("-").removeprefix("+").removesuffix("-")
    inside = inside.removesuffix("+").strip()
    if string := _STRING.fullmatch(inside):
        return Text(string[1] if string[1] is not None else string[2])
    if is_variable_name(inside) and inside not in _CONSTANTS:
        return Use(inside)
    return Foreign(match[0], "a filter" if "|" in inside else "an expression", line)


def write_jinja(pieces: Iterable[Piece]) -> str:
    """Return texts and variables as a Jinja template."""
    parts = []
    for piece in pieces:
        if isinstance(piece, Text):
            parts.append(_OPENS.sub(lambda match: f"{{{{ '{match[0]}' }}}}", piece.text))
        elif isinstance(piece, Use):
            if parts and parts[-1].endswith("{"):  # three braces would read as another tag
                parts[-1] = parts[-1][:-1] + "{{ '{' }}"
            parts.append(f"{{{{ {piece.name} }}}}")
    return "".join(parts)
