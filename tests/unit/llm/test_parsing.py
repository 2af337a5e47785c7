"""Odd replies are read for what they are worth, and never break the reader."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.hashing import JSON
from app.llm.parsing import (
    finish_reason_of,
    make_usage,
    read_json,
    short_text,
    text_or_none,
    token_count,
)
from app.llm.types import FinishReason, UsageSource


@given(st.binary())
def test_any_bytes_are_json_or_a_value_error(data: bytes) -> None:
    with suppress(ValueError):
        read_json(data)


def test_deep_nesting_is_a_value_error_and_no_crash() -> None:
    with pytest.raises(ValueError, match="deep"):
        read_json(b"[" * 200_000)


def test_lone_surrogates_and_nan_are_read_as_python_reads_them() -> None:
    assert read_json(b'{"a": "\\ud800", "b": NaN, "c": -Infinity}') == {
        "a": "\ud800",
        "b": None,
        "c": None,
    }


@given(st.text(st.characters(categories=["Cs", "L", "So"])))
def test_every_text_can_be_encoded_afterwards(text: str) -> None:
    clean = text_or_none(text)

    assert clean is not None
    clean.encode()


def test_halves_of_a_pair_are_joined_and_a_lone_half_is_replaced() -> None:
    assert text_or_none("\ud83d" + "\ude42") == "🙂"
    assert text_or_none("a\ud83db") == "a\ufffdb"


@pytest.mark.parametrize("value", [None, "12", -1, 1.5, True, 10**15, [3], {}])
def test_what_cannot_be_a_count_is_not_reported(value: JSON) -> None:
    assert token_count(value) is None


def test_usage_is_reported_only_if_both_sides_are() -> None:
    assert make_usage(3, 0).source is UsageSource.PROVIDER
    half = make_usage(None, 7)
    assert (half.source, half.output_tokens) == (UsageSource.UNREPORTED, 7)


def test_a_part_larger_than_its_whole_is_left_out() -> None:
    usage = make_usage(10, 5, cached_input_tokens=11, reasoning_tokens=5)

    assert (usage.cached_input_tokens, usage.reasoning_tokens) == (None, 5)


def test_unknown_words_for_the_end_are_other() -> None:
    assert finish_reason_of("function_call") is FinishReason.TOOL_CALLS
    assert finish_reason_of("bored") is FinishReason.OTHER
    assert finish_reason_of(None) is FinishReason.OTHER


def test_names_are_cut_to_what_a_column_holds() -> None:
    assert short_text("x" * 500) == "x" * 200
    assert short_text("") is None
    assert short_text(json.loads("5")) is None
