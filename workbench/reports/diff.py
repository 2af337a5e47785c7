"""What changed between two texts: word by word for answers, line by line for prompts.

Pure and bounded. Nothing is lost or invented: the segments of a side, joined, are that
side's text, and its unmarked segments, joined, are the same on both sides. Texts that are
too long, or that have next to nothing in common, come back unmarked, because marking every
word would only be noise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, islice

from rapidfuzz.distance import Indel

__all__ = [
    "MAX_LINES",
    "MAX_WORDS",
    "Line",
    "LineKind",
    "Segment",
    "Unmarked",
    "WordDiff",
    "line_diff",
    "word_diff",
]

MAX_WORDS = 6_000
"""Words, numbers, signs and gaps on one side beyond which no word is marked: time and memory
grow with the product of both sides (4 ms and 4.5 MB at this size)."""

MAX_LINES = 6_000
"""Lines on one side that a line diff looks at."""

_LEAST_ALIKE = 0.25  # share of the longer text that both have in common
_ALWAYS_MARKED = 200  # characters: in a short answer the words that differ are the point

# A gap, a number with its separators, one sign of a script without gaps, a word, a sign.
_WORDS = re.compile(
    r"\s+|\d+(?:[.,]\d+)*|[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]"
    r"|(?:(?![\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af])[^\W\d])+|.",
    re.DOTALL,
)


class Unmarked(StrEnum):
    """Why no word is marked although the texts differ."""

    TOO_LONG = "too_long"
    UNALIKE = "unalike"


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of one side; a `changed` piece is not on the other side."""

    text: str
    changed: bool


@dataclass(frozen=True, slots=True)
class WordDiff:
    """Both sides in segments; `unmarked` says why none is marked, if the texts differ."""

    before: tuple[Segment, ...]
    after: tuple[Segment, ...]
    unmarked: Unmarked | None = None

    @property
    def identical(self) -> bool:
        """Whether the two texts are the same."""
        return self.unmarked is None and self.before == self.after


def word_diff(before: str, after: str) -> WordDiff:
    """Mark the words that only one of two texts has, by a longest common subsequence."""
    if before == after:
        return WordDiff(_whole(before), _whole(after))
    words = [list(islice(_words(text), MAX_WORDS + 1)) for text in (before, after)]
    if max(map(len, words)) > MAX_WORDS:
        return WordDiff(_whole(before), _whole(after), Unmarked.TOO_LONG)
    sides = [
        _segments(side, shared)
        for side, shared in zip(words, _shared(words[0], words[1]), strict=True)
    ]
    longer = max(len(before), len(after))
    alike = sum(len(segment.text) for segment in sides[0] if not segment.changed)
    if longer > _ALWAYS_MARKED and alike < _LEAST_ALIKE * longer:
        return WordDiff(_whole(before), _whole(after), Unmarked.UNALIKE)
    return WordDiff(sides[0], sides[1])


def _words(text: str) -> list[str]:
    """Split a text; only as much of it as shows whether it is too long."""
    return [match[0] for match in islice(_WORDS.finditer(text), MAX_WORDS + 1)]


def _matches(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int]]:
    """Return the positions of a longest common subsequence, in order."""
    return [
        pair
        for block in Indel.opcodes(before, after)
        if block.tag == "equal"
        for pair in zip(
            range(block.src_start, block.src_end),
            range(block.dest_start, block.dest_end),
            strict=True,
        )
    ]


def _shared(before: Sequence[str], after: Sequence[str]) -> tuple[list[bool], list[bool]]:
    """Tell for each word of both sides whether it is part of what they have in common."""
    matches = _matches(before, after)
    sides = [False] * len(before), [False] * len(after)
    for match in matches:
        for side, position in zip(sides, match, strict=True):
            side[position] = True
    # A gap between two changed words is no common ground: it would only cut the mark in two.
    for match in matches:
        alone = (_alone(side, position) for side, position in zip(sides, match, strict=True))
        if before[match[0]].isspace() and all(alone):
            for side, position in zip(sides, match, strict=True):
                side[position] = False
    return sides


def _alone(shared: Sequence[bool], position: int) -> bool:
    return not any(shared[max(0, position - 1) : position]) and not any(
        shared[position + 1 : position + 2]
    )


def _segments(words: Sequence[str], shared: Sequence[bool]) -> tuple[Segment, ...]:
    return tuple(
        Segment("".join(word for word, _ in group), changed=not kept)
        for kept, group in groupby(zip(words, shared, strict=True), key=lambda item: item[1])
    )


def _whole(text: str) -> tuple[Segment, ...]:
    return (Segment(text, changed=False),) if text else ()


class LineKind(StrEnum):
    """What a line of a line diff is; `gap` stands for unchanged lines left out."""

    SAME = "same"
    REMOVED = "removed"
    ADDED = "added"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a line diff, without its line end."""

    kind: LineKind
    text: str = ""


def line_diff(before: Sequence[str], after: Sequence[str], *, context: int = 3) -> list[Line]:
    """Return the changed lines with `context` lines around each; empty if nothing changed.

    Of each side the first `MAX_LINES` lines are compared.
    """
    lines = _aligned(before[:MAX_LINES], after[:MAX_LINES])
    near = [False] * len(lines)
    for position, line in enumerate(lines):
        if line.kind is not LineKind.SAME:
            around = range(max(0, position - context), min(len(lines), position + context + 1))
            near[around.start : around.stop] = [True] * len(around)
    if not any(near):
        return []
    shown: list[Line] = []
    for is_near, group in groupby(zip(lines, near, strict=True), key=lambda item: item[1]):
        shown += [line for line, _ in group] if is_near else [Line(LineKind.GAP)]
    return shown


def _aligned(before: Sequence[str], after: Sequence[str]) -> list[Line]:
    """Return all lines of both sides; where they differ, what was removed stands first."""
    lines: list[Line] = []
    start, new_start = 0, 0
    for match, new_match in (*_matches(before, after), (len(before), len(after))):
        lines += [Line(LineKind.REMOVED, text) for text in before[start:match]]
        lines += [Line(LineKind.ADDED, text) for text in after[new_start:new_match]]
        lines += [Line(LineKind.SAME, text) for text in before[match : match + 1]]
        start, new_start = match + 1, new_match + 1
    return lines
