"""The part of a condition that keeps a list to the names that an actor may see."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, false, or_, true
from sqlalchemy.orm import InstrumentedAttribute

__all__ = ["below"]


def below(
    name: InstrumentedAttribute[str] | ColumnElement[str], prefixes: Sequence[str] | None
) -> ColumnElement[bool]:
    """Return that a name begins with one of the prefixes: None is every name, none is no name."""
    if prefixes is None:
        return true()
    return or_(false(), *(name.startswith(prefix, autoescape=True) for prefix in prefixes))
