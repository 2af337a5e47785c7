"""Untrusted text made harmless (pure).

Labels, captions, titles and messages of Streamlit read Markdown, with links and images; whatever
came from people or models goes through `escaped` before it stands in one. Longer texts are shown
by `elements.plain`, which reads none.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

__all__ = ["escaped", "shortened", "visible"]

_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~:$&@/=^])")
_LINE_BREAKS: Final = re.compile(r"\s+")
_HIDDEN: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})


def escaped(text: str) -> str:
    """Return text on one line that Streamlit's Markdown shows as it is."""
    return _MARKDOWN.sub(r"\\\1", _LINE_BREAKS.sub(" ", visible(text)))


def visible(text: str) -> str:
    """Return text with characters that are not seen, or that turn the order of others, written out.

    Tabs and line ends stay; a zero-width space becomes `⟨U+200B⟩`.
    """
    return "".join(f"⟨U+{ord(one):04X}⟩" if _is_hidden(one) else one for one in text)


def _is_hidden(one: str) -> bool:
    return one not in "\t\n\r" and unicodedata.category(one) in _HIDDEN


def shortened(text: str, length: int) -> str:
    """Return at most `length` characters of a text; an ellipsis says that there is more."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
