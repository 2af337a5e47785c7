"""A file on its way to become a dataset version: its form, its beginning, its columns (pure).

The API reads the rows and says what is wrong with them. Here a file becomes the text that the API
takes: CSV, JSON Lines and JSON as they are, Parquet as JSON Lines.
"""

from __future__ import annotations

import codecs
import io
import itertools
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Final

from workbench.client.datasets import Preview
from workbench.parquet_values import json_value

__all__ = [
    "ENDINGS",
    "HEAD_BYTES",
    "Columns",
    "Upload",
    "UploadError",
    "first_columns",
    "guessed",
    "head_of",
    "import_command",
    "is_own_form",
    "name_of",
    "whole_of",
]

HEAD_BYTES: Final = 1_000_000
"""How much of a file its first look reads."""

_HEAD_ROWS: Final = 20
_FORMS: Final = {
    "csv": "csv",
    "tsv": "csv",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "json": "json",
    "parquet": "parquet",
}
ENDINGS: Final = tuple(_FORMS)
_SEPARATORS: Final = (",", ";", "\t")
_OWN_FIELDS: Final = frozenset(
    {"key", "input", "messages", "expected_output", "metadata", "cluster"}
)
_EXPECTED: Final = ("expected_output", "expected", "answer", "label", "target", "output")
_KEYS: Final = ("key", "id")
_NAME_LENGTH: Final = 100
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class UploadError(ValueError):
    """A file cannot be read; the message is a sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Upload:
    """The text of a file, or its beginning, as the API takes it."""

    text: str
    format: str
    separator: str = ","

    def body(self, **more: object) -> dict[str, Any]:
        """Return the part of a request that carries the text."""
        return {"text": self.text, "format": self.format, "separator": self.separator, **more}


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns an example is made of; without inputs, every column that is nothing else."""

    inputs: Sequence[str] = ()
    expected_output: str | None = None
    key: str | None = None
    cluster: str | None = None
    metadata: Sequence[str] = field(default_factory=tuple)

    def body(self) -> dict[str, Any]:
        """Return the columns as the API takes them."""
        return {
            "inputs": list(self.inputs),
            "expected_output": self.expected_output,
            "key": self.key,
            "cluster": self.cluster,
            "metadata": list(self.metadata),
        }


def head_of(name: str, content: bytes) -> Upload:
    """Return the beginning of a file: enough for a first look at its rows."""
    form = _form(name)
    if form in ("json", "parquet"):
        rows = _array(content) if form == "json" else _parquet_rows(content)
        lines = [_line(row) for row in itertools.islice(rows, _HEAD_ROWS)]
        return _not_empty(Upload("\n".join(lines), "jsonl"))
    text = _decoded(content[:HEAD_BYTES], whole=len(content) <= HEAD_BYTES)
    if len(content) > HEAD_BYTES and "\n" in text:
        text = text[: text.rindex("\n") + 1]
    return _not_empty(Upload(text, form, _separator(name, text)))


def whole_of(name: str, content: bytes) -> Upload:
    """Return all of a file."""
    form = _form(name)
    if form == "parquet":
        return _not_empty(Upload("\n".join(map(_line, _parquet_rows(content))), "jsonl"))
    text = _decoded(content, whole=True)
    return _not_empty(Upload(text, form, _separator(name, text)))


def first_columns(upload: Upload) -> dict[str, Any] | None:
    """Return what to say of the columns before anybody chose any."""
    return Columns().body() if upload.format == "csv" else None


def is_own_form(preview: Preview) -> bool:
    """Whether the rows are examples as they are: objects of `key`, `input` and so on."""
    first = preview.rows[0].values if preview.rows else {}
    return isinstance(first.get("input"), Mapping) and set(preview.columns) <= _OWN_FIELDS


def guessed(columns: Sequence[str]) -> Columns:
    """Return which columns are probably what, by their names."""
    lower = {name.lower(): name for name in reversed(columns)}
    expected = next((lower[name] for name in _EXPECTED if name in lower), None)
    key = next((lower[name] for name in _KEYS if name in lower), None)
    if len([name for name in columns if name not in (expected, key)]) == 0:
        return Columns(inputs=tuple(columns))
    return Columns(expected_output=expected, key=key)


def name_of(file: str) -> str:
    """Return a dataset name made from a file's: `My Tickets.csv` gives `my-tickets`."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", PurePath(file).stem.lower()).strip("._-")
    return plain[:_NAME_LENGTH]


def import_command(file: str, name: str, columns: Columns | None) -> str:
    """Return the command that imports the same file without a limit of size."""
    words = ["workbench", "datasets", "import", file, "--name", name or "NAME"]
    if columns is not None:
        for option, value in _options(columns):
            words += [option, value]
    return shlex.join(words)


def _options(columns: Columns) -> Iterator[tuple[str, str]]:
    yield from (("--input", name) for name in columns.inputs)
    single = {
        "--expected": columns.expected_output,
        "--key": columns.key,
        "--cluster": columns.cluster,
    }
    yield from ((option, name) for option, name in single.items() if name is not None)
    yield from (("--metadata", name) for name in columns.metadata)


def _form(name: str) -> str:
    ending = PurePath(name).suffix.lower().removeprefix(".")
    if ending not in _FORMS:
        raise UploadError(
            f"Files end with {', '.join(f'.{known}' for known in _FORMS)}: rename this one if its "
            "content is one of these."
        )
    return _FORMS[ending]


def _not_empty(upload: Upload) -> Upload:
    if not upload.text.strip():
        raise UploadError("The file has no rows.")
    return upload


def _decoded(content: bytes, *, whole: bool) -> str:
    """Return the text of UTF-8, which may be cut inside a character unless it is whole."""
    if content.startswith(_UTF16):
        raise UploadError("The file is UTF-16. Save it as UTF-8.")
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(content, final=whole)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UploadError(
            f"Line {line:,} holds the byte 0x{content[error.start]:02X}, which is no UTF-8. The "
            "file may be Latin-1 or Windows-1252: save it as UTF-8."
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UploadError(f"Line {line:,} holds a NUL character. Is this a text file?")
    return text


def _separator(name: str, text: str) -> str:
    """Return what stands between the cells: what the header has outside of quotes."""
    if name.lower().endswith(".tsv"):
        return "\t"
    outside_quotes = "".join(text.partition("\n")[0].split('"')[::2])
    found = [separator for separator in _SEPARATORS if separator in outside_quotes]
    return max(found, key=outside_quotes.count, default=",")


def _array(content: bytes) -> list[Any]:
    text = _decoded(content, whole=True)
    try:
        values = json.loads(text)
    except RecursionError:
        raise UploadError("The file is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise UploadError(f"Line {error.lineno:,} is no JSON: {error.msg}.") from None
    if not isinstance(values, list):
        raise UploadError("A .json file holds one array of objects; one object a line is .jsonl.")
    return values


def _parquet_rows(content: bytes) -> Iterator[dict[str, Any]]:
    # Slow to import, and needed for this form alone.
    from pyarrow import ArrowException, parquet

    try:
        for batch in parquet.ParquetFile(io.BytesIO(content)).iter_batches(batch_size=100):
            for row in batch.to_pylist():
                yield {name: json_value(value) for name, value in row.items()}
    except ArrowException:
        raise UploadError("The file is no Parquet.") from None


def _line(row: object) -> str:
    try:
        return json.dumps(row, ensure_ascii=False)
    except TypeError as error:
        raise UploadError(f"A row holds a value that has no form in JSON: {error}.") from None
