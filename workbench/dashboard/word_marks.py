"""A text with marked words as HTML that holds nothing of the text but text (pure).

Markdown is no way to show an answer whose line breaks and spaces count: it folds both. So the
pieces of a word diff stand in `<ins>` and `<del>`, whose look browsers know without any style, and
every piece is escaped here. What comes out has no attribute and no element that a text could have
named; Streamlit cleans it once more before it is shown.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Final, Literal

from workbench.dashboard.text import visible
from workbench.text_diff import Segment

__all__ = ["MAX_SHOWN", "Mark", "marked_html"]

MAX_SHOWN: Final = 20_000
"""Characters of one text that are shown; the whole stands on the generation's page."""

Mark = Literal["del", "ins"]

_BOX: Final = (
    "white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid rgba(128, 128, 128, 0.35); "
    "border-radius: 0.3rem; padding: 0.6rem 0.75rem; max-height: 26rem; overflow: auto"
)
_COLOURS: Final[dict[Mark, str]] = {
    "del": "background: rgba(230, 159, 0, 0.30)",
    "ins": "background: rgba(86, 180, 233, 0.35)",
}


def marked_html(segments: Sequence[Segment], mark: Mark) -> str:
    """Return a text in a box, its changed pieces marked as taken out or put in."""
    left = MAX_SHOWN
    pieces = []
    for segment in segments:
        shown = html.escape(visible(segment.text[:left]))
        left -= len(segment.text[:left])
        is_marked = segment.changed and shown
        pieces.append(f'<{mark} style="{_COLOURS[mark]}">{shown}</{mark}>' if is_marked else shown)
    return f'<div dir="auto" tabindex="0" style="{_BOX}">{"".join(pieces)}</div>'
