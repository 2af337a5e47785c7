"""What an example is: its identity, its made key, and what can be no example."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.core.errors import Invalid
from app.core.hashing import content_hash
from app.schemas.datasets import MAX_NESTING, ExampleInput, check_json

WHOLE = {
    "key": "k-1",
    "input": {"question": "1 + 1?"},
    "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
    "expected_output": "2",
    "metadata": {"level": 1},
    "cluster": "sums",
}


def test_the_hash_covers_exactly_what_the_example_says() -> None:
    said = {name: value for name, value in WHOLE.items() if name != "key"}
    assert ExampleInput.model_validate(WHOLE).hash == content_hash(said)


def test_the_key_is_no_part_of_the_hash() -> None:
    other = ExampleInput.model_validate({**WHOLE, "key": "k-2"})
    assert other.hash == ExampleInput.model_validate(WHOLE).hash


@pytest.mark.parametrize("part", ["messages", "expected_output", "metadata", "cluster"])
def test_an_absent_part_hashes_as_absent(part: str) -> None:
    empty = [] if part == "messages" else {} if part == "metadata" else None
    without = {name: value for name, value in WHOLE.items() if name != part}
    absent = ExampleInput.model_validate(without)
    assert absent.hash == content_hash({n: v for n, v in without.items() if n != "key"})
    assert absent.hash == ExampleInput.model_validate({**without, part: empty}).hash
    assert absent.hash != ExampleInput.model_validate(WHOLE).hash


def test_a_made_key_depends_on_what_is_asked_and_on_nothing_else() -> None:
    example = ExampleInput.model_validate(WHOLE)
    asked = {"input": WHOLE["input"], "messages": WHOLE["messages"]}
    assert ExampleInput.model_validate(asked).made_key() == example.made_key()
    assert ExampleInput(input={"question": "1 + 1?"}).made_key() != example.made_key()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"input": {}, "messages": None}, "needs an input"),
        ({"key": ""}, "at least 1 character"),
        ({"key": "x" * 301}, "at most 300 characters"),
        ({"key": "a\nb"}, "control characters"),
        ({"cluster": "a\x7fb"}, "control characters"),
        ({"key": "\ud800"}, "unicode string"),
        ({"input": {"a": math.nan}}, "input.a: NaN"),
        ({"metadata": {"a": [1, {"b": "\0"}]}}, r"metadata.a\[1\].b: the text holds a NUL"),
        ({"expected_output": "\ud800"}, "expected_output: the text holds half"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "role"),
        ({"messages": [{"role": "user", "content": None}]}, "valid string"),
        ({"answer": "x"}, "not permitted"),
    ],
)
def test_what_cannot_be_kept_is_no_example(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ExampleInput.model_validate({**WHOLE, **change})


def test_messages_alone_are_an_input() -> None:
    assert ExampleInput.model_validate({"messages": WHOLE["messages"]}).input == {}


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_characters="\0", codec="utf-8")),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3).map(repr), inner),
    )
)
def test_whatever_passes_the_check_can_be_hashed(value: Any) -> None:
    check_json(value, "value")
    assert content_hash(value).startswith("sha256:")


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, {1: 2}, {"a": {2, 3}}, b"x", math.inf])
def test_what_json_cannot_hold_fails_the_check(value: object) -> None:
    with pytest.raises(Invalid):
        check_json(value, "value")


def test_nesting_is_bounded() -> None:
    value: list[Any] = []
    for _ in range(MAX_NESTING - 1):
        value = [value]
    check_json(value, "value")
    with pytest.raises(Invalid, match="value: nested deeper than 64 levels"):
        check_json([value], "value")
