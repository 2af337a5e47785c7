"""Outputs that were made elsewhere, matched to the examples of a dataset version.

A row belongs to the example whose key is the row's match value, or whose input of that
name is, or whose only input is. The match must be exact and single: a value that several
examples share is refused, as are two rows for one example. Rows that match nothing and
examples without an output are counted and never hidden; a missing output is not an empty
one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final
from uuid import UUID

from app.bootstrap import Services
from app.core.hashing import JSON, canonical_json
from app.schemas.datasets import DatasetVersionView, ExampleView
from app.schemas.generations import ImportedOutput
from workbench.workspace.tables import Missing, Row, TableError, locate, read_table

__all__ = [
    "AmbiguousMatch",
    "ExampleIndex",
    "OutputColumns",
    "RecordedOutputs",
    "read_recorded_outputs",
]

_SHOWN_ROWS: Final = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputColumns:
    """Which columns say what; each is a name or a dotted path.

    A column that is named must be in at least one row. Of those left None, the columns
    `latency_ms`, `input_tokens`, `output_tokens`, `cost` and `error` are read where they are.
    """

    match: str
    output: str
    latency_ms: str | None = None
    input_tokens: str | None = None
    output_tokens: str | None = None
    cost: str | None = None
    error: str | None = None


class AmbiguousMatch(Exception):
    """More than one example has the value."""


class ExampleIndex:
    """Finds the example that a match value names. Add every example of the version first.

    Holds a digest and an id for each value, never a text.
    """

    def __init__(self, match: str, input_names: tuple[str, ...]) -> None:
        """`match` is the column's name in the file with the outputs."""
        self.count = 0
        self._by_key: dict[bytes, UUID] = {}
        self._by_input: dict[bytes, UUID | None] = {}
        self._input = _matched_input(match, input_names)

    @property
    def described(self) -> str:
        """What a value is compared with, for messages: `the key or the input 'question'`."""
        return "the key" if self._input is None else f"the key or the input {self._input!r}"

    def add(self, example: ExampleView) -> None:
        """Make an example findable."""
        self.count += 1
        self._by_key[_digest(example.key)] = example.id
        if self._input is not None and self._input in example.input:
            digest = _digest(example.input[self._input])
            shared = digest in self._by_input
            self._by_input[digest] = None if shared else example.id

    def find(self, value: JSON) -> UUID | None:
        """Return the id of the one example that has this value; None if none has it.

        Raises `AmbiguousMatch` if more than one has it.
        """
        digest = _digest(value)
        by_key = self._by_key.get(_digest(str(value)) if _is_number(value) else digest)
        if digest in self._by_input:
            by_input = self._by_input[digest]
            if by_input is None or by_key not in (None, by_input):
                raise AmbiguousMatch
            return by_input
        return by_key


def _matched_input(match: str, input_names: tuple[str, ...]) -> str | None:
    """Return the input of that name (a dotted path may end with it), or the only input."""
    for name in (match, match.rsplit(".", 1)[-1]):
        if name in input_names:
            return name
    return input_names[0] if len(input_names) == 1 else None


def _digest(value: JSON) -> bytes:
    return hashlib.blake2b(canonical_json(value), digest_size=16).digest()


def _is_number(value: JSON) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


async def read_recorded_outputs(
    services: Services, version: DatasetVersionView, path: Path, columns: OutputColumns
) -> RecordedOutputs:
    """Return the outputs of a file for a dataset version, ready to be read."""
    index = ExampleIndex(columns.match, version.input_names)
    position = -1
    while examples := await services.datasets.examples(version.id, after_position=position):
        for example in examples:
            index.add(example)
        position = examples[-1].position
    return RecordedOutputs(path, columns, index)


def _as_text(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class RecordedOutputs:
    """The outputs of a file: iterate over `outputs` once, then read the counts.

    Iterating raises `TableError` for a row that cannot be read, a value that several
    examples share, a second row for one example, a column that no row has, and at the end
    if no row matched at all.
    """

    def __init__(self, path: Path, columns: OutputColumns, index: ExampleIndex) -> None:
        self.rows = 0
        self.matched = 0
        self.unmatched = 0
        self.unmatched_rows: list[int] = []
        """The numbers of the first few rows that match no example."""
        self.failed = 0
        """How many of the examples without an output have an error in its place."""
        self._without_output = 0
        self._path = path
        self._columns = columns
        self._index = index
        named = (getattr(columns, f.name) for f in fields(columns))
        self._never_seen = {name for name in named if name is not None}

    @property
    def examples_without_output(self) -> int:
        """How many examples have no output: no row is theirs, or its output is null."""
        return self._index.count - self.matched + self._without_output

    @property
    def summary(self) -> str:
        """What came of it, in one line: examples with an output, rows without an example."""
        missing = self.examples_without_output
        parts = [
            f"{self._index.count - missing:,} of {self._index.count:,} examples have an output"
        ]
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        if self.unmatched:
            shown = ", ".join(str(number) for number in self.unmatched_rows)
            more = ", …" if self.unmatched > len(self.unmatched_rows) else ""
            parts.append(f"{self.unmatched:,} rows match no example (rows {shown}{more})")
        return "; ".join(parts)

    @property
    def outputs(self) -> Iterator[ImportedOutput]:
        """Read the file and yield the outputs that belong to an example, in its order."""
        row_of_example: dict[UUID, int] = {}
        for row in read_table(self._path):
            self.rows += 1
            output = self._value(row, self._columns.output)
            example_id = self._example_id(row)
            if example_id is None:
                self._note_unmatched(row)
                continue
            earlier = row_of_example.setdefault(example_id, row.number)
            if earlier != row.number:
                problem = f"row {earlier} is for the same example."
                raise self._error(row, problem, column=self._columns.match)
            self.matched += 1
            error = self._value(row, self._columns.error or "error")
            failed = output is None and error not in (None, "")
            self._without_output += output is None
            self.failed += failed
            if failed or output is not None:
                yield self._recorded(row, example_id, output, error)
        self._check_end()

    def _example_id(self, row: Row) -> UUID | None:
        value = self._value(row, self._columns.match)
        if value is None:
            return None
        try:
            return self._index.find(value)
        except AmbiguousMatch:
            raise self._error(
                row,
                f"more than one example has this value as {self._index.described}.",
                column=self._columns.match,
                hint="Match by a column that holds the examples' keys.",
            ) from None

    def _note_unmatched(self, row: Row) -> None:
        self.unmatched += 1
        if len(self.unmatched_rows) < _SHOWN_ROWS:
            self.unmatched_rows.append(row.number)

    def _recorded(self, row: Row, example_id: UUID, output: JSON, error: JSON) -> ImportedOutput:
        """An output beside an error counts: what failed on the way did not keep it from coming."""
        columns = self._columns
        latency = self._number(row, columns.latency_ms or "latency_ms")
        return ImportedOutput(
            example_id=example_id,
            text="" if output is None else _as_text(output),
            error=_as_text(error) if output is None else None,
            latency_ms=None if latency is None else float(latency),
            input_tokens=self._count(row, columns.input_tokens or "input_tokens"),
            output_tokens=self._count(row, columns.output_tokens or "output_tokens"),
            cost=self._number(row, columns.cost or "cost"),
        )

    def _value(self, row: Row, path: str) -> JSON:
        value = locate(row.values, path)
        if isinstance(value, Missing):
            return None
        self._never_seen.discard(path)
        return value

    def _number(self, row: Row, path: str) -> Decimal | None:
        """Return a number that is not negative, also one written as text."""
        value = self._value(row, path)
        if value is None or value == "":
            return None
        try:
            number = Decimal("NaN") if isinstance(value, bool) else Decimal(str(value))
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite() or number < 0:
            raise self._error(row, f"{value!r} is no number from 0 on.", column=path)
        return number

    def _count(self, row: Row, path: str) -> int | None:
        number = self._number(row, path)
        if number is None:
            return None
        if number != number.to_integral_value():
            raise self._error(row, f"{number} is no whole number.", column=path)
        return int(number)

    def _check_end(self) -> None:
        columns = self._columns
        for path in (columns.match, columns.output):
            if path in self._never_seen:
                raise self._no_column(path)
        if self.matched == 0:
            raise TableError(
                str(self._path),
                f"no row matches an example: the {self.rows:,} values are compared with "
                f"{self._index.described} and must be equal to the letter.",
                column=columns.match,
            )
        if self._never_seen:
            raise self._no_column(min(self._never_seen))

    def _no_column(self, path: str) -> TableError:
        return TableError(str(self._path), "no row has such a column.", column=path)

    def _error(self, row: Row, problem: str, *, column: str, hint: str | None = None) -> TableError:
        return TableError(
            str(self._path), problem, row=row.number, line=row.line, column=column, hint=hint
        )
