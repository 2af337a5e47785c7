"""Examples from a text that came over the API: JSON, JSONL or CSV, an example a row. Pure.

Rows are read one after the other, so that an import never holds all examples at once. A JSON
array is the exception: its text is parsed whole. A row that is wrong by itself does not end the
reading: `read_rows` hands its error on, an import stops at it, a preview collects it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import orjson
from pydantic import ValidationError

from app.core.errors import Invalid
from app.core.hashing import JSON
from app.schemas.datasets import (
    ExampleColumnNames,
    ExampleInput,
    NewDatasetVersion,
    Separator,
    TextFormat,
)

__all__ = ["TextError", "TextRow", "example_of", "read_examples", "read_rows"]


class TextError(Invalid):
    """A row is no example, or from there on the text cannot be read.

    `row` counts from 1 without the header, `line` from 1 in the text; None where there is no such
    place.
    """

    def __init__(
        self,
        problem: str,
        *,
        row: int | None = None,
        line: int | None = None,
        column: str | None = None,
    ) -> None:
        self.problem = problem
        self.row = row
        self.line = line
        self.column = column
        place = f", row {row}" if row is not None else f", line {line}" if line is not None else ""
        field = "" if column is None else f", {column}"
        super().__init__(f"text{place}{field}: {problem}.", path="text")


@dataclass(frozen=True, slots=True)
class TextRow:
    """One row as it was read. `line` is where it begins; None in a JSON array."""

    number: int
    line: int | None
    values: Mapping[str, JSON]


def read_examples(new: NewDatasetVersion) -> Iterator[ExampleInput]:
    """Yield the examples in order; `Invalid` names the row, counted from 1, and the field."""
    if new.examples is not None:
        yield from new.examples
        return
    for row in read_rows(new.text or "", new.format, new.separator):
        if isinstance(row, TextError):
            raise row
        yield example_of(row, new.columns)


def read_rows(text: str, form: TextFormat, separator: Separator) -> Iterator[TextRow | TextError]:
    """Yield the rows in order, or what is wrong with one; raise what ends the reading."""
    if form == "csv":
        return _csv_rows(text, separator)
    return _array_rows(text) if form == "json" else _lines(text)


def example_of(row: TextRow, columns: ExampleColumnNames | None) -> ExampleInput:
    """Return the example that a row stands for; `TextError` if it can be none."""
    parts = row.values if columns is None else _parts(row, columns)
    try:
        return ExampleInput.model_validate(parts)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or None
        problem = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise _error(row, problem, where) from None


def _array_rows(text: str) -> Iterator[TextRow | TextError]:
    try:
        values: JSON = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise TextError(f"no JSON, {error}", row=1) from None
    if not isinstance(values, list):
        raise TextError("a JSON array of objects is needed here")
    for number, value in enumerate(values, start=1):
        yield _object(number, None, value)


def _lines(text: str) -> Iterator[TextRow | TextError]:
    number = 0
    for line, written in enumerate(io.StringIO(text), start=1):
        if not written.strip():
            continue
        number += 1
        try:
            value: JSON = orjson.loads(written)
        except orjson.JSONDecodeError as error:
            yield TextError(f"no JSON, {error}", row=number, line=line)
        else:
            yield _object(number, line, value)


def _object(number: int, line: int | None, value: JSON) -> TextRow | TextError:
    if not isinstance(value, Mapping):
        return TextError("an object is needed here", row=number, line=line)
    return TextRow(number, line, value)


def _csv_rows(text: str, separator: Separator) -> Iterator[TextRow | TextError]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = next(reader, [])
        if len(set(header)) != len(header):
            raise TextError("two columns have the same name")
        number, line = 0, reader.line_num + 1
        for cells in reader:
            begins, line = line, reader.line_num + 1
            if not cells:
                continue
            number += 1
            if len(cells) == len(header):
                yield TextRow(number, begins, dict(zip(header, cells, strict=True)))
            else:
                problem = f"{len(cells)} cells, and the header has {len(header)}"
                yield TextError(problem, row=number, line=begins)
    except csv.Error as error:
        raise TextError(str(error), line=reader.line_num) from None


def _parts(row: TextRow, columns: ExampleColumnNames) -> dict[str, JSON]:
    """Return the fields of an example; an empty cell is an input and otherwise nothing."""
    values = row.values
    single = (columns.expected_output, columns.key, columns.cluster)
    named = {*columns.metadata, *(name for name in single if name is not None)}
    inputs = columns.inputs or tuple(name for name in values if name not in named)
    if missing := sorted(name for name in {*inputs, *named} if name not in values):
        raise _error(row, f"there is no column {missing[0]!r}", missing[0])

    def cell(name: str | None) -> JSON:
        value = None if name is None else values[name]
        return None if value == "" else value

    kept = {name: cell(name) for name in columns.metadata}
    return {
        "key": _label(cell(columns.key)),
        "input": {name: values[name] for name in inputs},
        "expected_output": cell(columns.expected_output),
        "metadata": {name: value for name, value in kept.items() if value is not None},
        "cluster": _label(cell(columns.cluster)),
    }


def _label(value: JSON) -> JSON:
    """A whole number may name an example or a cluster."""
    return str(value) if type(value) is int else value


def _error(row: TextRow, problem: str, column: str | None) -> TextError:
    return TextError(problem, row=row.number, line=row.line, column=column)
