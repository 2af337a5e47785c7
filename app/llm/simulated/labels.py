"""Which labels a prompt names, and what it says of each.

Read are bullets (`- billing: charges and refunds`), names with brackets (`billing (charges)`), a
list behind a colon (`Queues: billing, bug, other.`) and alternatives (`answer yes or no`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.llm.simulated.reading import Reading, stems

__all__ = ["Label", "is_classification", "labels_in"]


@dataclass(frozen=True, slots=True)
class Label:
    """A label, and the telling words of what the prompt says of it."""

    name: str
    meaning: frozenset[str] = frozenset()


_TASK = re.compile(
    r"\b(?:classif\w*|categori\w*|triage|route|sentiment|queues?|label(?:l?ed|s)?|"
    r"(?:which|what) (?:\w+ ){0,2}(?:category|class|team|department|topic|kind|type|group)|"
    r"sort (?:this|the|each|it|them)|right (?:queue|team|place|department))\b",
    re.IGNORECASE,
)
_QUOTES = "\"“”'`*"
_NAME = (
    rf"(?<![\w/-])[{_QUOTES}]{{0,3}}([A-Za-z][\w/-]{{0,30}}(?: [\w/-]{{1,30}})?)[{_QUOTES}]{{0,3}}"
)
_BULLET = re.compile(
    r"^[ \t]*(?:[-*•]|\d+[.)])[ \t]*"
    + _NAME
    + r"[ \t]*(?:(?::|\u2013|\u2014|-|=)[ \t]+([^\n]+))?$",
    re.MULTILINE,
)
_WITH_BRACKETS = re.compile(_NAME + r" \(([^()\n]{3,120})\)")
_AFTER_COLON = re.compile(r":[ \t]*((?:[^,.:;\n]{2,30},){1,19}[^,.:;\n]{2,30})(?:[.;\n]|\Z)")
_WORD = r"[a-z][\w-]{0,30}"
_ALTERNATIVES = re.compile(
    r"\b(?:answer|reply|respond|say|as|either|whether|choose|one of|"
    r"is (?:it|this|the \w+))\b[^.\n]{0,40}?"
    rf"\b({_WORD}(?:, {_WORD}){{0,9}}),? or ({_WORD})\b",
    re.IGNORECASE,
)
_ITEM_EDGE = re.compile(rf"^(?:\s|and\s|or\s|[{_QUOTES}])+|[\s{_QUOTES}]+$")


def is_classification(reading: Reading) -> bool:
    """Whether the instructions ask for a class, or for one of several answers."""
    return reading.asks(_TASK) or reading.asks(_ALTERNATIVES)


def labels_in(instructions: str) -> tuple[Label, ...]:
    """Return the labels that the instructions name, in their order; empty if they name none."""
    for finder in (_bulleted, _bracketed, _listed):
        found = finder(instructions)
        if len(found) >= 2:
            return tuple(found)
    return ()


def _bulleted(instructions: str) -> list[Label]:
    found = [Label(match[1], stems(match[2] or "")) for match in _BULLET.finditer(instructions)]
    # Bullets with an explanation are the labels; others beside them are rules.
    return [label for label in found if label.meaning] or found


def _bracketed(instructions: str) -> list[Label]:
    return [Label(match[1], stems(match[2])) for match in _WITH_BRACKETS.finditer(instructions)]


def _listed(instructions: str) -> list[Label]:
    match = _AFTER_COLON.search(instructions)
    if match is not None:
        items = [_ITEM_EDGE.sub("", item) for item in match[1].split(",")]
        if all(item and item.count(" ") < 2 for item in items):
            return [Label(item) for item in items]
    match = _ALTERNATIVES.search(instructions)
    return [] if match is None else [Label(name) for name in (*match[1].split(", "), match[2])]
