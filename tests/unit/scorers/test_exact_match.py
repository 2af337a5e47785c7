from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.hashing import JSON
from tests.unit.scorers.judging import judge


@pytest.mark.parametrize(
    ("spec", "output", "expected", "passed"),
    [
        ("exact_match", "billing", "billing", True),
        ("exact_match", "billing.", "billing", False),
        # White space at the ends is left out unless it matters.
        ("exact_match", " billing\n", "billing", True),
        ("exact_match:strip=false", "billing\n", "billing", False),
        ("exact_match", "Billing", "billing", False),
        ("exact_match:ignore_case=true", "STRASSE", "straße", True),
        ("exact_match", "a  b\nc", "a b c", False),
        ("exact_match:collapse_whitespace=true", "a  b\nc ", "a b c", True),
        ("exact_match:collapse_whitespace=true,strip=false", "a  b ", "a b", False),
        ("exact_match:collapse_whitespace=true,strip=false", "a  b\t", "a b ", True),
        # An empty answer is an answer: wrong, or right if nothing was expected to be said.
        ("exact_match", "", "billing", False),
        ("exact_match", "", "", True),
        # Other JSON values are compared by their JSON text.
        ("exact_match", "18", 18, True),
        ("exact_match", "18.0", 18, False),
        ("exact_match", "true", True, True),
        ("exact_match", "True", True, False),
        # Objects and arrays have no one text form, so they are compared as JSON.
        ("exact_match", '{"b": 2,\n "a": 1}', {"a": 1, "b": 2}, True),
        ("exact_match", '{"a": 1}', {"a": True}, False),
        ("exact_match", "[2, 1]", [1, 2], False),
        ("exact_match", "no JSON", {"a": 1}, False),
        ("exact_match", '{"a": 1}', '{"a":1}', False),
        ("exact_match:json=true", '{"a": 1}', '{"a":1.0}', True),
        ("exact_match:json=true", "18.0", 18, True),
        # What is no JSON on one side is still compared as text.
        ("exact_match:json=true", "billing", "billing", True),
        ("exact_match:json=true", '"billing"', "billing", False),
    ],
)
def test_output_equals_expected(spec: str, output: str, expected: JSON, passed: bool) -> None:
    result = judge(spec, output, expected)

    assert (result.passed, result.value) == (passed, float(passed))


def test_the_explanation_shows_both_sides() -> None:
    assert judge("exact_match", "bug", "billing").explanation == "expected 'billing', got 'bug'"


@given(text=st.text())
def test_every_text_equals_itself(text: str) -> None:
    assert judge("exact_match:strip=false", text, text).passed is True


@given(text=st.text(), other=st.text())
def test_without_stripping_only_the_same_text_is_equal(text: str, other: str) -> None:
    assert judge("exact_match:strip=false", text, other).passed is (text == other)


@given(
    value=st.dictionaries(st.text(), st.integers() | st.booleans() | st.none() | st.text()),
    indent=st.sampled_from([None, 1, 4]),
    escaped=st.booleans(),
)
def test_an_expected_object_is_met_by_every_way_to_write_it(
    value: dict[str, JSON], indent: int | None, escaped: bool
) -> None:
    written = json.dumps(dict(reversed(value.items())), indent=indent, ensure_ascii=escaped)

    assert judge("exact_match", written, value).passed is True
