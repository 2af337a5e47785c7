"""Texts of people, files and models inside Markdown: they stay text, on one line.

Nothing in them becomes markup or a link, closes a table's cell, or notifies somebody.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from workbench.reports.visible import visible

__all__ = ["code_span", "escaped", "table_row"]

_MARKUP: Final = re.compile(r"[\\`*_{}\[\]|#~]")
_MENTION: Final = re.compile(r"(?<!\w)@")  # a@b is a name; @b would notify whoever is called so


def escaped(text: str) -> str:
    """Return a text that Markdown and HTML read as text."""
    line = " ".join(visible(text).split()).replace("&", "&amp;")
    line = _MARKUP.sub(lambda match: f"\\{match[0]}", line)
    line = line.replace("<", "&lt;").replace(">", "&gt;")
    # After the other signs, whose escapes hold a # themselves. A bare address would be a link.
    return _MENTION.sub("&#64;", line).replace("://", "&#58;//")


def code_span(text: str, *, limit: int | None = None) -> str:
    """Return a code span with at most `limit` characters of the text; empty stays empty."""
    line = " ".join(visible(text).split())
    if limit is not None and len(line) > limit:
        line = f"{line[:limit]}…"
    if not line:
        return ""
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    room = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{room}{line}{room}{fence}".replace("|", "\\|")


def table_row(cells: Sequence[str]) -> str:
    """Return a row of a table; its cells are Markdown already."""
    return f"| {' | '.join(cells)} |"
