"""Files of bytes as text: opened behind the byte order mark, decoded strictly, line by line."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from app.core.errors import ConfigurationError, NotFound
from workbench.workspace.tables.rows import MAX_ROW_BYTES, TOO_LARGE, TableError

__all__ = ["Lines", "not_utf8", "opened"]

_UTF8_MARK: Final = codecs.BOM_UTF8
_UTF16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file behind its byte order mark."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise NotFound(f"There is no file {path}.") from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error
    with file:
        start = file.read(len(_UTF8_MARK))
        if start.startswith(_UTF16_MARKS):
            raise TableError(str(path), "the file is UTF-16, not UTF-8.", hint="Save it as UTF-8.")
        if start != _UTF8_MARK:
            file.seek(0)
        yield file


class Lines:
    """The lines of a file, decoded, with their ends. `number` is that of the last one read."""

    def __init__(self, file: BinaryIO, name: str, *, too_large_hint: str | None = None) -> None:
        self.number = 0
        self.row = 0
        self._file = file
        self._name = name
        self._too_large_hint = too_large_hint
        self._offset = file.tell()
        self._row_bytes = 0

    def begin_row(self) -> int:
        """Count the lines that follow to the next row; return the number of the first."""
        self.row += 1
        self._row_bytes = 0
        return self.number + 1

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        raw = self._file.readline(MAX_ROW_BYTES + 1)
        if not raw:
            raise StopIteration
        self.number += 1
        self._row_bytes += len(raw)
        if self._row_bytes > MAX_ROW_BYTES:
            raise self.error(TOO_LARGE, hint=self._too_large_hint)
        if b"\0" in raw:
            raise self.error(f"there is a NUL byte at offset {self._offset + raw.index(0)}.")
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            offset = self._offset + error.start
            raise not_utf8(
                self._name, error, offset, line=self.number, row=self.row or None
            ) from None
        self._offset += len(raw)
        return text

    def error(
        self,
        problem: str,
        *,
        column: str | None = None,
        hint: str | None = None,
        line: int | None = None,
    ) -> TableError:
        """Return an error at the row being read, and at the line read last if none is given."""
        return TableError(
            self._name,
            problem,
            row=self.row or None,
            line=line or self.number,
            column=column,
            hint=hint,
        )


def not_utf8(
    name: str,
    error: UnicodeDecodeError,
    offset: int,
    *,
    line: int,
    row: int | None = None,
) -> TableError:
    """Return the error for a byte that does not decode, `offset` bytes from the file's start."""
    return TableError(
        name,
        f"the byte 0x{error.object[error.start]:02X} at offset {offset} is no UTF-8.",
        row=row,
        line=line,
        hint="The file may be Latin-1 or Windows-1252: save it as UTF-8.",
    )
