"""What changed between two texts: word by word for answers, line by line for prompts.

Pure and bounded. Nothing is lost or invented: what is not marked as removed is the new text,
what is not marked as added is the old one. Words of texts that are too long, or that have
next to nothing in common, come back unmarked, because marking every word would only be noise.
Both compare by a longest common subsequence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, islice

from rapidfuzz.distance import Indel

__all__ = [
    "MAX_LINES",
    "MAX_WORDS",
    "Hunk",
    "Kind",
    "Piece",
    "Segment",
    "Unmarked",
    "WordDiff",
    "line_diff",
    "line_hunks",
    "marked_lines",
    "unified_diff",
    "word_diff",
]

MAX_WORDS = 6_000
"""Words, numbers, signs and gaps on one side beyond which no word is marked: time and memory
grow with the product of both sides (4 ms and 4.5 MB at this size)."""

MAX_LINES = 6_000
"""Lines on one side, between the first that differs and the last, beyond which they are not
compared: then all of them are removed lines and added lines."""

_CONTEXT = 3  # unchanged lines shown before and after a change
_LEAST_ALIKE = 0.25  # share of the longer text that both have in common
_ALWAYS_MARKED = 200  # characters: in a short answer the words that differ are the point

# A gap, a number with its separators, one sign of a script without gaps, a word, a sign.
_WORDS = re.compile(
    r"\s+|\d+(?:[.,]\d+)*|[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]"
    r"|(?:(?![\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af])[^\W\d])+|.",
    re.DOTALL,
)


# Words


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
    """Both sides in segments; `unmarked` says why none is marked, if the texts differ.

    The unmarked segments of a side, joined, are the same on both sides.
    """

    before: tuple[Segment, ...]
    after: tuple[Segment, ...]
    unmarked: Unmarked | None = None

    @property
    def identical(self) -> bool:
        """Whether the two texts are the same."""
        return self.unmarked is None and self.before == self.after


@dataclass(frozen=True, slots=True)
class _Side:
    """The words of one text, and for each whether the other text shares it."""

    words: Sequence[str]
    shared: Sequence[bool]


def word_diff(before: str, after: str) -> WordDiff:
    """Mark the words that only one of two texts has."""
    if before == after:
        return WordDiff(_whole(before), _whole(after))
    sides = _sides(before, after)
    if isinstance(sides, Unmarked):
        return WordDiff(_whole(before), _whole(after), sides)
    return WordDiff(_segments(sides[0]), _segments(sides[1]))


def _sides(before: str, after: str) -> tuple[_Side, _Side] | Unmarked:
    """Compare the words of two texts, unless marking them would be of no use."""
    words = _words(before), _words(after)
    if max(map(len, words)) > MAX_WORDS:
        return Unmarked.TOO_LONG
    shared = _shared(*words)
    longer = max(len(before), len(after))
    alike = sum(len(word) for word, kept in zip(words[0], shared[0], strict=True) if kept)
    if longer > _ALWAYS_MARKED and alike < _LEAST_ALIKE * longer:
        return Unmarked.UNALIKE
    return _Side(words[0], shared[0]), _Side(words[1], shared[1])


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


def _segments(side: _Side) -> tuple[Segment, ...]:
    return tuple(
        Segment("".join(word for word, _ in group), changed=not kept)
        for kept, group in groupby(zip(side.words, side.shared, strict=True), lambda item: item[1])
    )


def _whole(text: str) -> tuple[Segment, ...]:
    return (Segment(text, changed=False),) if text else ()


# Lines


class Kind(StrEnum):
    """What became of a piece; `gap` stands for unchanged lines left out."""

    SAME = "same"
    REMOVED = "removed"
    ADDED = "added"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class Piece:
    """A line, or a part of one, without its line end."""

    kind: Kind
    text: str = ""


@dataclass(frozen=True, slots=True)
class Hunk:
    """Changed lines with the unchanged ones around them, and where they stand, counted from 1.

    Where lines differ, what was removed stands first.
    """

    before_line: int
    after_line: int
    lines: tuple[Piece, ...]


def line_hunks(
    before: Sequence[str], after: Sequence[str], *, context: int = _CONTEXT
) -> list[Hunk]:
    """Return the changed lines with `context` lines around each; empty if nothing changed."""
    lines = _aligned(before, after)
    hunks: list[Hunk] = []
    place, new_place = 1, 1
    near = _near_a_change(lines, context)
    for is_near, group in groupby(zip(lines, near, strict=True), lambda item: item[1]):
        part = tuple(line for line, _ in group)
        if is_near:
            hunks.append(Hunk(place, new_place, part))
        place += sum(line.kind is not Kind.ADDED for line in part)
        new_place += sum(line.kind is not Kind.REMOVED for line in part)
    return hunks


def line_diff(
    before: Sequence[str], after: Sequence[str], *, context: int = _CONTEXT
) -> list[Piece]:
    """Return the hunks as one list of lines, with a gap wherever lines are left out.

    Of each side the first `MAX_LINES` lines are looked at.
    """
    before, after = before[:MAX_LINES], after[:MAX_LINES]
    shown: list[Piece] = []
    next_line = 1
    for hunk in line_hunks(before, after, context=context):
        if hunk.before_line > next_line:
            shown.append(Piece(Kind.GAP))
        shown += hunk.lines
        next_line = hunk.before_line + _count(hunk, Kind.REMOVED)
    if shown and next_line <= len(before):
        shown.append(Piece(Kind.GAP))
    return shown


def unified_diff(
    before: Sequence[str], after: Sequence[str], before_label: str, after_label: str
) -> list[str]:
    """Return the lines of a unified diff; empty if nothing differs."""
    signs = {Kind.SAME: " ", Kind.REMOVED: "-", Kind.ADDED: "+"}
    told: list[str] = []
    for hunk in line_hunks(before, after):
        place = _range(hunk.before_line, _count(hunk, Kind.REMOVED))
        new_place = _range(hunk.after_line, _count(hunk, Kind.ADDED))
        told.append(f"@@ -{place} +{new_place} @@")
        told += [signs[line.kind] + line.text for line in hunk.lines]
    return [f"--- {before_label}", f"+++ {after_label}", *told] if told else []


def marked_lines(hunk: Hunk) -> Iterator[list[Piece]]:
    """Yield the lines of a hunk in pieces, with the words marked that differ.

    Lines without a counterpart are whole removed or added lines, and so are lines that
    `word_diff` would not mark.
    """
    for same, group in groupby(hunk.lines, lambda line: line.kind is Kind.SAME):
        lines = list(group)
        sides = [
            "\n".join(line.text for line in lines if line.kind is kind)
            for kind in (Kind.REMOVED, Kind.ADDED)
        ]
        has_both = len({line.kind for line in lines}) == 2
        compared = _sides(*sides) if has_both else None
        if same or not isinstance(compared, tuple):
            yield from ([line] for line in lines)
        else:
            yield from _broken(_interleaved(*compared))


def _count(hunk: Hunk, kind: Kind) -> int:
    """Return how many lines of a hunk stand on the side that has lines of this kind."""
    return sum(line.kind in (Kind.SAME, kind) for line in hunk.lines)


def _range(place: int, count: int) -> str:
    """Return a range as unified diffs write it: one line bare, none by the line before it."""
    return str(place) if count == 1 else f"{place if count else place - 1},{count}"


def _aligned(before: Sequence[str], after: Sequence[str]) -> list[Piece]:
    """Return all lines of both sides; where they differ, what was removed stands first."""
    lines: list[Piece] = []
    start, new_start = 0, 0
    for match, new_match in (*_line_matches(before, after), (len(before), len(after))):
        lines += [Piece(Kind.REMOVED, text) for text in before[start:match]]
        lines += [Piece(Kind.ADDED, text) for text in after[new_start:new_match]]
        lines += [Piece(Kind.SAME, text) for text in before[match : match + 1]]
        start, new_start = match + 1, new_match + 1
    return lines


def _line_matches(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the positions of equal lines in order: those around all changes, and between them
    a longest common subsequence if that is short enough."""
    shorter = min(len(before), len(after))
    head = next((i for i in range(shorter) if before[i] != after[i]), shorter)
    rest = shorter - head
    tail = next((i for i in range(rest) if before[-1 - i] != after[-1 - i]), rest)
    middle, new_middle = before[head : len(before) - tail], after[head : len(after) - tail]
    yield from ((i, i) for i in range(head))
    if max(len(middle), len(new_middle)) <= MAX_LINES:
        yield from ((head + i, head + j) for i, j in _matches(middle, new_middle))
    yield from ((len(before) - i, len(after) - i) for i in range(tail, 0, -1))


def _near_a_change(lines: Sequence[Piece], context: int) -> list[bool]:
    near = [False] * len(lines)
    for position, line in enumerate(lines):
        if line.kind is not Kind.SAME:
            around = range(max(0, position - context), min(len(lines), position + context + 1))
            near[around.start : around.stop] = [True] * len(around)
    return near


def _interleaved(before: _Side, after: _Side) -> Iterator[Piece]:
    """Yield both sides as one text: what was removed, what was added, what is the same."""
    old, new = (_runs(side) for side in (before, after))
    for (removed, same), (added, _) in zip(old, new, strict=True):
        pieces = (Piece(Kind.REMOVED, removed), Piece(Kind.ADDED, added), Piece(Kind.SAME, same))
        yield from (piece for piece in pieces if piece.text)


def _runs(side: _Side) -> Iterator[tuple[str, str]]:
    """Yield for every shared word the changed text before it and the word; the rest at last."""
    changed = ""
    for word, kept in zip(side.words, side.shared, strict=True):
        if kept:
            yield changed, word
            changed = ""
        else:
            changed += word
    yield changed, ""


def _broken(pieces: Iterator[Piece]) -> Iterator[list[Piece]]:
    """Join neighbours of one kind, and break them at line ends."""
    line: list[Piece] = []
    for kind, group in groupby(pieces, lambda piece: piece.kind):
        first, *rest = "".join(piece.text for piece in group).split("\n")
        if first:
            line.append(Piece(kind, first))
        for text in rest:
            yield line
            line = [Piece(kind, text)] if text else []
    yield line
