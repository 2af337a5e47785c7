"""Examples from a file: which column is what. Used by `datasets import` and `run --data`.

Three ways to say it:

- columns by name (`ExampleColumns`); without input columns, every column that is nothing
  else is an input;
- a column of OpenAI chat messages: the last user turn is the input `message`, the turns
  before it are the history, an assistant turn at the end is the expected output;
- nothing, for files of this project's own form: objects of `key`, `input` (an object),
  `messages`, `expected_output`, `metadata` and `cluster`.

An empty cell or null is no expected output, no cluster and no metadata; as an input it is a
value like any other. Dotted paths reach into nested objects, and the input is then named
as the path is written.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import ValidationError

from app.bootstrap import Services
from app.core.errors import ConfigurationError
from app.core.hashing import JSON
from app.core.permissions import Actor
from app.core.suggestions import nearest_name
from app.schemas.datasets import MESSAGE_INPUT, DatasetVersionView, ExampleInput
from app.services.datasets import ImportedVersion
from workbench.workspace.tables import (
    Missing,
    Row,
    TableError,
    has_fixed_columns,
    locate,
    read_table,
)

__all__ = ["ExampleColumns", "dataset_name", "import_file", "import_rows", "read_examples"]

_OWN_FIELDS: Final = tuple(ExampleInput.model_fields)
_ROLES: Final = ("system", "developer", "user", "assistant")
_SHOWN_COLUMNS: Final = 20
_NAME_LENGTH: Final = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class ExampleColumns:
    """Which columns an example is made of; each is a name or a dotted path."""

    inputs: tuple[str, ...] = ()
    expected: str | None = None
    key: str | None = None
    cluster: str | None = None
    metadata: tuple[str, ...] = ()
    messages: str | None = None

    def __post_init__(self) -> None:
        """Raise `ConfigurationError` for an input that is the expected output or comes twice."""
        for name in self.inputs:
            if name == self.expected:
                raise ConfigurationError(f"{name!r} is the expected output and cannot be an input.")
            if self.inputs.count(name) > 1:
                raise ConfigurationError(f"The input {name!r} is named twice.")
        if self.messages is not None and MESSAGE_INPUT in self.inputs:
            raise ConfigurationError(
                f"With --messages the last user turn is the input {MESSAGE_INPUT!r}; "
                "no column can be that too."
            )

    @property
    def named(self) -> tuple[str, ...]:
        """All columns that were named."""
        single = (self.expected, self.key, self.cluster, self.messages)
        return (*self.inputs, *self.metadata, *(name for name in single if name is not None))


def read_examples(path: Path, columns: ExampleColumns | None = None) -> Iterator[ExampleInput]:
    """Yield the examples of a file in order.

    Raises what `read_table` raises, and `TableError` for a column that is not there, a
    value of the wrong kind, or rows that differ in their columns.
    """
    rows = read_table(path)
    yield from _examples(
        str(path), rows, columns or ExampleColumns(), fixed=has_fixed_columns(path)
    )


def _examples(
    file: str, rows: Iterator[Row], columns: ExampleColumns, *, fixed: bool
) -> Iterator[ExampleInput]:
    first = next(rows)  # there is one: a table without rows is an error
    everything = itertools.chain([first], rows)
    if not columns.named and _is_own_form(first.values):
        for row in everything:
            yield _own_example(file, row)
        return
    reader = _ColumnReader(file, columns, first, fixed=fixed)
    for row in everything:
        yield reader.example(row)
    reader.check_end()


async def import_file(
    services: Services,
    actor: Actor,
    path: Path,
    *,
    name: str | None = None,
    inputs: Sequence[str] = (),
    expected: str | None = None,
    key: str | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> DatasetVersionView:
    """Return the dataset version that a file is, importing it if it is new.

    Without a name, one is made from the file's. `note` is told when this makes a new version
    of a dataset that was there, with how much differs.
    """
    columns = ExampleColumns(inputs=tuple(inputs), expected=expected, key=key)
    imported = await services.datasets.import_version(
        actor, name or dataset_name(path), read_examples(path, columns), source=path.name
    )
    return _told(imported, note)


async def import_rows(
    services: Services,
    actor: Actor,
    rows: Sequence[Mapping[str, JSON]],
    *,
    name: str,
    inputs: Sequence[str] = (),
    expected: str | None = None,
    key: str | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> DatasetVersionView:
    """Return the dataset version that rows in memory are, as `import_file` does for a file."""
    if not rows:
        raise ConfigurationError("There are no rows; a dataset needs at least one example.")
    columns = ExampleColumns(inputs=tuple(inputs), expected=expected, key=key)
    numbered = (Row(number, None, values) for number, values in enumerate(rows, start=1))
    examples = _examples(f"the rows of {name}", numbered, columns, fixed=False)
    imported = await services.datasets.import_version(actor, name, examples, source="rows")
    return _told(imported, note)


def _told(imported: ImportedVersion, note: Callable[[str], None]) -> DatasetVersionView:
    version, changes = imported.version, imported.changes
    if changes is not None:
        counts = zip(changes._fields, changes, strict=True)
        told = ", ".join(f"{count:,} {what}" for what, count in counts if count)
        note(
            f"{version.reference} is a new version of {version.name}@{version.parent}: "
            f"{told or 'the same examples in another order'}."
        )
    return version


def dataset_name(path: Path) -> str:
    """Return a dataset name made from a file's: `My Tickets.csv` gives `my-tickets`.

    Raises `ConfigurationError` if the file's name has no letter a to z and no digit: every such
    file would get the same name.
    """
    plain = re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower()).strip("._-")
    if not plain:
        raise ConfigurationError(
            f"No dataset name can be made from {path.name!r}: it has no letter a to z or digit.",
            hint=f"Choose one: workbench datasets import {path} --name NAME",
        )
    return plain[:_NAME_LENGTH]


def _is_own_form(values: Mapping[str, JSON]) -> bool:
    return isinstance(values.get("input"), Mapping) and set(_OWN_FIELDS).issuperset(values)


def _own_example(file: str, row: Row) -> ExampleInput:
    if unknown := [name for name in row.values if name not in _OWN_FIELDS]:
        raise TableError(
            file,
            f"the first row has this project's form, whose fields are {_listed(_OWN_FIELDS)}.",
            row=row.number,
            line=row.line,
            column=unknown[0],
            hint="Name the columns with --input, --expected and so on to read it another way.",
        )
    return _example(file, row, row.values)


def _example(file: str, row: Row, parts: Mapping[str, object]) -> ExampleInput:
    try:
        return ExampleInput.model_validate(parts)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        problem = first["msg"].removeprefix("Value error, ")
        raise TableError(
            file, f"{problem}.", row=row.number, line=row.line, column=where or None
        ) from None


class _ColumnReader:
    """Makes examples from rows by column names; the first row settles what is an input."""

    def __init__(self, file: str, columns: ExampleColumns, first: Row, *, fixed: bool) -> None:
        """`fixed`: all rows have the columns of the first, so that it shows what is missing."""
        self._file = file
        self._columns = columns
        self._first = first
        self._implicit = not columns.inputs and columns.messages is None
        self._spoken_for = {
            name
            for path in columns.named
            for name in ([path] if path in first.values else _beginnings(path))
        }
        self._inputs = self._remaining_columns() if self._implicit else columns.inputs
        optional = (columns.expected, columns.cluster, *columns.metadata)
        self._never_seen = {name for name in optional if name is not None}
        if fixed:
            for name in sorted(self._never_seen):
                self._located(first, name, required=True)

    def example(self, row: Row) -> ExampleInput:
        """Return the example that a row stands for."""
        columns = self._columns
        if self._implicit:
            self._refuse_new_columns(row)
        inputs = {name: self._located(row, name, required=True) for name in self._inputs}
        expected = self._optional(row, columns.expected)
        chat = None
        if columns.messages is not None:
            chat = self._chat(row, columns.messages)
            inputs = {MESSAGE_INPUT: chat.last_user_turn, **inputs}
            if expected is not None and chat.answer is not None:
                problem = "the messages end with an assistant turn, so the row has two answers."
                raise self._error(row, problem, column=columns.expected)
            expected = chat.answer if expected is None else expected
        metadata = {name: self._optional(row, name) for name in columns.metadata}
        return _example(
            self._file,
            row,
            {
                "key": None if columns.key is None else self._key(row, columns.key),
                "input": inputs,
                "messages": chat.history if chat is not None and chat.history else None,
                "expected_output": expected,
                "metadata": {name: value for name, value in metadata.items() if value is not None},
                "cluster": self._label(row, columns.cluster),
            },
        )

    def check_end(self) -> None:
        """Raise `TableError` if a column was named that no row had."""
        if self._never_seen:
            raise self._no_column(self._first, min(self._never_seen), "no row has such a column")

    def _remaining_columns(self) -> tuple[str, ...]:
        remaining = tuple(name for name in self._first.values if name not in self._spoken_for)
        if not remaining:
            raise self._error(self._first, "no column is left that could be an input.")
        for name in remaining:
            if _looks_like_chat(self._first.values[name]):
                raise self._error(
                    self._first,
                    "the column holds chat messages, with the answer among them.",
                    column=name,
                    hint=f"Read them with --messages {name}, or name the inputs with --input.",
                )
        return remaining

    def _refuse_new_columns(self, row: Row) -> None:
        for name in row.values:
            if name not in self._first.values and name not in self._spoken_for:
                raise self._error(
                    row,
                    "the first row has no such column.",
                    column=name,
                    hint="Name the inputs with --input; the other columns are then left out.",
                )

    def _located(self, row: Row, path: str, *, required: bool) -> JSON:
        value = locate(row.values, path)
        if isinstance(value, Missing):
            if required:
                raise self._no_column(row, path, "the row has no such column")
            return None
        self._never_seen.discard(path)
        return value

    def _optional(self, row: Row, path: str | None) -> JSON:
        value = None if path is None else self._located(row, path, required=False)
        return None if value == "" else value

    def _label(self, row: Row, path: str | None) -> str | None:
        value = self._optional(row, path)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise self._error(row, "a text or a whole number is needed here.", column=path)

    def _key(self, row: Row, path: str) -> str:
        self._located(row, path, required=True)
        key = self._label(row, path)
        if key is None:
            raise self._error(row, "the key is empty.", column=path)
        return key

    def _chat(self, row: Row, path: str) -> _Chat:
        try:
            return _read_chat(self._located(row, path, required=True))
        except _NoChat as error:
            raise self._error(row, str(error), column=path) from None

    def _no_column(self, row: Row, path: str, problem: str) -> TableError:
        near = nearest_name(path, row.values)
        suggestion = "" if near is None else f" Did you mean {near!r}?"
        columns = _listed(row.values)
        return self._error(row, f"{problem}; there are {columns}.{suggestion}", column=path)

    def _error(
        self, row: Row, problem: str, *, column: str | None = None, hint: str | None = None
    ) -> TableError:
        return TableError(
            self._file, problem, row=row.number, line=row.line, column=column, hint=hint
        )


def _beginnings(path: str) -> Iterator[str]:
    """Yield every name that the first step of a path could be: `a.b.c` gives a, a.b, a.b.c."""
    steps = path.split(".")
    for taken in range(1, len(steps) + 1):
        yield ".".join(steps[:taken])


def _listed(names: Iterable[str]) -> str:
    shown = [repr(name) for name in itertools.islice(names, _SHOWN_COLUMNS + 1)]
    return ", ".join([*shown[:_SHOWN_COLUMNS], *("…" for _ in shown[_SHOWN_COLUMNS:])])


class _Chat(NamedTuple):
    history: list[dict[str, str]]
    last_user_turn: str
    answer: str | None


class _NoChat(ValueError):
    """The value is no conversation of texts that an example could be made of."""


def _looks_like_chat(value: JSON) -> bool:
    return isinstance(value, list) and any(
        isinstance(turn, Mapping) and turn.get("role") == "assistant" for turn in value
    )


def _read_chat(value: JSON) -> _Chat:
    """Split a conversation; `_NoChat` says in a sentence why it cannot be."""
    if not isinstance(value, list) or not value:
        raise _NoChat("a list of messages is needed here.")
    turns = [_turn(turn, number) for number, turn in enumerate(value, 1)]
    answer = None
    if turns[-1]["role"] == "assistant":
        answer = turns.pop()["content"]
    if not turns or turns[-1]["role"] != "user":
        raise _NoChat("the last turn, or the last before the answer, must be the user's.")
    return _Chat(turns[:-1], turns[-1]["content"], answer)


def _turn(value: JSON, number: int) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise _NoChat(f"message {number} is no object.")
    role = value.get("role")
    if role not in _ROLES or not isinstance(role, str):
        raise _NoChat(f"message {number} has the role {role!r}; known are {', '.join(_ROLES)}.")
    if value.get("tool_calls") or value.get("function_call"):
        raise _NoChat(f"message {number} calls a tool; only texts can be read.")
    return {"role": role, "content": _text(value.get("content"), number)}


def _text(content: JSON, number: int) -> str:
    """Return the text of a message, whose parts may stand in a list."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [None]
    texts = [part.get("text") if isinstance(part, Mapping) else None for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise _NoChat(f"message {number} is no text; only texts can be read.")
    return "".join(str(text) for text in texts)
