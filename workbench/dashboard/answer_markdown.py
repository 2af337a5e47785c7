"""Markdown of a model's answer, of which only what is harmless is left (pure).

Nothing is taken away from the text: it is escaped as everything untrusted is, and then a few forms
are let through by name: headings, lists, quotes, bold, code. So no image, link, HTML, formula or
directive can stand in it, known or yet to be invented.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from workbench.dashboard.text import escaped, visible

__all__ = ["Piece", "answer_pieces"]

_FENCE: Final = re.compile(r"^ {0,3}(```+|~~~+)[^`]*$")
_PREFIX: Final = re.compile(
    r"^(?P<indent>\s{0,8})(?P<mark>#{1,6}|[-*+]|\d{1,3}[.)]|>)\s+(?P<rest>.*)$"
)
_SPANS: Final = re.compile(r"(\*\*[^*\n]+\*\*|`[^`\n]+`)")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer: harmless Markdown, or a block of code as it is."""

    text: str
    is_code: bool


def answer_pieces(text: str) -> Iterator[Piece]:
    """Yield an answer's parts in order."""
    lines: list[str] = []
    fence: str | None = None
    for line in text.split("\n"):
        found = _FENCE.match(line)
        is_end = fence is not None and found is not None and found[1].startswith(fence)
        if fence is None and found is None:
            lines.append(_line(line))
        elif fence is not None and not is_end:
            lines.append(line)
        else:
            if lines:
                yield _piece(lines, is_code=fence is not None)
            lines = []
            fence = None if is_end or found is None else found[1]
    if lines:
        yield _piece(lines, is_code=fence is not None)


def _piece(lines: list[str], *, is_code: bool) -> Piece:
    text = "\n".join(lines)
    return Piece(visible(text) if is_code else text, is_code)


def _line(line: str) -> str:
    found = _PREFIX.match(line)
    if found is None:
        return _inline(line)
    mark = "-" if found["mark"] in "*+-" else found["mark"]
    mark = "#" * min(6, len(mark) + 3) if mark.startswith("#") else mark
    return f"{' ' * len(found['indent'])}{mark} {_inline(found['rest'])}"


def _inline(text: str) -> str:
    return "".join(_span(part) for part in _SPANS.split(text))


def _span(part: str) -> str:
    if _SPANS.fullmatch(part) is None:
        return _kept(part)
    if part.startswith("**"):
        inner = part[2:-2].strip()
        return f"**{escaped(inner)}**" if inner else _kept(part)
    return f"`{visible(part[1:-1])}`"


def _kept(part: str) -> str:
    """Return text escaped, with the gaps at its ends that join it to its neighbours."""
    inner = part.strip()
    if not inner:
        return " " if part else ""
    return f"{' ' * part[:1].isspace()}{escaped(inner)}{' ' * part[-1:].isspace()}"
