"""Differences by line and by word."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.workspace.text_diff import Span, unified_diff, word_diff

_LINES = st.lists(st.text(alphabet="ab .", max_size=6), max_size=4)


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
    assert word_diff(["a"], ["a"]) == []


def test_words_are_marked_inside_their_line() -> None:
    assert word_diff(["[user]", "Route the ticket."], ["[user]", "Route this ticket now."]) == [
        [Span("place", "@@ line 1 @@")],
        [Span("same", "[user]")],
        [
            Span("same", "Route "),
            Span("removed", "the"),
            Span("added", "this"),
            Span("same", " ticket"),
            Span("added", " now"),
            Span("same", "."),
        ],
    ]


def test_a_line_without_counterpart_is_added_or_removed_whole() -> None:
    assert word_diff(["a", "b"], ["a", "x y", "b"])[2] == [Span("added", "x y")]
    assert word_diff(["a", "x y", "b"], ["a", "b"])[2] == [Span("removed", "x y")]


def test_lines_far_from_a_change_are_left_out() -> None:
    old = [str(i) for i in range(20)]
    lines = word_diff(old, [*old[:10], "ten", *old[11:]])
    assert lines[0] == [Span("place", "@@ line 8 @@")]
    assert len(lines) == 1 + 3 + 1 + 3


def test_a_very_long_passage_is_compared_by_line() -> None:
    old, new = ["x " * 3000], ["y " * 3000]
    assert word_diff(old, new)[1:] == [[Span("removed", old[0])], [Span("added", new[0])]]


def text_of(diff: list[list[Span]], left_out: str) -> str:
    return "".join(s.text for line in diff for s in line if s.kind not in (left_out, "place"))


@settings(deadline=None)
@given(old=_LINES, new=_LINES)
def test_the_marked_words_give_back_both_texts(old: list[str], new: list[str]) -> None:
    """Line ends aside. The texts are short enough to be shown whole around any change."""
    diff = word_diff(old, new)
    if old != new:
        assert text_of(diff, "removed") == "".join(new)
        assert text_of(diff, "added") == "".join(old)
