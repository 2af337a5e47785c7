"""Examples from a text that came over the API: JSON, JSONL or CSV, an example a row. Pure.

Rows are read one after the other, so that an import never holds all examples at once. A JSON
array is the exception: its text is parsed whole.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping

import orjson
from pydantic import ValidationError

from app.core.errors import Invalid
from app.core.hashing import JSON
from app.schemas.datasets import ExampleColumnNames, ExampleInput, NewDatasetVersion

__all__ = ["read_examples"]


def read_examples(new: NewDatasetVersion) -> Iterator[ExampleInput]:
    """Yield the examples in order; `Invalid` names the row, counted from 1, and the field."""
    if new.examples is not None:
        yield from new.examples
        return
    text = new.text or ""
    for number, row in enumerate(_rows(text, new.format), start=1):
        parts = row if new.columns is None else _parts(number, row, new.columns)
        yield _example(number, parts)


def _rows(text: str, form: str) -> Iterator[Mapping[str, JSON]]:
    if form == "csv":
        yield from _csv_rows(text)
    elif form == "json":
        values = _loads(text, 1)
        if not isinstance(values, list):
            raise Invalid("text: a JSON array of objects is needed here.", path="text")
        for number, value in enumerate(values, start=1):
            yield _object(number, value)
    else:
        number = 0
        for line in io.StringIO(text):
            if line.strip():
                number += 1
                yield _object(number, _loads(line, number))


def _csv_rows(text: str) -> Iterator[Mapping[str, JSON]]:
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader, [])
        if len(set(header)) != len(header):
            raise Invalid("text: two columns have the same name.", path="text")
        for number, cells in enumerate((row for row in reader if row), start=1):
            if len(cells) != len(header):
                raise _error(number, f"{len(cells)} cells, and the header has {len(header)}")
            yield dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise Invalid(f"text, line {reader.line_num}: {error}.", path="text") from None


def _loads(text: str, number: int) -> JSON:
    try:
        value: JSON = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _error(number, f"no JSON, {error}") from None
    return value


def _object(number: int, value: JSON) -> Mapping[str, JSON]:
    if not isinstance(value, Mapping):
        raise _error(number, "an object is needed here")
    return value


def _parts(number: int, row: Mapping[str, JSON], columns: ExampleColumnNames) -> dict[str, JSON]:
    """Return the fields of an example; an empty cell is an input and otherwise nothing."""
    single = (columns.expected_output, columns.key, columns.cluster)
    named = {*columns.metadata, *(name for name in single if name is not None)}
    inputs = columns.inputs or tuple(name for name in row if name not in named)
    if missing := sorted(name for name in {*inputs, *named} if name not in row):
        raise _error(number, f"there is no column {missing[0]!r}", missing[0])

    def cell(name: str | None) -> JSON:
        value = None if name is None else row[name]
        return None if value == "" else value

    kept = {name: cell(name) for name in columns.metadata}
    return {
        "key": _label(cell(columns.key)),
        "input": {name: row[name] for name in inputs},
        "expected_output": cell(columns.expected_output),
        "metadata": {name: value for name, value in kept.items() if value is not None},
        "cluster": _label(cell(columns.cluster)),
    }


def _label(value: JSON) -> JSON:
    """A whole number may name an example or a cluster."""
    return str(value) if type(value) is int else value


def _example(number: int, parts: Mapping[str, JSON]) -> ExampleInput:
    try:
        return ExampleInput.model_validate(parts)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or None
        problem = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise _error(number, problem, where) from None


def _error(number: int, problem: str, where: str | None = None) -> Invalid:
    field = "" if where is None else f", {where}"
    return Invalid(f"text, row {number}{field}: {problem}.", path="text")
