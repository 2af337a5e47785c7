"""The numbers of a word problem, each with the words around it.

The text between two numbers of a sentence is divided at the first joint (a comma, `and`, `but`,
...): what stands before the joint speaks of the number on its left, what stands after it of the
number on its right. Without a joint it speaks of both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

__all__ = ["Kind", "Quantity", "Units", "first_nouns", "question_of", "read_quantities", "stem"]

Units = frozenset[str]
"""Nouns as stems."""


class Kind(Enum):
    """How a number is written."""

    NUMBER = "number"
    PERCENT = "percent"
    TIMES = "times"
    FRACTION = "fraction"


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number of the problem; all texts are in lower case."""

    value: Fraction
    kind: Kind
    before: str
    """The words on its left, from the joint."""
    after: str
    """The words on its right, up to the joint."""
    units: Units
    """What is counted: the first nouns behind the number, dollars for `$4`."""
    sentence: int
    """Counts from 0."""
    of_previous: bool
    """Whether it follows another number as in `12 rows of 14 chairs`."""
    in_question: bool


_WORDS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "twenty": 20, "thirty": 30, "fifty": 50,
}  # fmt: skip
_PARTS = {
    "half": Fraction(1, 2), "third": Fraction(1, 3), "quarter": Fraction(1, 4),
    "fifth": Fraction(1, 5), "tenth": Fraction(1, 10),
}  # fmt: skip
_MULTIPLES = {"twice": 2, "double": 2, "triple": 3}
_MOST = 20
"""More numbers make a table, not a word problem: the rest is not read."""

# At most fifteen digits, so that no product of twenty numbers is too long for a float.
_NUMBER = re.compile(
    r"(?<![\d.])(?P<digits>\d{1,3}(?:,\d{3}){1,4}(?:\.\d{1,6})?|\d{1,15}(?:\.\d{1,6})?)(?!\d)"
    r"(?P<percent> ?%| percent\b)?"
    rf"|\b(?P<word>{'|'.join(_WORDS)})\b"
    r"|\b(?P<multiple>twice|double|triple)\b"
    r"|\b(?:an? |one )?(?P<part>half|third|quarter|fifth|tenth)(?= of\b| the\b)"
)
_TIMES = re.compile(r"\s*times (?:as|more|the)\b")
_JOINT = re.compile(r"[,;:]|\b(?:and|but|then|while|which|who)\b")
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+")
_OF_PREVIOUS = re.compile(
    r"^\s+(?!.*\b(?:into|and|but)\b)[a-z'-]+\s+(?:[a-z'-]+\s+)?(?:of|with|for|at)\s+\$?$"
)
_NOUN = re.compile(r"[a-z]+")
_NO_NOUN_WORDS = (
    "a an of the in on at to for from with by are is was were has have had and each per every "
    "more less fewer than off up as out that he she it they them his her their this again how km"
)
_NO_NOUNS = frozenset(_NO_NOUN_WORDS.split())
_DOLLARS: Units = frozenset(("dolla",))
_STEM = 5


def stem(word: str) -> str:
    """Return a lower-case word without plural ending, cut to five letters."""
    return (word[:-1] if word.endswith("s") and len(word) > 3 else word)[:_STEM]


def first_nouns(text: str) -> Units:
    """Return the first words of a lower-case text, at most three, up to a function word."""
    nouns: list[str] = []
    for word in _NOUN.findall(text[:60])[:3]:
        if word in _NO_NOUNS:
            break
        nouns.append(stem(word))
    return frozenset(nouns)


def question_of(text: str) -> str:
    """Return the last sentence that ends with a question mark, else the last sentence."""
    sentences = _SENTENCE_END.split(text.strip())
    asked = [sentence for sentence in sentences if sentence.endswith("?")]
    return asked[-1] if asked else sentences[-1]


def read_quantities(text: str) -> list[Quantity]:
    """Return the first quantities of a lower-case text, at most twenty, in their order."""
    found: list[Quantity] = []
    question = question_of(text)
    for index, sentence in enumerate(_SENTENCE_END.split(text.strip())):
        found += _in_sentence(sentence, index, sentence == question)
    return found[:_MOST]


def _in_sentence(sentence: str, index: int, in_question: bool) -> list[Quantity]:
    matches = list(_NUMBER.finditer(sentence))
    starts = [*(match.start() for match in matches), len(sentence)]
    ends = [0, *(match.end() for match in matches)]
    gaps = [sentence[end:start] for end, start in zip(ends, starts, strict=True)]
    found = []
    for place, match in enumerate(matches):
        value, kind = _read(match, gaps[place + 1])
        before = gaps[0] if place == 0 else _from_joint(gaps[place])
        after = gaps[-1] if place == len(matches) - 1 else _to_joint(gaps[place + 1])
        found.append(
            Quantity(
                value=value,
                kind=kind,
                before=before,
                after=after,
                units=_DOLLARS if before.endswith("$") else first_nouns(after),
                sentence=index,
                of_previous=place > 0 and _OF_PREVIOUS.search(gaps[place]) is not None,
                in_question=in_question,
            )
        )
    return found


def _from_joint(gap: str) -> str:
    joint = _JOINT.search(gap)
    return gap[joint.end() :] if joint else gap


def _to_joint(gap: str) -> str:
    joint = _JOINT.search(gap)
    return gap[: joint.start()] if joint else gap


def _read(match: re.Match[str], right: str) -> tuple[Fraction, Kind]:
    """Return the value of a number and how it is written; `right` are the words behind it."""
    if match["part"]:
        return _PARTS[match["part"]], Kind.FRACTION
    if match["multiple"]:
        return Fraction(_MULTIPLES[match["multiple"]]), Kind.TIMES
    word = match["word"]
    value = Fraction(_WORDS[word] if word else match["digits"].replace(",", ""))
    if match["percent"]:
        return value, Kind.PERCENT
    return value, Kind.TIMES if _TIMES.match(right) else Kind.NUMBER
