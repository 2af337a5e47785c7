"""Diffs lose nothing, invent nothing, and stay quick whatever they are given."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.reports.diff import (
    MAX_WORDS,
    Line,
    LineKind,
    Segment,
    Unmarked,
    WordDiff,
    line_diff,
    word_diff,
)

_TEXTS = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from(["the", "cat", " ", "  ", "\n", "1,234.5", "猫", ",", "x"])).map(
        "".join
    ),
)
_LINES = st.lists(st.sampled_from(["a", "b", "c", "", "  "]), max_size=30)


def _marked(diff: WordDiff) -> tuple[list[str], list[str]]:
    before, after = (
        [segment.text for segment in side if segment.changed] for side in (diff.before, diff.after)
    )
    return before, after


@given(_TEXTS, _TEXTS)
def test_the_segments_of_a_side_are_its_text(before: str, after: str) -> None:
    diff = word_diff(before, after)
    assert "".join(segment.text for segment in diff.before) == before
    assert "".join(segment.text for segment in diff.after) == after


@given(_TEXTS, _TEXTS)
def test_what_is_not_marked_is_the_same_on_both_sides(before: str, after: str) -> None:
    diff = word_diff(before, after)
    kept = [
        "".join(segment.text for segment in side if not segment.changed)
        for side in (diff.before, diff.after)
    ]
    assert diff.unmarked is not None or kept[0] == kept[1]


@given(_TEXTS, _TEXTS)
def test_only_equal_texts_are_identical(before: str, after: str) -> None:
    assert word_diff(before, after).identical == (before == after)


@pytest.mark.parametrize(
    ("before", "after", "removed", "added"),
    [
        ("It is 29 seats.", "It is 19 seats.", ["29"], ["19"]),
        ("a total of 1,234.50", "a total of 1,235.50", ["1,234.50"], ["1,235.50"]),
        ("billing", "account", ["billing"], ["account"]),
        ("the old red house", "the house", ["old red "], []),
        ("foo bar", "baz qux", ["foo bar"], ["baz qux"]),
        ("請問價格", "請問時間", ["價格"], ["時間"]),
        ("one\ntwo", "one\ntwo\n", [], ["\n"]),
        ("don't go", "do go", ["don't"], ["do"]),
        ("", "something", [], ["something"]),
    ],
)
def test_the_words_that_differ_are_marked(
    before: str, after: str, removed: list[str], added: list[str]
) -> None:
    assert _marked(word_diff(before, after)) == (removed, added)


def test_long_texts_with_little_in_common_are_not_marked() -> None:
    before, after = "alpha beta gamma " * 20, "one, two; three! " * 20
    diff = word_diff(before, after)
    assert diff == WordDiff((Segment(before, False),), (Segment(after, False),), Unmarked.UNALIKE)


def test_texts_beyond_the_cap_are_not_marked() -> None:
    text = "a " * MAX_WORDS
    diff = word_diff(text, text + "b")
    assert diff.unmarked is Unmarked.TOO_LONG
    assert not diff.identical


@pytest.mark.parametrize("words", [("a ", "b "), ("a b a c ", "c b b a "), ("x", "x ")])
def test_the_worst_case_stays_quick(words: tuple[str, str]) -> None:
    before, after = (word * MAX_WORDS for word in words)
    start = time.process_time()
    word_diff(before[:MAX_WORDS], after[:MAX_WORDS])
    line_diff(list(before[:MAX_WORDS]), list(after[:MAX_WORDS]))
    assert time.process_time() - start < 2


@given(_LINES, _LINES)
def test_a_line_diff_with_enough_context_gives_both_sides_back(
    before: list[str], after: list[str]
) -> None:
    lines = line_diff(before, after, context=100)
    if before == after:
        assert lines == []
        return
    assert [x.text for x in lines if x.kind is not LineKind.ADDED] == before
    assert [x.text for x in lines if x.kind is not LineKind.REMOVED] == after


@settings(max_examples=50)
@given(_LINES, _LINES, st.integers(0, 3))
def test_no_line_stands_farther_from_a_change_than_the_context(
    before: list[str], after: list[str], context: int
) -> None:
    lines = line_diff(before, after, context=context)
    changed = [i for i, x in enumerate(lines) if x.kind in (LineKind.REMOVED, LineKind.ADDED)]
    for position, line in enumerate(lines):
        if line.kind is LineKind.SAME:
            assert min(abs(position - other) for other in changed) <= context


def test_a_line_diff_reads_as_people_know_it() -> None:
    before = ["one", "two", "three", "four", "five", "six"]
    after = ["one", "2", "three", "four", "five", "six", "seven"]
    assert line_diff(before, after, context=1) == [
        Line(LineKind.SAME, "one"),
        Line(LineKind.REMOVED, "two"),
        Line(LineKind.ADDED, "2"),
        Line(LineKind.SAME, "three"),
        Line(LineKind.GAP),
        Line(LineKind.SAME, "six"),
        Line(LineKind.ADDED, "seven"),
    ]
