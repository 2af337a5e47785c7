r"""Handlebars templates, as dotprompt and Mustache use them, as pieces.

Variables are `{{name}}`, `{{{name}}}` and `{{this.name}}`; `{{role "user"}}` and `{{history}}`
are dotprompt's markers; comments are `{{! … }}` and `{{!-- … --}}`; `~` inside the braces cuts
the white space beside them; `\{{` begins text that looks like a tag, `\\{{` is a backslash before
a tag. Everything else (blocks, helpers with arguments, partials, paths, `@data`) is foreign.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from workbench.interchange.pieces import (
    Foreign,
    History,
    Piece,
    Role,
    Text,
    Use,
    last_start,
    merged,
)

__all__ = ["read_handlebars", "write_handlebars"]

_TAG = re.compile(
    r"(?:\{\{~?![^}]*?~?\}\})"
    r"|(?P<triple>\{\{\{(?P<raw>[^{}]*+)\}\}\})"
    r"|(?P<tag>\{\{(?P<open>~?)(?P<inside>[^{}]*?)(?P<close>~?)\}\})",
    re.DOTALL,
)
_LONG_COMMENT = re.compile(r"\{\{~?!--.*?--~?\}\}", re.DOTALL)
_LONG_OPENS = re.compile(r"\{\{~?!--")
_LONG_CLOSES = re.compile(r"--~?\}\}")
_IDENTIFIER = re.compile(
    r"[^\s!\"#%&'()*+,./;<=>@\[\\\]^`{|}~0-9-][^\s!\"#%&'()*+,./;<=>@\[\\\]^`{|}~]*"
)
_ROLE = re.compile(r"role\s+(?:\"([^\"]*)\"|'([^']*)')")
_WORDS = frozenset({"true", "false", "null", "undefined", "this", "else"})
_HELPERS = frozenset(
    {"json", "media", "section", "role", "ifEquals", "unlessEquals"}  # dotprompt's
    | {"each", "if", "unless", "with", "lookup", "log"}
)
_MARKERS = frozenset({"history", "role"})
_OF_THIS = re.compile(r"(?:this\.|\./)(?=[^\s./])")


def read_handlebars(text: str, *, markers: bool) -> list[Piece]:
    """Return the pieces of a template; `markers` says that roles and history are known."""
    pieces: list[Piece] = []
    position = 0
    cut = False  # whether the last tag cuts the white space behind it
    last_close = last_start(_LONG_CLOSES, text)
    while (start := text.find("{{", position)) >= 0:
        backslashes = len(text[position:start]) - len(text[position:start].rstrip("\\"))
        if backslashes == 1:
            end = _end_of_escaped(text, start)
            pieces.append(_behind(cut, text[position : start - 1] + text[start:end]))
            position, cut = end, False
            continue
        literal = text[position : start - 1] if backslashes else text[position:start]
        match = _tag(text, start, last_close)
        source = match[0] if match else text[start : start + 40].split("\n")[0]
        pieces.append(_before(_behind(cut, literal), source))
        pieces.append(_piece(match, source, text.count("\n", 0, start) + 1, markers))
        position = match.end() if match else len(text)
        if match is None:
            pieces[-1] = Foreign(text[start:], "a tag that is not closed", _line(text, start))
        cut = source.rstrip("}").endswith("~")
    pieces.append(_behind(cut, text[position:]))
    return merged(pieces)


def _tag(text: str, start: int, last_close: int) -> re.Match[str] | None:
    """Return the tag that begins at `start`.

    A long comment is looked for only where an end of one lies ahead, at most at `last_close`:
    looking for one in vain, tag by tag, would take time that grows with the square of the length.
    """
    opens = _LONG_OPENS.match(text, start)
    long = _LONG_COMMENT.match(text, start) if opens and opens.end() <= last_close else None
    return long or _TAG.match(text, start)


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _end_of_escaped(text: str, start: int) -> int:
    """Return where the text after `\\{{` ends: at the next tag, escaped or not."""
    following = text.find("{{", start + 2)
    if following < 0:
        return len(text)
    while following > start + 2 and text[following - 1] == "\\":
        following -= 1
    return following


def _behind(cut: bool, literal: str) -> Text:
    return Text(literal.lstrip() if cut else literal)


def _before(literal: Text, source: str) -> Text:
    return Text(literal.text.rstrip()) if source.startswith("{{~") else literal


def _piece(match: re.Match[str] | None, source: str, line: int, markers: bool) -> Piece:
    if match is None:
        return Text("")
    if source.startswith(("{{!", "{{~!")):
        return Foreign(source, "a comment", line, is_comment=True)
    inside = (match["raw"] if match["triple"] else match["inside"]).strip()
    if markers and inside == "history":
        return History()
    if markers and (role := _ROLE.fullmatch(inside)):
        return Role(role[1] if role[1] is not None else role[2])
    if inside.startswith("&"):  # the same as three braces
        inside = inside[1:].strip()
    name = _OF_THIS.sub("", inside, count=1) if _OF_THIS.match(inside) else inside
    is_word = name == inside and (name in _WORDS or (markers and name in _HELPERS))
    if _IDENTIFIER.fullmatch(name) and not is_word:
        return Use(name)
    return Foreign(source, _named(inside), line)


def _named(inside: str) -> str:
    if inside.startswith((">", "#>")):
        return "a partial"
    if inside.startswith(("#", "/", "^", "else")):
        return "a block"
    if inside.startswith("@"):
        return "a value of the surroundings"
    word = inside.split(maxsplit=1)[0] if inside.split() else ""
    if word in _HELPERS or " " in inside:
        return f"the helper {word}"
    return "a path into a value"


def write_handlebars(pieces: Iterable[Piece]) -> str:
    """Return texts and variables as a Handlebars template."""
    parts = []
    for piece in pieces:
        if isinstance(piece, Text):
            parts.append(piece.text.replace("{{", "\\{{"))
        elif isinstance(piece, Use):
            word = piece.name in _WORDS | _HELPERS | _MARKERS  # `this.` makes it a variable
            parts.append(f"{{{{{'this.' if word else ''}{piece.name}}}}}")
    return "".join(parts)
