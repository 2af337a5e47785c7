"""Tables as people have them: CSV, JSON Lines, JSON (an array of objects) and Parquet.

A file is streamed as rows, each with its number (from 1, the header not counted) and the
line on which it begins. A row is read exactly or refused with file, row and column; nothing
is guessed, mended or skipped:

- text is UTF-8, with or without a byte order mark; lines end with LF or CRLF;
- CSV follows RFC 4180: quoted values may hold separators, doubled quotes and line ends;
  all values are texts. The separator is the one of `,` `;` and TAB that stands in the
  header outside quotes; if there are two of them, the file is refused;
- every CSV row has as many values as the header, column names are neither empty nor double;
- no NaN, no whole number beyond 64 bits, no NUL, no lone surrogate, no name twice in one
  object, no nesting beyond `MAX_NESTING`, no row above `MAX_ROW_BYTES`;
- blank lines are refused, except at the end of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from app.core.errors import ConfigurationError
from workbench.workspace.tables.csv_table import read_csv
from workbench.workspace.tables.json_table import read_json_array, read_json_lines
from workbench.workspace.tables.parquet_table import read_parquet
from workbench.workspace.tables.rows import MAX_ROW_BYTES, MISSING, Missing, Row, TableError, locate

__all__ = [
    "MAX_ROW_BYTES",
    "MISSING",
    "Missing",
    "Row",
    "TableError",
    "has_fixed_columns",
    "locate",
    "read_table",
]

_READERS = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json_array,
    ".parquet": read_parquet,
}
_FIXED_COLUMNS = frozenset({".csv", ".tsv", ".parquet"})


def has_fixed_columns(path: Path) -> bool:
    """Whether every row of such a file has the columns of the first."""
    return path.suffix.lower() in _FIXED_COLUMNS


def read_table(path: Path) -> Iterator[Row]:
    """Yield the rows of a file; its ending says the format.

    Known are .csv, .tsv, .jsonl, .ndjson, .json and .parquet. Raises `TableError`,
    `NotFound` for a missing file, `ConfigurationError` for an unknown ending, an
    unreadable file or Parquet without its extra. A file without rows is an error.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ConfigurationError(
            f"{path}: the ending {path.suffix or '(none)'} is no known format; "
            f"known are {', '.join(_READERS)}.",
            hint="Rename the file if its content is one of these.",
        )
    empty = True
    for row in reader(path):
        empty = False
        yield row
    if empty:
        raise TableError(str(path), "the file has no rows.")
