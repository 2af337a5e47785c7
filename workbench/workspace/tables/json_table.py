"""JSON Lines, and JSON as one array of objects; neither is ever in memory as a whole."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from app.core.hashing import JSON
from workbench.workspace.tables.files import Lines, not_utf8, opened
from workbench.workspace.tables.rows import (
    MAX_ROW_BYTES,
    TOO_LARGE,
    Fail,
    Row,
    TableError,
    checked_object,
)

__all__ = ["read_json_array", "read_json_lines"]

_BLOCK: Final = 64 * 1024
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_LONGEST_TOKEN: Final = 12  # characters that a cut JSON token can have: an escaped pair
_EXCERPT: Final = 20
_ONE_A_LINE: Final = "One whole object on each line is expected; an array of objects is .json."

_T = TypeVar("_T")


class _Refused(ValueError):
    """What the JSON decoder would let pass."""


def _unique_names(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Refused(f"the name {twice!r} stands twice in one object.")
    return found


# The standard decoder: it keeps whole numbers exact, where faster ones round them.
# NaN passes here; the check of each value refuses it and names its column.
_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique_names)


def _decoded(decode: Callable[[], _T], fail: Fail) -> _T:
    """Return what `decode` does; `JSONDecodeError` passes, other refusals become errors."""
    try:
        return decode()
    except json.JSONDecodeError:
        raise
    except RecursionError:
        raise fail("the row is nested too deeply.") from None
    except _Refused as error:
        raise fail(str(error)) from None
    except ValueError:  # Python converts no number beyond some thousand digits
        raise fail("a number has too many digits.") from None


def _no_json(error: json.JSONDecodeError) -> str:
    excerpt = error.doc[error.pos : error.pos + _EXCERPT].rstrip()
    where = f"at {excerpt!r}" if excerpt else "at the end"
    return f"this is no JSON: {error.msg} {where}."


def read_json_lines(path: Path) -> Iterator[Row]:
    """Yield one row for each line; blank lines may only follow the last."""
    with opened(path) as file:
        lines = Lines(file, str(path))
        blank: tuple[int, int] | None = None
        while True:
            line = lines.begin_row()
            text = next(lines, None)
            if text is None:
                return
            if not text.strip(" \t\r\n"):
                blank = blank or (lines.row, line)
                continue
            if blank is not None:
                raise TableError(str(path), "the line is blank.", row=blank[0], line=blank[1])
            yield Row(lines.row, line, checked_object(_json_line(text, lines), lines.error))


def _json_line(text: str, lines: Lines) -> JSON:
    try:
        value: JSON = _decoded(lambda: _DECODER.decode(text), lines.error)
    except json.JSONDecodeError as error:
        cut_off = error.pos >= len(text.rstrip())
        raise lines.error(_no_json(error), hint=_ONE_A_LINE if cut_off else None) from None
    return value


class _JSONText:
    """A window that moves over the text of a JSON file. `row` and `line` are where it stands."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.row = 0
        self.line = 1
        self._file = file
        self._name = name
        self._bytes_read = file.tell()
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._at = 0
        self._ended = False

    def peek(self) -> str:
        """Pass over white space and return the next character; empty at the end."""
        while True:
            space = _SPACE.match(self._text, self._at)
            if space is not None:
                self._move(space.end())
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._fill()

    def take(self) -> str:
        """Return the next character after white space and pass over it."""
        character = self.peek()
        self._move(self._at + len(character))
        return character

    def value(self) -> JSON:
        """Return the value that begins here and pass over it."""
        value: JSON
        while True:
            try:
                value, end = _decoded(lambda: _DECODER.raw_decode(self._text, self._at), self.error)
                break
            except json.JSONDecodeError as error:
                if self._ended or not self._may_be_cut(error):
                    self._move(error.pos)
                    raise self.error(_no_json(error)) from None
            if len(self._text) - self._at > MAX_ROW_BYTES:
                raise self.error(TOO_LARGE)
            self._fill()
        if len(self._text[self._at : end].encode(errors="surrogatepass")) > MAX_ROW_BYTES:
            raise self.error(TOO_LARGE)
        self._move(end)
        return value

    def error(
        self, problem: str, *, column: str | None = None, hint: str | None = None
    ) -> TableError:
        """Return an error at the place where the window stands."""
        return TableError(
            self._name, problem, row=self.row or None, line=self.line, column=column, hint=hint
        )

    def _may_be_cut(self, error: json.JSONDecodeError) -> bool:
        """Whether the error may come from the window's end and not from the text."""
        near_end = error.pos >= len(self._text) - _LONGEST_TOKEN
        return near_end or error.msg.startswith("Unterminated string")

    def _move(self, to: int) -> None:
        self.line += self._text.count("\n", self._at, to)
        self._at = to

    def _fill(self) -> None:
        block = self._file.read(_BLOCK)
        self._ended = not block
        try:
            text = self._decoder.decode(block, final=self._ended)
        except UnicodeDecodeError as error:
            start = self._bytes_read + len(block) - len(error.object)
            lines = self._text.count("\n", self._at) + error.object.count(b"\n", 0, error.start)
            raise not_utf8(self._name, error, start + error.start, line=self.line + lines) from None
        self._bytes_read += len(block)
        self._text = self._text[self._at :] + text
        self._at = 0


def read_json_array(path: Path) -> Iterator[Row]:
    """Yield one row for each object of the array that the file is."""
    with opened(path) as file:
        text = _JSONText(file, str(path))
        if text.take() != "[":
            raise text.error(
                "the file must hold an array of objects, [{...}, {...}].",
                hint="One object on each line is the format .jsonl.",
            )
        if text.peek() == "]":
            text.take()
        else:
            yield from _array_rows(text)
        if text.peek():
            raise text.error("there is text behind the end of the array.")


def _array_rows(text: _JSONText) -> Iterator[Row]:
    separator = ","
    while separator == ",":
        text.row += 1
        if text.peek() != "{":
            raise text.error("an object, {...}, is expected here.")
        line = text.line
        values = text.value()
        yield Row(text.row, line, checked_object(values, text.error))
        separator = text.take()
    if separator != "]":
        raise text.error("after the object, ',' or ']' is expected.")
