"""CSV as in RFC 4180, read by the standard library and checked row by row."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from workbench.workspace.tables.files import Lines, opened
from workbench.workspace.tables.rows import MAX_ROW_BYTES, Row, TableError

__all__ = ["read_csv"]

_SEPARATORS: Final = {",": "','", ";": "';'", "\t": "TAB"}
_EXCERPT: Final = 30
_CSV_ERRORS: Final = {
    "unexpected end of data": "a quote that opens in this row is never closed.",
    "expected after": "a closing quote is followed by other text; inside a quoted value "
    'a quote is written twice, as in "5"" disk".',
    "new-line character": "a carriage return stands outside quotes; lines must end with "
    "LF or CRLF.",
}


def read_csv(path: Path) -> Iterator[Row]:
    """Yield the rows under the header; blank lines may only follow the last."""
    # The limit of a field is a setting of the whole csv module, and lower than ours.
    csv.field_size_limit(MAX_ROW_BYTES)
    with opened(path) as file:
        lines = Lines(
            file, str(path), too_large_hint="A quote that is opened and never closed does this."
        )
        first = _header_lines(lines)
        separator = "\t" if path.suffix.lower() == ".tsv" else _separator("".join(first), lines)
        records = csv.reader(itertools.chain(first, lines), delimiter=separator, strict=True)
        header = _next_record(records, lines, 1) or []
        _check_header(header, lines)
        blank: tuple[int, int] | None = None
        while True:
            line = lines.begin_row()
            record = _next_record(records, lines, line)
            if record is None:
                return
            if blank is not None and record:
                raise TableError(str(path), "the row is blank.", row=blank[0], line=blank[1])
            if not record:
                blank = blank or (lines.row, line)
                continue
            _check_record(record, header, separator, lines, line)
            yield Row(lines.row, line, dict(zip(header, record, strict=True)))


def _header_lines(lines: Lines) -> list[str]:
    """Return the lines of the first record, which goes on while a quote is open."""
    first: list[str] = []
    quotes = 0
    for text in lines:
        first.append(text)
        quotes += text.count('"')
        if quotes % 2 == 0:
            break
    return first


def _separator(header: str, lines: Lines) -> str:
    outside_quotes = "".join(header.split('"')[::2])
    found = [separator for separator in _SEPARATORS if separator in outside_quotes]
    if len(found) > 1:
        names = " and ".join(_SEPARATORS[separator] for separator in found)
        raise lines.error(
            f"the header has {names}, so the separator is not clear.",
            hint="Put the column names in quotes, or save the file with one separator.",
        )
    return found[0] if found else ","


def _next_record(records: Iterator[list[str]], lines: Lines, line: int) -> list[str] | None:
    try:
        return next(records, None)
    except csv.Error as error:
        for known, problem in _CSV_ERRORS.items():
            if known in str(error):
                raise lines.error(problem, line=line) from None
        raise lines.error(f"the row is no CSV: {error}.", line=line) from None


def _check_header(header: list[str], lines: Lines) -> None:
    if not header:
        raise lines.error("the header is missing: the first line names the columns.", line=1)
    for number, name in enumerate(header, 1):
        if not name.strip():
            raise lines.error(f"column {number} has no name in the header.", line=1)
        if header.index(name) < number - 1:
            raise lines.error(
                f"columns {header.index(name) + 1} and {number} have the same name.",
                line=1,
                column=name,
            )


def _shortened(value: str) -> str:
    return value if len(value) <= _EXCERPT else value[:_EXCERPT] + "…"


def _check_record(
    record: list[str], header: list[str], separator: str, lines: Lines, line: int
) -> None:
    if len(record) < len(header):
        raise lines.error(
            f"the row has {len(record)} of {len(header)} values; "
            "this is the first column without one.",
            line=line,
            column=header[len(record)],
        )
    if len(record) > len(header):
        raise lines.error(
            f"the row has {len(record)} values and the header {len(header)} columns; "
            f"{_shortened(record[len(header)])!r} is the first value without one.",
            line=line,
            hint=f"A value that holds {_SEPARATORS[separator]} must stand in quotes.",
        )
    if not any(record):
        raise lines.error("the row is empty: no column has a value.", line=line)
