"""Differences between two texts, by line and by word. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Kind", "Span", "unified_diff", "word_diff"]

Kind: TypeAlias = Literal["same", "removed", "added", "place"]

_CONTEXT = 3  # unchanged lines shown before and after a change
_MOST_WORDS = 4000  # of one changed passage on one side; comparing is quadratic
_WORD = re.compile(r"\w+|\s|[^\w\s]")


@dataclass(frozen=True)
class Span:
    """A piece of a line and what became of it; `place` is a heading that says where we are."""

    kind: Kind
    text: str


def unified_diff(
    old: Sequence[str], new: Sequence[str], old_label: str, new_label: str
) -> list[str]:
    """Return the lines of a unified diff; empty if nothing differs."""
    return list(difflib.unified_diff(old, new, old_label, new_label, n=_CONTEXT, lineterm=""))


def word_diff(old: Sequence[str], new: Sequence[str]) -> list[list[Span]]:
    """Return the changed passages with their words marked, line by line.

    Lines without a counterpart are whole removed or added lines, and so is a passage of
    more than 4,000 words.
    """
    lines: list[list[Span]] = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for group in matcher.get_grouped_opcodes(_CONTEXT):
        lines.append([Span("place", f"@@ line {group[0][1] + 1} @@")])
        for _, old_from, old_to, new_from, new_to in group:
            lines.extend(_passage(old[old_from:old_to], new[new_from:new_to]))
    return lines


def _passage(old: Sequence[str], new: Sequence[str]) -> Iterator[list[Span]]:
    old_words, new_words = _words(old), _words(new)
    if old == new:
        yield from ([Span("same", line)] for line in old)
    elif not old or not new or max(len(old_words), len(new_words)) > _MOST_WORDS:
        yield from ([Span("removed", line)] for line in old)
        yield from ([Span("added", line)] for line in new)
    else:
        yield from _lines(_marked(old_words, new_words))


def _words(lines: Sequence[str]) -> list[str]:
    return _WORD.findall("\n".join(lines))


def _marked(old: Sequence[str], new: Sequence[str]) -> Iterator[Span]:
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for kind, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if kind == "equal":
            yield Span("same", "".join(old[old_from:old_to]))
            continue
        if old_to > old_from:
            yield Span("removed", "".join(old[old_from:old_to]))
        if new_to > new_from:
            yield Span("added", "".join(new[new_from:new_to]))


def _lines(spans: Iterator[Span]) -> Iterator[list[Span]]:
    """Break spans at line ends."""
    line: list[Span] = []
    for span in spans:
        first, *rest = span.text.split("\n")
        if first:
            line.append(Span(span.kind, first))
        for text in rest:
            yield line
            line = [Span(span.kind, text)] if text else []
    yield line
