"""Diffs lose nothing, invent nothing, and stay quick whatever they are given."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.text_diff import (
    MAX_LINES,
    MAX_WORDS,
    Hunk,
    Kind,
    Piece,
    Segment,
    Unmarked,
    WordDiff,
    line_diff,
    line_hunks,
    marked_lines,
    unified_diff,
    word_diff,
)

_TEXTS = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from(["the", "cat", " ", "  ", "\n", "1,234.5", "猫", ",", "x"])).map(
        "".join
    ),
)
_LINES = st.lists(st.sampled_from(["a", "b", "c", "", "  ", "a b.", "a c."]), max_size=30)


# Words


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


def test_equal_texts_of_any_length_are_whole() -> None:
    text = "a " * (MAX_WORDS + 1)
    assert word_diff(text, text) == WordDiff((Segment(text, False),), (Segment(text, False),))


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
    for hunk in line_hunks(list(before[:MAX_LINES]), list(after[:MAX_LINES])):
        list(marked_lines(hunk))
    assert time.process_time() - start < 2


# Lines


@given(_LINES, _LINES)
def test_hunks_with_enough_context_give_both_sides_back(
    before: list[str], after: list[str]
) -> None:
    hunks = line_hunks(before, after, context=100)
    if before == after:
        assert hunks == []
        return
    [hunk] = hunks
    assert [line.text for line in hunk.lines if line.kind is not Kind.ADDED] == before
    assert [line.text for line in hunk.lines if line.kind is not Kind.REMOVED] == after


@given(_LINES, _LINES, st.integers(0, 3))
def test_a_hunk_stands_where_it_says(before: list[str], after: list[str], context: int) -> None:
    for hunk in line_hunks(before, after, context=context):
        old = [line.text for line in hunk.lines if line.kind is not Kind.ADDED]
        new = [line.text for line in hunk.lines if line.kind is not Kind.REMOVED]
        assert before[hunk.before_line - 1 :][: len(old)] == old
        assert after[hunk.after_line - 1 :][: len(new)] == new


@given(_LINES, _LINES, st.integers(0, 3))
def test_no_line_stands_farther_from_a_change_than_the_context(
    before: list[str], after: list[str], context: int
) -> None:
    lines = line_diff(before, after, context=context)
    changed = [i for i, x in enumerate(lines) if x.kind in (Kind.REMOVED, Kind.ADDED)]
    for position, line in enumerate(lines):
        if line.kind is Kind.SAME:
            assert min(abs(position - other) for other in changed) <= context


@given(_LINES, _LINES, st.integers(0, 3))
def test_a_line_diff_is_its_hunks_with_gaps_between(
    before: list[str], after: list[str], context: int
) -> None:
    lines = line_diff(before, after, context=context)
    hunks = line_hunks(before, after, context=context)
    assert [x for x in lines if x.kind is not Kind.GAP] == [x for h in hunks for x in h.lines]
    left_out = len(before) - sum(x.kind in (Kind.SAME, Kind.REMOVED) for x in lines)
    assert any(x.kind is Kind.GAP for x in lines) == (left_out > 0 and before != after)


def test_a_line_diff_reads_as_people_know_it() -> None:
    before = ["one", "two", "three", "four", "five", "six"]
    after = ["one", "2", "three", "four", "five", "six", "seven"]
    assert line_diff(before, after, context=1) == [
        Piece(Kind.SAME, "one"),
        Piece(Kind.REMOVED, "two"),
        Piece(Kind.ADDED, "2"),
        Piece(Kind.SAME, "three"),
        Piece(Kind.GAP),
        Piece(Kind.SAME, "six"),
        Piece(Kind.ADDED, "seven"),
    ]


def test_lines_left_out_at_either_end_are_a_gap() -> None:
    lines = line_diff(["a", "b", "c", "d"], ["a", "b", "C", "d"], context=0)
    assert [line.kind for line in lines] == [Kind.GAP, Kind.REMOVED, Kind.ADDED, Kind.GAP]


def test_too_many_lines_between_the_first_and_the_last_change_are_not_compared() -> None:
    same = [str(i) for i in range(MAX_LINES)]
    [hunk] = line_hunks(["head", "x", *same, "tail"], ["head", *same, "y", "tail"])
    kinds = [line.kind for line in hunk.lines]
    assert kinds[0] is kinds[-1] is Kind.SAME
    assert kinds[1:-1] == [Kind.REMOVED] * (MAX_LINES + 1) + [Kind.ADDED] * (MAX_LINES + 1)


def test_a_change_is_found_wherever_it_is_in_a_long_text() -> None:
    before = [str(i) for i in range(3 * MAX_LINES)]
    after = [*before[: 2 * MAX_LINES], "new", *before[2 * MAX_LINES :]]
    assert line_hunks(before, after, context=0) == [
        Hunk(2 * MAX_LINES + 1, 2 * MAX_LINES + 1, (Piece(Kind.ADDED, "new"),))
    ]


# Unified diffs


def test_a_unified_diff_names_both_texts() -> None:
    assert unified_diff(["a", "b"], ["a", "c"], "x@1", "draft.yaml") == [
        "--- x@1",
        "+++ draft.yaml",
        "@@ -1,2 +1,2 @@",
        " a",
        "-b",
        "+c",
    ]


def test_equal_texts_have_no_difference() -> None:
    assert unified_diff(["a"], ["a"], "x", "y") == []
    assert line_diff(["a"], ["a"]) == []


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ([], ["a", "b"], "@@ -0,0 +1,2 @@"),
        (["a"], [], "@@ -1 +0,0 @@"),
        (["a", "b"], ["a"], "@@ -1,2 +1 @@"),
        ([*"abcdefgh"], [*"abcdefgH"], "@@ -5,4 +5,4 @@"),
    ],
)
def test_a_hunk_is_headed_by_its_ranges(before: list[str], after: list[str], place: str) -> None:
    assert unified_diff(before, after, "x", "y")[2] == place


# Words marked inside lines


def _marked_lines(before: list[str], after: list[str]) -> list[list[Piece]]:
    return [line for hunk in line_hunks(before, after) for line in marked_lines(hunk)]


def test_words_are_marked_inside_their_line() -> None:
    before = ["[user]", "Route the ticket."]
    assert _marked_lines(before, ["[user]", "Route this ticket now."]) == [
        [Piece(Kind.SAME, "[user]")],
        [
            Piece(Kind.SAME, "Route "),
            Piece(Kind.REMOVED, "the"),
            Piece(Kind.ADDED, "this"),
            Piece(Kind.SAME, " ticket"),
            Piece(Kind.ADDED, " now"),
            Piece(Kind.SAME, "."),
        ],
    ]


def test_a_line_without_counterpart_is_added_or_removed_whole() -> None:
    assert _marked_lines(["a", "b"], ["a", "x y", "b"])[1] == [Piece(Kind.ADDED, "x y")]
    assert _marked_lines(["a", "x y", "b"], ["a", "b"])[1] == [Piece(Kind.REMOVED, "x y")]


@pytest.mark.parametrize("words", [("x ", "y "), ("x ", "x y ")])
def test_lines_that_are_unalike_or_too_long_are_shown_whole(words: tuple[str, str]) -> None:
    old, new = (word * MAX_WORDS for word in words)
    assert _marked_lines([old], [new]) == [[Piece(Kind.REMOVED, old)], [Piece(Kind.ADDED, new)]]


@given(_LINES, _LINES)
def test_marked_words_give_back_both_texts(before: list[str], after: list[str]) -> None:
    """Line ends aside."""
    for left_out, text in ((Kind.REMOVED, after), (Kind.ADDED, before)):
        told = [
            piece.text
            for hunk in line_hunks(before, after, context=100)
            for line in marked_lines(hunk)
            for piece in line
            if piece.kind is not left_out
        ]
        assert before == after or "".join(told) == "".join(text)
