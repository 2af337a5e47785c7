"""Texts inside XML: what XML 1.0 cannot hold, not even as a reference, is replaced."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["xml_text"]

# The complement of the production Char, https://www.w3.org/TR/xml/#NT-Char.
_FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    """Return a text with `�` for every character that XML 1.0 cannot hold."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
