"""When one JSON value contains another.

An object contains another one if it has each of its keys, and the value of each contains the
expected value. What else it has does not matter. An array contains another one if each expected
item is contained in some item of it, in any order. Everything else must be equal as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.core.hashing import JSON
from workbench.scorers._json import equal_json
from workbench.scorers._text import is_container, quoted

__all__ = ["TooMuchJSON", "missing_json"]

# Arrays in arrays are compared each with each: a bound on the work keeps hostile ones cheap.
_MAX_COMPARISONS: Final = 100_000


class TooMuchJSON(Exception):
    """The bound on comparisons is reached; the message says so."""

    def __init__(self) -> None:
        super().__init__(f"Comparing takes more than {_MAX_COMPARISONS:,} steps on this output.")


def missing_json(actual: JSON, expected: JSON) -> str | None:
    """Return the first part of `expected` that `actual` does not contain, None if it has all.

    Raises `TooMuchJSON` beyond 100,000 comparisons.
    """
    return _Walk().missing(actual, expected, "")


class _Walk:
    """One comparison of two values, with a count of its steps."""

    def __init__(self) -> None:
        self._steps = 0

    def missing(self, actual: JSON, expected: JSON, path: str) -> str | None:
        """Return the first thing that is not contained, None if all is."""
        self._steps += 1
        if self._steps > _MAX_COMPARISONS:
            raise TooMuchJSON
        where = path or "the output"
        if isinstance(expected, Mapping):
            if not isinstance(actual, Mapping):
                return f"{where}: expected an object"
            return self._missing_key(actual, expected, path)
        if isinstance(expected, (list, tuple)):
            if not isinstance(actual, (list, tuple)):
                return f"{where}: expected an array"
            return self._missing_item(actual, expected, path)
        if equal_json(actual, expected):
            return None
        got = "an object or array" if is_container(actual) else quoted(actual)
        return f"{where}: expected {quoted(expected)}, got {got}"

    def _missing_key(
        self, actual: Mapping[str, JSON], expected: Mapping[str, JSON], path: str
    ) -> str | None:
        for key, value in expected.items():
            below = f"{path}.{key}" if path else key
            if key not in actual:
                return f"{below}: missing"
            told = self.missing(actual[key], value, below)
            if told is not None:
                return told
        return None

    def _missing_item(
        self,
        actual: list[JSON] | tuple[JSON, ...],
        expected: list[JSON] | tuple[JSON, ...],
        path: str,
    ) -> str | None:
        for value in expected:
            if all(self.missing(item, value, path) is not None for item in actual):
                return f"{path or 'the output'}: no item contains {quoted(value)}"
        return None
