"""Finding the quantities of a word problem and the words that say what to do with each.

A quantity is a number with the clause around it. The text between two numbers is divided at the
first joint (a comma, `and`, `but`, ...): what stands before it speaks of the number on its left,
what stands after it of the number on its right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

__all__ = ["Kind", "Quantity", "Unit", "asked_units", "quantities", "question_of"]

Unit = frozenset[str]
"""The nouns that a number counts, as stems; empty if there is none."""


class Kind(Enum):
    """How a number is written."""

    NUMBER = "number"
    PERCENT = "percent"
    TIMES = "times"
    FRACTION = "fraction"


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number of the problem."""

    value: Fraction
    kind: Kind
    before: str
    """The words on its left, from the previous joint."""
    after: str
    """The words on its right, up to the next joint."""
    sentence: int
    """Counts from 0."""
    of_previous: bool
    """Whether it follows another number as in `12 rows of 14 chairs`."""
    in_question: bool

    @property
    def unit(self) -> Unit:
        """What is counted: the first nouns behind the number, dollars for `$4`."""
        return _DOLLARS if self.before.endswith("$") else _unit(self.after)


_WORDS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "twenty": 20, "thirty": 30, "fifty": 50,
}  # fmt: skip
_PARTS = {
    "half": Fraction(1, 2), "third": Fraction(1, 3), "quarter": Fraction(1, 4),
    "fifth": Fraction(1, 5), "tenth": Fraction(1, 10),
}  # fmt: skip
_MULTIPLES = {"twice": 2, "double": 2, "triple": 3}
_NUMBER = re.compile(
    r"(?P<digits>\d+(?:,\d{3})*(?:\.\d+)?)(?P<percent> ?%| percent\b)?"
    rf"|\b(?P<word>{'|'.join(_WORDS)})\b"
    r"|\b(?P<multiple>twice|double|triple)\b"
    r"|\b(?:an? |one )?(?P<part>half|third|quarter|fifth|tenth)(?= of\b| the\b)",
    re.IGNORECASE,
)
_TIMES = re.compile(r"\s*times (?:as|more|the)\b")
_JOINT = re.compile(r"[,;:]|\b(?:and|but|then|while|which|who)\b")
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+")
_OF_PREVIOUS = re.compile(
    r"^\s+(?!.*\b(?:into|and|but)\b)[a-z'-]+\s+(?:[a-z'-]+\s+)?(?:of|with|for|at)\s+\$?$",
    re.IGNORECASE,
)
_NOUN = re.compile(r"[a-z]+", re.IGNORECASE)
_NO_NOUN = frozenset(
    "a an of the in on at to for from with by are is was were has have had and each per every more less "
    "fewer than off up as out that he she it they them his her their this again how km".split()
)
_DOLLARS: Unit = frozenset(("dolla",))
_STEM = 5


def _stem(word: str) -> str:
    """Return the word without plural ending, cut to five letters."""
    word = word.lower()
    return (word[:-1] if word.endswith("s") and len(word) > 3 else word)[:_STEM]


def _unit(after: str) -> Unit:
    nouns: list[str] = []
    for word in _NOUN.findall(after)[:3]:
        if word.lower() in _NO_NOUN:
            break
        nouns.append(_stem(word))
    return frozenset(nouns)


def question_of(text: str) -> str:
    """Return the last sentence that ends with a question mark, else the last sentence."""
    sentences = _SENTENCE_END.split(text.strip())
    asked = [sentence for sentence in sentences if sentence.endswith("?")]
    return asked[-1] if asked else sentences[-1]


_ASKED = re.compile(r"\bhow (?:many|much)\s+(?P<what>(?:[a-z-]+\s*){1,4})", re.IGNORECASE)


def asked_units(question: str) -> Unit:
    """Return what the question counts: `How many red boxes ...` gives red and box."""
    match = _ASKED.search(question)
    return frozenset() if match is None else _unit(match["what"])


def quantities(text: str) -> list[Quantity]:
    """Return the quantities of a text in their order."""
    found: list[Quantity] = []
    question = question_of(text)
    for index, sentence in enumerate(_SENTENCE_END.split(text.strip())):
        found += _in_sentence(sentence, index, sentence == question)
    return found


def _in_sentence(sentence: str, index: int, in_question: bool) -> list[Quantity]:
    matches = list(_NUMBER.finditer(sentence))
    ends = [0, *(match.end() for match in matches)]
    starts = [*(match.start() for match in matches), len(sentence)]
    gaps = [sentence[end:start] for end, start in zip(ends, starts, strict=True)]
    result = []
    for place, match in enumerate(matches):
        value, kind = _read(match, gaps[place + 1])
        left, right = gaps[place], gaps[place + 1]
        last = place == len(matches) - 1
        joint_left = _JOINT.search(left) if place else None
        joint_right = None if last else _JOINT.search(right)
        result.append(
            Quantity(
                value=value,
                kind=kind,
                before=left[joint_left.end() if joint_left else 0 :],
                after=right[: joint_right.start()] if joint_right else right,
                sentence=index,
                of_previous=place > 0 and _OF_PREVIOUS.search(left) is not None,
                in_question=in_question,
            )
        )
    return result


def _read(match: re.Match[str], right: str) -> tuple[Fraction, Kind]:
    if match["part"]:
        return _PARTS[match["part"].lower()], Kind.FRACTION
    if match["multiple"]:
        return Fraction(_MULTIPLES[match["multiple"].lower()]), Kind.TIMES
    word = match["word"]
    value = Fraction(_WORDS[word.lower()] if word else match["digits"].replace(",", ""))
    if match["percent"]:
        return value, Kind.PERCENT
    return value, Kind.TIMES if _TIMES.match(right) else Kind.NUMBER
