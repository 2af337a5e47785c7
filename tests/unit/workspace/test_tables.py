"""Tables: a corpus of small files, each read exactly or refused with its place."""

from __future__ import annotations

import codecs
import csv
import io
import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from app.core.errors import ConfigurationError, NotFound
from app.core.hashing import JSON
from workbench.workspace.tables import MAX_ROW_BYTES, MISSING, TableError, locate, read_table

MEGABYTE = b"x" * MAX_ROW_BYTES
HALF = b"x" * (MAX_ROW_BYTES // 2)

Write = Callable[[str, bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write_file


class Exact(NamedTuple):
    case: str
    name: str
    content: bytes
    rows: list[tuple[int, int, dict[str, JSON]]]


EXACT = [
    Exact("plain", "a.csv", b"a,b\n1,2\n", [(1, 2, {"a": "1", "b": "2"})]),
    Exact("no line end at the end", "a.csv", b"a,b\n1,2", [(1, 2, {"a": "1", "b": "2"})]),
    Exact("CRLF", "a.csv", b"a,b\r\n1,2\r\n", [(1, 2, {"a": "1", "b": "2"})]),
    Exact(
        "byte order mark", "a.csv", codecs.BOM_UTF8 + b"a,b\n1,2\n", [(1, 2, {"a": "1", "b": "2"})]
    ),
    Exact("one column", "a.csv", b"text\nhello\n", [(1, 2, {"text": "hello"})]),
    Exact("semicolons", "a.csv", b"a;b\n1,5;2\n", [(1, 2, {"a": "1,5", "b": "2"})]),
    Exact("tabs in a .csv", "a.csv", b"a\tb\n1\t2\n", [(1, 2, {"a": "1", "b": "2"})]),
    Exact("tabs in a .tsv", "a.tsv", b"a,b\tc\n1\t2\n", [(1, 2, {"a,b": "1", "c": "2"})]),
    Exact(
        "a separator in a quoted column name",
        "a.csv",
        b'id,"text; long"\n1,x\n',
        [(1, 2, {"id": "1", "text; long": "x"})],
    ),
    Exact(
        "quoted separator and doubled quote",
        "a.csv",
        b'a,b\n"1,2","say ""hi"""\n',
        [(1, 2, {"a": "1,2", "b": 'say "hi"'})],
    ),
    Exact(
        "quoted line ends are kept, and the next row's line is right",
        "a.csv",
        b'a,b\n"1\r\n2\n3",x\ny,z\n',
        [(1, 2, {"a": "1\r\n2\n3", "b": "x"}), (2, 5, {"a": "y", "b": "z"})],
    ),
    Exact(
        "a line end in the header", "a.csv", b'"a\nb",c\n1,2\n', [(1, 3, {"a\nb": "1", "c": "2"})]
    ),
    Exact(
        "a quote inside an unquoted value",
        "a.csv",
        b'a,b\n5" disk,x\n',
        [(1, 2, {"a": '5" disk', "b": "x"})],
    ),
    Exact("spaces belong to the value", "a.csv", b"a,b\n 1 ,\n", [(1, 2, {"a": " 1 ", "b": ""})]),
    Exact("blank lines at the end", "a.csv", b"a,b\n1,2\n\n\r\n", [(1, 2, {"a": "1", "b": "2"})]),
    Exact(
        "a field above the csv module's limit",
        "a.csv",
        b"a\n" + HALF + b"\n",
        [(1, 2, {"a": HALF.decode()})],
    ),
    Exact(
        "other scripts",
        "a.csv",
        "frage,ß\nÄpfel,日本\n".encode(),
        [(1, 2, {"frage": "Äpfel", "ß": "日本"})],
    ),
    Exact(
        "a line separator of Unicode is text",
        "a.csv",
        "a,b\n1\u2028,2\n".encode(),
        [(1, 2, {"a": "1\u2028", "b": "2"})],
    ),
    Exact(
        "JSON Lines",
        "a.jsonl",
        b'{"a": 1}\n{"b": [true, null]}\n',
        [(1, 1, {"a": 1}), (2, 2, {"b": [True, None]})],
    ),
    Exact(
        "JSON Lines with CRLF, mark and no end",
        "a.ndjson",
        codecs.BOM_UTF8 + b'{"a": 1}\r\n{"a": 2}',
        [(1, 1, {"a": 1}), (2, 2, {"a": 2})],
    ),
    Exact(
        "a pair of surrogate escapes is one character",
        "a.jsonl",
        b'{"a": "\\ud83d\\ude00"}\n',
        [(1, 1, {"a": "\U0001f600"})],
    ),
    Exact(
        "whole numbers of 64 bits stay exact",
        "a.jsonl",
        b'{"a": 18446744073709551615}\n',
        [(1, 1, {"a": 2**64 - 1})],
    ),
    Exact(
        "blank lines at the end of JSON Lines", "a.jsonl", b'{"a": 1}\n\n  \n', [(1, 1, {"a": 1})]
    ),
    Exact(
        "JSON array",
        "a.json",
        b'[{"a": 1},\n\n {"a": "}"}\n]\n',
        [(1, 1, {"a": 1}), (2, 3, {"a": "}"})],
    ),
    Exact("JSON array with a mark", "a.json", codecs.BOM_UTF8 + b'[{"a": 1}]', [(1, 1, {"a": 1})]),
    Exact(
        "JSON objects over lines",
        "a.json",
        b'[\n{\n"a": {\n"b": 1}\n}\n]',
        [(1, 2, {"a": {"b": 1}})],
    ),
]


@pytest.mark.parametrize("case", EXACT, ids=[case.case for case in EXACT])
def test_a_file_is_read_exactly(case: Exact, write: Write) -> None:
    assert [tuple(row) for row in read_table(write(case.name, case.content))] == case.rows


class Refused(NamedTuple):
    case: str
    name: str
    content: bytes
    row: int | None
    line: int | None
    column: str | None
    words: str


REFUSED = [
    Refused("empty file", "a.csv", b"", None, 1, None, "header is missing"),
    Refused("header only", "a.csv", b"a,b\n", None, None, None, "no rows"),
    Refused("blank header", "a.csv", b"\n1,2\n", None, 1, None, "header is missing"),
    Refused(
        "column without name", "a.csv", b"a,,c\n1,2,3\n", None, 1, None, "column 2 has no name"
    ),
    Refused("column named twice", "a.csv", b"a,b,a\n1,2,3\n", None, 1, "a", "columns 1 and 3"),
    Refused("unclear separator", "a.csv", b"a,b;c\n1,2\n", None, 1, None, "',' and ';'"),
    Refused("too few values", "a.csv", b"a,b,c\n1,2,3\n4,5\n", 2, 3, "c", "2 of 3 values"),
    Refused("too many values", "a.csv", b"a,b\n1,2,3\n", 1, 2, None, "3 values and the header 2"),
    Refused("no semicolon under a semicolon header", "a.csv", b"a;b\n1,2\n", 1, 2, "b", "1 of 2"),
    Refused("blank row", "a.csv", b"a,b\n1,2\n\n3,4\n", 2, 3, None, "blank"),
    Refused("row of empty values", "a.csv", b"a,b\n1,2\n,\n", 2, 3, None, "empty"),
    Refused("quote never closed", "a.csv", b'a,b\n1,"2\n3,4\n', 1, 2, None, "never closed"),
    Refused("text behind a closing quote", "a.csv", b'a,b\n"1"x,2\n', 1, 2, None, "closing quote"),
    Refused("line ends of CR alone", "a.csv", b"a,b\r1,2\r", None, 1, None, "carriage return"),
    Refused("Latin-1", "a.csv", b"a,b\n1,2\ncaf\xe9,3\n", 2, 3, None, "0xE9 at offset 11"),
    Refused(
        "Latin-1 in the header", "a.csv", b"caf\xe9,b\n1,2\n", None, 1, None, "0xE9 at offset 3"
    ),
    Refused("UTF-16", "a.csv", "a,b\n1,2\n".encode("utf-16"), None, None, None, "UTF-16"),
    Refused("NUL byte", "a.csv", b"a,b\n1,\x002\n", 1, 2, None, "NUL byte at offset 6"),
    Refused(
        "row above the limit", "a.csv", b"a\n" + MEGABYTE + b"\n", 1, 2, None, "larger than 1 MB"
    ),
    Refused(
        "row of many lines above the limit",
        "a.csv",
        b'a\n"' + HALF + b"\n" + HALF + b'"\n',
        1,
        3,
        None,
        "larger than 1 MB",
    ),
    Refused("no rows", "a.jsonl", b"", None, None, None, "no rows"),
    Refused("no JSON", "a.jsonl", b'{"a": 1}\n{"a": tru}\n', 2, 2, None, "at 'tru}'"),
    Refused("two objects on a line", "a.jsonl", b'{"a": 1} {"a": 2}\n', 1, 1, None, "Extra data"),
    Refused("an object over lines", "a.jsonl", b'{\n"a": 1}\n', 1, 1, None, "no JSON"),
    Refused("no object", "a.jsonl", b'{"a": 1}\n[2]\n', 2, 2, None, "must be an object"),
    Refused("empty object", "a.jsonl", b"{}\n", 1, 1, None, "no fields"),
    Refused("field without name", "a.jsonl", b'{"": 1}\n', 1, 1, None, "no name"),
    Refused("name twice", "a.jsonl", b'{"a": {"b": 1, "b": 2}}\n', 1, 1, None, "'b' stands twice"),
    Refused("blank line", "a.jsonl", b'{"a": 1}\n\n{"a": 2}\n', 2, 2, None, "blank"),
    Refused("NaN", "a.jsonl", b'{"a": [1, NaN]}\n', 1, 1, "a[1]", "NaN"),
    Refused("infinity by overflow", "a.jsonl", b'{"a": {"b": 1e999}}\n', 1, 1, "a.b", "infinite"),
    Refused(
        "whole number beyond 64 bits",
        "a.jsonl",
        b'{"a": 18446744073709551616}\n',
        1,
        1,
        "a",
        "64 bits",
    ),
    Refused(
        "whole number of thousands of digits",
        "a.jsonl",
        b'{"a": ' + b"1" * 5000 + b"}\n",
        1,
        1,
        None,
        "too many digits",
    ),
    Refused(
        "lone surrogate",
        "a.jsonl",
        b'{"a": "x\\ud800"}\n',
        1,
        1,
        "a",
        "surrogate pair (character 2)",
    ),
    Refused(
        "lone surrogate in a name", "a.jsonl", b'{"a": {"\\ud800": 1}}\n', 1, 1, "a", "surrogate"
    ),
    Refused("escaped NUL", "a.jsonl", b'{"a": {"b": ["\\u0000"]}}\n', 1, 1, "a.b[0]", "NUL"),
    Refused("raw NUL", "a.jsonl", b'{"a": "\x00"}\n', 1, 1, None, "NUL byte at offset 7"),
    Refused(
        "nesting",
        "a.jsonl",
        b'{"a": ' + b"[" * 65 + b"]" * 65 + b"}\n",
        1,
        1,
        "a",
        "deeper than 64",
    ),
    Refused(
        "nesting beyond the parser",
        "a.jsonl",
        b'{"a": ' + b"[" * 9000 + b"]" * 9000 + b"}\n",
        1,
        1,
        None,
        "too deeply",
    ),
    Refused(
        "line above the limit",
        "a.jsonl",
        b'{"a": "' + MEGABYTE + b'"}\n',
        1,
        1,
        None,
        "larger than 1 MB",
    ),
    Refused(
        "Latin-1 in JSON Lines",
        "a.jsonl",
        b'{"a": 1}\n{"a": "\xe9"}\n',
        2,
        2,
        None,
        "0xE9 at offset 16",
    ),
    Refused("empty array", "a.json", b" [ ] ", None, None, None, "no rows"),
    Refused("empty JSON file", "a.json", b"", None, 1, None, "array of objects"),
    Refused("no array", "a.json", b'\n{"rows": []}', None, 2, None, "array of objects"),
    Refused("array of numbers", "a.json", b"[\n1]", 1, 2, None, "object, {...}, is expected"),
    Refused(
        "comma before the end", "a.json", b'[{"a": 1},\n]', 2, 2, None, "object, {...}, is expected"
    ),
    Refused("comma missing", "a.json", b'[{"a": 1}\n{"a": 2}]', 1, 2, None, "',' or ']'"),
    Refused("array cut off", "a.json", b'[{"a": 1},\n{"a": ', 2, 2, None, "at the end"),
    Refused("array not closed", "a.json", b'[{"a": 1}', 1, 1, None, "',' or ']'"),
    Refused("text behind the array", "a.json", b'[{"a": 1}]\n]', 1, 2, None, "behind the end"),
    Refused(
        "no JSON in an array",
        "a.json",
        b'[{"a": 1},\n{"a": 1,\n"b": tru}]',
        2,
        3,
        None,
        "at 'tru}]'",
    ),
    Refused("NaN in an array", "a.json", b'[{"a": NaN}]', 1, 1, "a", "NaN"),
    Refused(
        "object above the limit",
        "a.json",
        b'[{"a": "' + MEGABYTE + b'"}]',
        1,
        1,
        None,
        "larger than 1 MB",
    ),
    Refused(
        "Latin-1 in an array",
        "a.json",
        b'[{"a": 1},\n{"a": "\xe9"}]',
        None,
        2,
        None,
        "0xE9 at offset 18",
    ),
    Refused("no Parquet", "a.parquet", b"PAR0", None, None, None, "no Parquet"),
]


@pytest.mark.parametrize("case", REFUSED, ids=[case.case for case in REFUSED])
def test_a_file_is_refused_with_its_place(case: Refused, write: Write) -> None:
    path = write(case.name, case.content)
    with pytest.raises(TableError) as refused:
        list(read_table(path))
    error = refused.value
    assert (error.row, error.line, error.column) == (case.row, case.line, case.column)
    assert case.words in error.message
    assert error.message.startswith(str(path))


def test_the_message_names_file_row_line_and_column(write: Write) -> None:
    path = write("t.csv", b"id,text\n1,a\n2\n")
    with pytest.raises(TableError) as refused:
        list(read_table(path))
    assert refused.value.message == (
        f"{path}, row 2 (line 3), column 'text': the row has 1 of 2 values; "
        "this is the first column without one."
    )


def test_rows_before_a_bad_one_were_yielded(write: Write) -> None:
    rows = read_table(write("t.jsonl", b'{"a": 1}\nnonsense\n'))
    assert next(rows).values == {"a": 1}
    with pytest.raises(TableError):
        next(rows)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"There is no file .*gone\.csv"):
        list(read_table(tmp_path / "gone.csv"))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(ConfigurationError, match="directory"):
        list(read_table(tmp_path / "a.csv"))


def test_an_unknown_ending_is_refused_with_the_known_ones(write: Write) -> None:
    with pytest.raises(ConfigurationError, match=r"\.xlsx is no known format.*\.csv"):
        list(read_table(write("a.xlsx", b"")))


def test_an_array_longer_than_a_block_is_read_whole(write: Write) -> None:
    rows = [{"number": number, "text": 'ä\\"😀\n' * (number % 97)} for number in range(2000)]
    for ascii_only in (True, False):
        content = json.dumps(rows, ensure_ascii=ascii_only).encode()
        read = list(read_table(write("long.json", content)))
        assert [row.values for row in read] == rows
        assert [row.number for row in read] == list(range(1, 2001))


def _parquet(path: Path, **columns: pyarrow.Array) -> Path:
    parquet.write_table(pyarrow.table(columns), path)
    return path


def test_parquet_is_read_with_times_and_decimals_as_text(tmp_path: Path) -> None:
    path = _parquet(
        tmp_path / "a.parquet",
        text=pyarrow.array(["ä", None]),
        count=pyarrow.array([1, 2]),
        ratio=pyarrow.array([0.5, 1.25]),
        flag=pyarrow.array([True, False]),
        nested=pyarrow.array([{"a": [1, 2]}, {"a": []}]),
        day=pyarrow.array([date(2026, 1, 2), None]),
        moment=pyarrow.array([datetime(2026, 1, 2, 3, 4, tzinfo=UTC), None]),
        price=pyarrow.array([Decimal("1.50"), None]),
    )
    assert [tuple(row) for row in read_table(path)] == [
        (
            1,
            None,
            {
                "text": "ä",
                "count": 1,
                "ratio": 0.5,
                "flag": True,
                "nested": {"a": [1, 2]},
                "day": "2026-01-02",
                "moment": "2026-01-02T03:04:00+00:00",
                "price": "1.50",
            },
        ),
        (
            2,
            None,
            {
                "text": None,
                "count": 2,
                "ratio": 1.25,
                "flag": False,
                "nested": {"a": []},
                "day": None,
                "moment": None,
                "price": None,
            },
        ),
    ]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pyarrow.array([1.0, math.nan]), "NaN"),
        (pyarrow.array([b"", b"\x00\x01"]), "bytes is no JSON value"),
        (pyarrow.array(["", "a\0b"]), "NUL"),
        (pyarrow.array(["", "x" * MAX_ROW_BYTES]), "larger than 1 MB"),
    ],
    ids=["NaN", "bytes", "NUL", "size"],
)
def test_a_parquet_value_that_cannot_be_kept_is_refused(
    column: pyarrow.Array, words: str, tmp_path: Path
) -> None:
    path = _parquet(tmp_path / "a.parquet", good=pyarrow.array([1, 2]), bad=column)
    with pytest.raises(TableError, match=words) as refused:
        list(read_table(path))
    assert refused.value.row == (1 if "bytes" in words else 2)


def test_a_parquet_file_with_one_name_twice_is_refused(tmp_path: Path) -> None:
    table = pyarrow.Table.from_arrays([pyarrow.array([1]), pyarrow.array([2])], names=["a", "a"])
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(TableError, match="two columns have the same name"):
        list(read_table(tmp_path / "a.parquet"))


# Any text but NUL and lone surrogates; CR and LF are the characters that CSV trips over.
texts = st.text(
    alphabet=st.one_of(
        st.sampled_from(',;\t"\r\n \\'), st.characters(exclude_characters="\0", codec="utf-8")
    ),
    max_size=20,
)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.lists(texts, min_size=width, max_size=width).filter(any), min_size=1, max_size=6
    )
)


@given(tables, st.sampled_from(["\n", "\r\n"]), st.sampled_from(",;\t"), st.booleans())
def test_a_csv_of_any_texts_comes_back_exactly(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
    line_end: str,
    separator: str,
    mark: bool,
) -> None:
    header = [f"column {number}" for number in range(len(rows[0]))]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    writer.writerows([header, *rows])
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_bytes((codecs.BOM_UTF8 if mark else b"") + text.getvalue().encode())
    # QUOTE_ALL leaves the separator between quoted names only, so that it is clear.
    assert [list(row.values.values()) for row in read_table(path)] == rows


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts.filter(str.strip), json_values, min_size=1, max_size=4)


@given(st.lists(objects, min_size=1, max_size=5), st.booleans(), st.sampled_from([None, 1]))
def test_json_of_any_values_comes_back_exactly(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, JSON]],
    ascii_only: bool,
    indent: int | None,
) -> None:
    folder = tmp_path_factory.mktemp("json")
    lines, array = folder / "t.jsonl", folder / "t.json"
    lines.write_text("\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows), "utf-8")
    array.write_text(json.dumps(rows, ensure_ascii=ascii_only, indent=indent), "utf-8")
    for path in (lines, array):
        assert [row.values for row in read_table(path)] == rows


@given(st.binary(max_size=60), st.sampled_from([".csv", ".tsv", ".jsonl", ".json"]))
def test_any_bytes_are_read_or_refused_as_a_table(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, ending: str
) -> None:
    path = tmp_path_factory.mktemp("bytes") / f"t{ending}"
    path.write_bytes(content)
    try:
        rows = list(read_table(path))
    except TableError:
        return
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))


VALUES: dict[str, JSON] = {
    "plain": 1,
    "a": {"b": {"c": "deep"}, "null": None},
    "a.b": "exact name",
    "dotted.name": {"x.y": 2},
    "list": [{"text": "first"}, "second"],
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("plain", 1),
        ("a.b", "exact name"),
        ("a.b.c", "deep"),
        ("a.null", None),
        ("dotted.name.x.y", 2),
        ("list.0.text", "first"),
        ("list.1", "second"),
        ("list.2", MISSING),
        ("list.-1", MISSING),
        ("plain.x", MISSING),
        ("a.b.c.d", MISSING),
        ("a.", MISSING),
        ("nothing", MISSING),
        ("", MISSING),
    ],
)
def test_a_path_finds_a_name_with_dots_first_and_then_goes_inside(path: str, value: object) -> None:
    assert locate(VALUES, path) == value
