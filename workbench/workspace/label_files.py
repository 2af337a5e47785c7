"""People's labels of a run's answers, from a table.

A row names an answer by `key` (and `repetition`, from 0, where a run has several) and says what a
person thinks of it: a number in `value`, or a number or one of the words for pass and fail in
`label`. `reviewer` and `comment` are optional. Rows are read exactly or refused with their place:
a key that the run does not have, an answer that does not exist, two rows of one person for one
answer. Nothing is returned unless every row is right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from app.core.hashing import JSON
from app.schemas.reviews import NewReview, Reviewable
from workbench.workspace.tables import Row, TableError, read_table

__all__ = ["read_labels"]

_COLUMNS: Final = ("key", "label", "value", "reviewer", "comment", "repetition")
_PASSES: Final = frozenset({"pass", "passed", "yes", "true", "good", "correct", "right"})
_FAILS: Final = frozenset({"fail", "failed", "no", "false", "bad", "incorrect", "wrong"})
_LONGEST_NAME: Final = 200

Cells = Mapping[tuple[str, int], Reviewable]


def read_labels(path: Path, cells: Cells, *, run: str, reviewer: str) -> list[NewReview]:
    """Return the reviews of a file, in its order.

    `cells` are the stored generations of the run called `run`, by key and repetition. `reviewer`
    is who labelled the rows that name nobody. Raises `TableError` with the place of the first
    row that is wrong.
    """
    reader = _Reader(path, cells, run, reviewer)
    return [reader.review(row) for row in read_table(path)]


class _Reader:
    def __init__(self, path: Path, cells: Cells, run: str, reviewer: str) -> None:
        self._path = path
        self._cells = cells
        self._run = run
        self._reviewer = reviewer
        self._keys = {key for key, _ in cells}
        self._repeated = {key for key, repetition in cells if repetition > 0}
        self._seen: dict[tuple[str, int, str], int] = {}

    def review(self, row: Row) -> NewReview:
        known = ", ".join(_COLUMNS)
        for name in row.values:
            if name not in _COLUMNS:
                raise self._error(row, f"unknown column; labels have {known}.", name)
        key, repetition = self._key(row), self._repetition(row)
        cell = self._cell(row, key, repetition)
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
        return key

    def _repetition(self, row: Row) -> int:
        text = self._text(row, "repetition")
        if text and not (text.isascii() and text.isdecimal()):
            raise self._error(row, f"{text!r} is no whole number from 0 on.", "repetition")
        if not text and self._text(row, "key") in self._repeated:
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
            raise self._error(row, "every row needs one of label and value.", "label")
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
