"""Texts as scorers compare and quote them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from app.core.hashing import JSON

__all__ = ["as_text", "is_container", "quoted", "shortened"]


def is_container(value: JSON) -> bool:
    """Whether a JSON value is an object or an array, which have no one text form."""
    return isinstance(value, (Mapping, list, tuple))


def as_text(value: JSON) -> str:
    """Return a text as it stands and any other JSON value as its JSON text (`true`, `18`)."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def shortened(text: str, limit: int) -> str:
    """Return the text, or its beginning and an ellipsis; at most `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def quoted(value: JSON, limit: int = 60) -> str:
    """Return a value for an explanation, cut to `limit` characters before control characters
    and lone surrogates are escaped; texts stand in quotes."""
    shown = shortened(as_text(value), limit)
    return repr(shown) if isinstance(value, str) else shown
