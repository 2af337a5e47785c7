"""YAML as data: what is read, what is refused, and the line of every problem."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.core.errors import Invalid
from workbench.workspace.strict_yaml import YamlDocument, field_name, parse_yaml, read_yaml


def value(text: str) -> Any:
    return parse_yaml(text, source="file.yaml").value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("# only a comment", None),
        ("a:", {"a": None}),
        ("a: ~", {"a": None}),
        ("a: true", {"a": True}),
        ("a: 1.5", {"a": 1.5}),
        ("a: -3", {"a": -3}),
        ("a: .5e-1", {"a": 0.05}),
        ("[1, [2, {b: c}]]", [1, [2, {"b": "c"}]]),
        ("a: |\n  two\n  lines\n", {"a": "two\nlines\n"}),
        ("%YAML 1.2\n---\na: 1", {"a": 1}),
    ],
)
def test_data_is_read(text: str, expected: Any) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    "word",
    [
        "no",
        "yes",
        "on",
        "Off",
        "y",
        "2026-01-31",
        "12:30:45",
        "0x1F",
        "007",
        "1_000",
        ".nan",
        ".inf",
    ],
)
def test_words_that_other_readers_take_for_something_else_are_texts(word: str) -> None:
    assert value(f"a: {word}") == {"a": word}


def test_a_quoted_scalar_is_always_a_text() -> None:
    assert value("""a: "1"\nb: 'true'\nc: "null" """) == {"a": "1", "b": "true", "c": "null"}


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("a: 1\nb: &x 2", 2, "anchors"),
        ("a: 1\nb: *x", 2, "anchors"),
        ("&x a: 1", 1, "anchors"),
        ("a: 1\nb: !!python/object/apply:os.system [x]", 2, "tags"),
        ("b: !secret x", 1, "tags"),
        ("! a: 1", 1, "tags"),
        ("a: 1\nb: 2\na: 3", 3, "'a' is there already, on line 1"),
        ("x:\n  a: 1\n  a: 2", 3, "on line 2"),
        ("a: 1\n1: 2", 2, "key must be a text"),
        ("true: 2", 1, "key must be a text"),
        ("? [a]\n: b", 1, "key must be a text"),
        ("a: 1\n--- \nb: 1", 2, "second document"),
        ("a: 1e999", 1, "too large"),
        ("a: 9223372036854775808", 1, "too large"),
        ("a: " + "9" * 5000, 1, "too large"),
        ("a:\n\t- b", 2, "not valid YAML"),
        ("a: [1, 2", 1, "not valid YAML"),
        ("a: 'x", 1, "not valid YAML"),
        ("[" * 51 + "]" * 51, 1, "deeper than 50"),
    ],
)
def test_everything_beyond_data_is_refused_with_its_line(text: str, line: int, told: str) -> None:
    with pytest.raises(Invalid, match=told) as refused:
        value(text)
    assert refused.value.message.startswith(f"file.yaml, line {line}: ")


def test_fifty_levels_are_read() -> None:
    assert value("[" * 50 + "]" * 50)


def test_a_character_that_yaml_does_not_allow_is_refused() -> None:
    with pytest.raises(Invalid, match="not valid YAML"):
        value("a: \x01")


def test_a_bomb_of_aliases_expands_to_nothing() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    with pytest.raises(Invalid, match="anchors"):
        value("\n".join(lines))


def test_more_than_a_megabyte_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    file.write_text("[" * 1_000_001)
    with pytest.raises(Invalid, match="1,000,001 bytes"):
        read_yaml(file)
    with pytest.raises(Invalid, match="longer than the 1,000,000 bytes"):
        value("é" * 500_001)


def test_a_file_is_read_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    for data in (b"a: \xc3\xa9\r\nb: 1\r\n", b"\xef\xbb\xbfa: \xc3\xa9\nb: 1\n"):
        file.write_bytes(data)
        assert read_yaml(file).value == {"a": "é", "b": 1}


def test_a_file_that_is_no_utf_8_is_refused_with_the_line(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(b"a: 1\nb: \xe9\n")
    with pytest.raises(Invalid, match=r"x\.yaml, line 2: this is not UTF-8"):
        read_yaml(file)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"models\.yaml cannot be read: No such file"):
        read_yaml(tmp_path / "nothing.yaml", source="models.yaml")


# Lines and fields

DOCUMENT = parse_yaml(
    "name: x\nparts:\n  - kind: a\n    options:\n      depth: 3\n  - kind: b\n", source="f.yaml"
)


def test_the_line_of_every_field_is_known() -> None:
    assert DOCUMENT.line(("name",)) == 1
    assert DOCUMENT.line(("parts", 0, "options", "depth")) == 5
    assert DOCUMENT.line(("parts", 1)) == 6


def test_a_field_that_is_not_there_has_the_line_of_what_is_around_it() -> None:
    assert DOCUMENT.line(("parts", 0, "options", "width")) == 4
    assert DOCUMENT.line(("nothing",)) == 1


def test_a_path_is_written_as_people_write_it() -> None:
    assert field_name(("parts", 0, "options", "depth")) == "parts[0].options.depth"
    assert field_name(()) == ""


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")
    depth: int = Field(le=2)


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["a", "b"]
    options: Options | None = None


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    parts: list[Part]


def problem(text: str) -> str:
    document: YamlDocument = parse_yaml(text, source="f.yaml")
    with pytest.raises(ValidationError) as found:
        Whole.model_validate(document.value)
    return document.validation_problem(found.value, Whole).message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name: x\nparts:\n  - kind: a\n    options: {depth: 3}\n",
            "f.yaml, line 4: parts[0].options.depth: input should be less than or equal to 2.",
        ),
        ("name: x\n", "f.yaml, line 1: 'parts' is missing."),
        ("name: x\nparts:\n  - options:\n", "f.yaml, line 3: parts[0]: 'kind' is missing."),
        (
            "name: x\nparts: []\npart: 1",
            "f.yaml, line 3: part: unknown key 'part'; did you mean 'parts'?",
        ),
        (
            "name: x\npart: []\n",
            "f.yaml, line 2: part: unknown key 'part'; did you mean 'parts'?",
        ),
        (
            "name: x\nparts:\n  - options: {depth: 3}\n    knd: a",
            "f.yaml, line 4: parts[0].knd: unknown key 'knd'; did you mean 'kind'?",
        ),
        (
            "name: x\nparts:\n  - kind: a\n    zzz: 1",
            "f.yaml, line 4: parts[0].zzz: unknown key 'zzz'; known are kind, options.",
        ),
        (
            "name: x\nparts:\n  - kind: a\n    options: {dept: 1, depth: 1}",
            "f.yaml, line 4: parts[0].options.dept: unknown key 'dept'; did you mean 'depth'?",
        ),
    ],
)
def test_what_does_not_fit_a_shape_is_told_with_line_and_field(text: str, message: str) -> None:
    assert problem(text) == message


# Properties

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(_JSON)
def test_json_is_read_as_json(data: Any) -> None:
    """JSON is YAML; only the escapes of rare characters differ, so none are written."""
    assert value(json.dumps(data, ensure_ascii=False)) == data


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_sentence(text: str) -> None:
    try:
        parsed = value(text)
    except Invalid as refused:
        assert refused.message.startswith("file.yaml")
    else:
        json.dumps(parsed, allow_nan=False)
