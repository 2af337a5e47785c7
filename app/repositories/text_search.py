"""Finding a word in stored texts: coarsely in the database, exactly in what it found.

A body is JSON, so that the database also finds names of fields in it. `holds_text` decides, on the
texts alone.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, func

__all__ = ["holds_text", "may_hold_text"]

_NO_TEXTS: Final = frozenset({"role", "type", "model", "id", "tool_call_id"})
"""Fields of messages that nobody wrote."""


def may_hold_text(body: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Return that a body holds a text in any case of letters, be it as the name of a field."""
    written = orjson.dumps(text).decode()[1:-1]
    return func.lower(body).contains(written.lower(), autoescape=True)


def holds_text(value: Any, text: str) -> bool:
    """Return whether one of the texts in a JSON value holds a text, in any case of letters."""
    if isinstance(value, str):
        return text.lower() in value.lower()
    if isinstance(value, dict):
        return any(holds_text(it, text) for name, it in value.items() if name not in _NO_TEXTS)
    return isinstance(value, list) and any(holds_text(it, text) for it in value)
