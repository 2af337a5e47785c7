"""One row of a table, the error that names its place, and the way to a field inside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from app.core.errors import Invalid
from app.core.hashing import JSON
from app.schemas.datasets import check_json

__all__ = [
    "MAX_ROW_BYTES",
    "MISSING",
    "TOO_LARGE",
    "Fail",
    "Missing",
    "Row",
    "TableError",
    "checked_object",
    "locate",
]

MAX_ROW_BYTES: Final = 1_000_000
"""Largest row, in bytes of the file (of its JSON for Parquet)."""

TOO_LARGE: Final = f"the row is larger than {MAX_ROW_BYTES // 1_000_000} MB."


class Row(NamedTuple):
    """One row. `line` is None where a format has no lines (Parquet)."""

    number: int
    line: int | None
    values: Mapping[str, JSON]


class TableError(Invalid):
    """The file cannot be read exactly; the message begins with file, row, line and column.

    `row` counts from 1 without the header, `line` from 1 in the file; both are None where
    the error has no such place. `column` is a column's name.
    """

    code = "invalid_table"

    def __init__(
        self,
        file: str,
        problem: str,
        *,
        row: int | None = None,
        line: int | None = None,
        column: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.row = row
        self.line = line
        self.column = column
        super().__init__(
            f"{_place(file, row, line, column)}: {problem}", path=column or file, hint=hint
        )


def _place(file: str, row: int | None, line: int | None, column: str | None) -> str:
    parts = [file]
    if row is not None:
        parts.append(f"row {row}" if line is None else f"row {row} (line {line})")
    elif line is not None:
        parts.append(f"line {line}")
    if column is not None:
        parts.append(f"column {column!r}")
    return ", ".join(parts)


class Missing:
    """The type of `MISSING`."""


MISSING: Final = Missing()
"""What `locate` answers where there is no value; a JSON null is a value."""


def locate(values: Mapping[str, JSON], path: str) -> JSON | Missing:
    """Return the value of a column, or of a field inside one: `answer.text`, `choices.0.text`.

    The whole path is tried as a name first, then its longest beginning that is one, so that
    names with dots are found. A number enters an array, from 0.
    """
    if path in values:
        return values[path]
    steps = path.split(".")
    for taken in range(len(steps) - 1, 0, -1):
        name = ".".join(steps[:taken])
        if name in values:
            found = _locate_inside(values[name], ".".join(steps[taken:]))
            if not isinstance(found, Missing):
                return found
    return MISSING


def _locate_inside(value: JSON, path: str) -> JSON | Missing:
    if isinstance(value, Mapping):
        return locate(value, path)
    if isinstance(value, Sequence) and not isinstance(value, str):
        step, _, rest = path.partition(".")
        if step.isdecimal() and int(step) < len(value):
            item = value[int(step)]
            return _locate_inside(item, rest) if rest else item
    return MISSING


class Fail(Protocol):
    """Makes an error at the place being read."""

    def __call__(
        self, problem: str, *, column: str | None = None, hint: str | None = None
    ) -> TableError: ...


def checked_object(value: JSON, fail: Fail) -> dict[str, JSON]:
    """Return the row if it is an object of storable values under usable names."""
    if not isinstance(value, dict):
        raise fail("a row must be an object, {...}.")
    if not value:
        raise fail("the row is empty: the object has no fields.")
    for name, item in value.items():
        if not name.strip():
            raise fail("a field has no name.")
        try:
            check_json(name, "the name of a field")
            check_json(item, name)
        except Invalid as error:
            problem = error.message.removeprefix(f"{error.path}: ")
            raise fail(problem, column=error.path) from None
    return value
