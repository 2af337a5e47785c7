"""People's labels of a run's answers: the sheet that they fill in, and the table that comes back.

A row names an answer by `key` (and `repetition`, from 0, where a run has several) and says what a
person thinks of it: a number in `value`, or a number or one of the words for pass and fail in
`label`. `reviewer` and `comment` are optional. Rows are read exactly or refused with their place:
a key that the run does not have, an answer that does not exist, two rows of one person for one
answer. Nothing is returned unless every row is right. What people look at while they label
(`input`, `output`, `expected`) may stand in the file and is not read.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from app.core.hashing import JSON, ordered_json
from app.schemas.reviews import LabelledAnswer, NewReview, Reviewable
from workbench.cell_text import FORMULA_GUARD, safe_cell
from workbench.message_text import message_text
from workbench.workspace.tables import Row, TableError, read_table

__all__ = ["Labels", "read_labels", "write_sheet"]

_COLUMNS: Final = ("key", "label", "value", "reviewer", "comment", "repetition")
_NOT_READ: Final = frozenset({"input", "output", "expected"})
_PASSES: Final = frozenset({"pass", "passed", "yes", "true", "good", "correct", "right"})
_FAILS: Final = frozenset({"fail", "failed", "no", "false", "bad", "incorrect", "wrong"})
_LONGEST_NAME: Final = 200

_SHEET: Final = (
    "key", "repetition", "input", "expected", "output", "label", "reviewer", "comment",
)  # fmt: skip

Cells = Mapping[tuple[str, int], Reviewable]


def write_sheet(path: Path, answers: Sequence[LabelledAnswer]) -> None:
    """Write answers as a CSV file with empty columns for labels.

    A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    with path.open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_SHEET)
        for answer in answers:
            texts = (
                answer.key,
                str(answer.repetition),
                _shown(answer.example.get("messages") or answer.example.get("input")),
                _shown(answer.example.get("expected_output")),
                message_text(answer.output),
            )
            writer.writerow([*map(safe_cell, texts), "", "", ""])


def _shown(value: JSON) -> str:
    if isinstance(value, Mapping) and len(value) == 1:
        return _shown(next(iter(value.values())))
    if value is None or isinstance(value, str):
        return value or ""
    return ordered_json(value)


class Labels(NamedTuple):
    """The labels of a file in its order, and how many of its rows have none yet."""

    reviews: list[NewReview]
    unlabelled: int


def read_labels(path: Path, cells: Cells, *, run: str, reviewer: str) -> Labels:
    """Return what people say in a file; a row with neither label nor value says nothing yet.

    `cells` are the stored generations of the run called `run`, by key and repetition. `reviewer`
    is who labelled the rows that name nobody. Raises `TableError` with the place of the first
    row that is wrong, or if no row has a label.
    """
    reader = _Reader(path, cells, run, reviewer)
    found = [reader.review(row) for row in read_table(path)]
    reviews = [review for review in found if review is not None]
    if not reviews:
        raise TableError(str(path), "no row has a label.", column="label")
    return Labels(reviews, len(found) - len(reviews))


class _Reader:
    def __init__(self, path: Path, cells: Cells, run: str, reviewer: str) -> None:
        self._path = path
        self._cells = cells
        self._run = run
        self._reviewer = reviewer
        self._keys = {key for key, _ in cells}
        self._repeated = {key for key, repetition in cells if repetition > 0}
        self._seen: dict[tuple[str, int, str], int] = {}

    def review(self, row: Row) -> NewReview | None:
        known = ", ".join(_COLUMNS)
        for name in row.values:
            if name not in _COLUMNS and name not in _NOT_READ:
                raise self._error(row, f"unknown column; labels have {known}.", name)
        key, repetition = self._key(row), self._repetition(row)
        cell = self._cell(row, key, repetition)
        if not self._text(row, "label") and not self._text(row, "value"):
            return None
        reviewer = self._text(row, "reviewer") or self._reviewer
        if len(reviewer) > _LONGEST_NAME:
            raise self._error(row, f"longer than {_LONGEST_NAME} characters.", "reviewer")
        earlier = self._seen.setdefault((key, repetition, reviewer), row.number)
        if earlier != row.number:
            raise self._error(
                row, f"row {earlier} is {reviewer}'s label of the same answer.", "key"
            )
        value, label = self._judgement(row)
        return NewReview(
            cell.generation_id, reviewer, value, label, self._text(row, "comment") or None
        )

    def _key(self, row: Row) -> str:
        key = self._text(row, "key")
        if not key:
            raise self._error(row, "every row needs the key of an example.", "key")
        # As `write_sheet` writes it.
        return key if key in self._keys else key.removeprefix(FORMULA_GUARD)

    def _repetition(self, row: Row) -> int:
        text = self._text(row, "repetition")
        if text and not (text.isascii() and text.isdecimal()):
            raise self._error(row, f"{text!r} is no whole number from 0 on.", "repetition")
        if not text and self._key(row) in self._repeated:
            raise self._error(
                row,
                f"{self._run} has several answers to this example.",
                "key",
                hint="Add a column repetition, counted from 0.",
            )
        return int(text or 0)

    def _cell(self, row: Row, key: str, repetition: int) -> Reviewable:
        cell = self._cells.get((key, repetition))
        if cell is None and key in self._keys:
            raise self._error(row, f"{self._run} has no such repetition of {key!r}.", "repetition")
        if cell is None:
            raise self._error(row, f"{self._run} has no example with the key {key!r}.", "key")
        if cell.status != "completed":
            raise self._error(row, f"{key!r} has no answer to label: it is {cell.status}.", "key")
        return cell

    def _judgement(self, row: Row) -> tuple[float, str | None]:
        """Return the value of a row and the word for it, if a word was given."""
        given = {name: self._text(row, name) for name in ("label", "value")}
        named = [name for name, text in given.items() if text]
        if len(named) != 1:
            raise self._error(row, "a row has a label or a value, not both.", "label")
        text = given[named[0]]
        word = text.casefold()
        if named == ["label"] and word in _PASSES | _FAILS:
            return (1.0, "pass") if word in _PASSES else (0.0, "fail")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self._error(row, f"{text!r} is neither a number nor pass or fail.", named[0])
        return value, None

    def _text(self, row: Row, name: str) -> str:
        value: JSON = row.values.get(name)
        if value is None:
            return ""
        if isinstance(value, bool):
            return str(value).lower()
        if not isinstance(value, (str, int, float)):
            raise self._error(row, "must be a text or a number.", name)
        return str(value).strip()

    def _error(self, row: Row, problem: str, column: str, *, hint: str | None = None) -> TableError:
        return TableError(
            str(self._path), problem, row=row.number, line=row.line, column=column, hint=hint
        )
