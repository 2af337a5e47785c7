from __future__ import annotations

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.core.hashing import JSON
from workbench.scorers._json import equal_json, look_up, parse_path, read_json, written_path

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(), values, max_size=4),
    max_leaves=12,
)
PATHS = st.lists(st.text() | st.integers(0, 10**9 - 1), min_size=1).map(tuple)


@given(value=JSON_VALUES, fence=st.sampled_from(["{}", "```json\n{}\n```", "So:\n```\n{}\n```\n"]))
def test_a_value_written_as_json_is_read_back_fenced_or_not(value: JSON, fence: str) -> None:
    text = fence.replace("{}", json.dumps(value))
    assume("```" not in json.dumps(value))

    assert equal_json(read_json(text, allow_fence=True), value)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (False, 0, False),
        (None, False, False),
        ("1", 1, False),
        ([1, [2]], [1.0, [2.0]], True),
        ([True], [1], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ([], {}, False),
        (2**64 + 1, 2**64 + 2, False),
    ],
)
def test_equality_is_that_of_json(left: JSON, right: JSON, equal: bool) -> None:
    assert equal_json(left, right) is equal
    assert equal_json(right, left) is equal


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("queue", ("queue",)),
        ("a.b[0].c", ("a", "b", 0, "c")),
        ("[2].a", (2, "a")),
        ("a[0][1]", ("a", 0, 1)),
        ("first name.ß", ("first name", "ß")),
        ('["a.b"].c["d\\"e"]', ("a.b", "c", 'd"e')),
    ],
)
def test_a_path_is_read_step_by_step(text: str, path: tuple[str | int, ...]) -> None:
    assert parse_path(text) == path


@given(path=PATHS)
def test_every_path_can_be_written_and_read_again(path: tuple[str | int, ...]) -> None:
    assert parse_path(written_path(path)) == path


@pytest.mark.parametrize("text", ["", ".a", "a.", "a..b", 'a"b"', "a[-1]", "a[0]b", "[", '["a"'])
def test_a_path_that_cannot_be_read_is_refused_with_the_place(text: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be read from character|at least one step"):
        parse_path(text)


@pytest.mark.parametrize("path", [("b",), ("a", 1), ("a", "x"), (0,), ("a", 0, "c", "d")])
def test_looking_up_what_is_not_there_is_a_lookup_error(path: tuple[str | int, ...]) -> None:
    with pytest.raises(LookupError):
        look_up({"a": [{"c": "text"}]}, path)
