"""Cue words of word problems: what the words around a number, or in the question, ask to do.

Everything here reads lower-case text and decides by a short list of words, as a hasty reader does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from app.llm.simulated.quantities import Quantity, Units, first_nouns, stem

__all__ = [
    "Question",
    "adds_share",
    "compares",
    "costs_so_much",
    "divides",
    "hands_over",
    "holder",
    "is_each",
    "is_priced",
    "is_smaller",
    "of_the_following",
    "rate_units",
    "refers_back",
    "shares",
    "sign_of",
    "takes_away",
    "time_direction",
]


def _words(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words})\b")


# --------------------------------------------------------------------------- more or less

_LOSS = _words(
    r"eats?|ate|eaten|gives?|gave|given away|los(?:es?|t)|sold|sells?|spends?|spent|uses?|"
    r"used|broken?|burnt|damaged|borrowed|off|taken?|rot|rotten|thrown|fallen|falls?|"
    r"drinks?|drank|died?|not survive|reduced|set aside|stolen|pays?|cuts?|sitting|read|"
    r"walked|already|deposit|gone|did not|voucher|herself|himself|themselves"
)
_GAIN = _words(
    r"finds?|found|wins?|won|gets?|got|receives?|received|returned|arrives?|adds?|comes? in|"
    r"plus|bonus|puts?|earns?"
)
_BRINGS_IN = re.compile(
    r"\bs(?:old|ells?)\b.*\b(?:at|for) \$|\b(?:get|drive|step|hop|climb)s? on\b"
)
_RISES = _words(r"up|increased?|rises?|raised")


def sign_of(quantity: Quantity) -> int:
    """Return 1 if the verbs beside a number add it, -1 if they take it away, 0 without a cue."""
    around = f"{quantity.before} . {quantity.after}"
    if _BRINGS_IN.search(around):
        return 1
    if _LOSS.search(around):
        return -1
    return 1 if _GAIN.search(around) else 0


def takes_away(quantity: Quantity) -> bool:
    """Whether a share is taken off (`is reduced by 20%`, `a third are eaten`)."""
    around = quantity.before + quantity.after
    return _LOSS.search(around) is not None and _RISES.search(around) is None


def adds_share(quantity: Quantity) -> bool:
    """Whether a share comes on top (`has gone up by 20%`)."""
    return _RISES.search(quantity.before + quantity.after) is not None


_THE_FOLLOWING = re.compile(r"\s*(?:of )?the\s*$")


def of_the_following(quantity: Quantity) -> bool:
    """Whether a share is one of the next number (`half of the 40 seats`)."""
    return _THE_FOLLOWING.match(quantity.after) is not None


# --------------------------------------------------------------------------- rates

_PER = re.compile(
    r"\b(?:per|every|an?|each|(?:for|in|on|into) each)(?: of the| of)? (?P<unit>[a-z]{3,})"
)
_EVERY_ONE = re.compile(r"\b(?:per|every|each) (?P<unit>[a-z]{3,})")
_ONE_COSTS = re.compile(
    r"\b(?:an?|one|every|each) (?:single )?(?P<unit>[a-z]+)(?: [a-z]+){0,4}? "
    r"(?:costs?|weighs?|takes?|gives?|needs?|you need)(?: only| about)?\s+\$?$"
)
_EACH = _words(r"each|apiece|a piece")
_AT_PRICE = re.compile(r"\bat\s+\$$")
_AND_COSTS = re.compile(r"^\s*costs\s+\$?$")


def rate_units(quantity: Quantity) -> Units:
    """Return the units that a number is a rate of: hour for `60 km an hour`."""
    units = [match["unit"] for match in _PER.finditer(quantity.after)]
    units += [match["unit"] for match in _EVERY_ONE.finditer(quantity.before)]
    if one := _ONE_COSTS.search(quantity.before):
        units.append(one["unit"])
    return frozenset(map(stem, units))


def is_each(quantity: Quantity) -> bool:
    """Whether a number holds for each one of what was counted (`$4 each`, `rows of 14`)."""
    return quantity.of_previous or bool(_EACH.search(f"{quantity.before} {quantity.after}"))


def is_priced(quantity: Quantity) -> bool:
    """Whether a number is the price of one (`at $4`)."""
    return _AT_PRICE.search(quantity.before) is not None


def costs_so_much(quantity: Quantity) -> bool:
    """Whether a number is the price of a container just described (`... and costs $4`)."""
    return _AND_COSTS.search(quantity.before) is not None


# --------------------------------------------------------------------------- division

_HOLDS = re.compile(
    r"\b(?:an?|one|every|each) (?P<unit>[a-z]+)(?: of [a-z]+)? "
    r"(?:holds|is enough for|covers|lasts for)\s+$"
)
_DIVIDES = re.compile(
    r"(?:\b(?:among|between|divided by|(?:shared|split) (?:[a-z]+ )?by|equally to)"
    r"|\bin(?:to)?(?: [a-z]+){1,2} (?:of|for)|\binto)\s+(?:the )?$"
)
_EQUAL = re.compile(r"\s*equal\b")
_SHARE = re.compile(r"\s*(?:[a-z]+ ){0,3}(?:share|split|divide)\b")


def holder(quantity: Quantity) -> str | None:
    """Return what holds that many (`a can holds 6 cups`), as a stem."""
    match = _HOLDS.search(quantity.before)
    return None if match is None else stem(match["unit"])


def divides(quantity: Quantity) -> bool:
    """Whether what was counted is divided by a number (`among 5`, `into bags of 3`)."""
    if quantity.of_previous:
        return False
    return bool(_DIVIDES.search(quantity.before) or _EQUAL.match(quantity.after))


def shares(quantity: Quantity) -> bool:
    """Whether a number counts those who share (`four friends share`)."""
    return _SHARE.match(quantity.after) is not None


# --------------------------------------------------------------------------- reference

_BACK = _words(r"others?|rest|remaining|them|remainder|total|whole|both|everything")
_COMPARES = re.compile(
    r"\b(?:more|fewer|less|taller|shorter|older|younger|closer|nearer|longer|higher|cheaper)"
    r"(?: \w+){0,2} than\b"
)
_SMALLER = _words(r"fewer|less|shorter|younger|closer|nearer|cheaper|lower")
_HANDS_OVER = re.compile(r"\b(?:pays? with|hands? over|paid with)(?: an?)?\s+\$$")


def refers_back(quantity: Quantity) -> bool:
    """Whether the words before a number mean everything so far (`sells the others for ...`)."""
    return _BACK.search(quantity.before) is not None


def compares(quantity: Quantity) -> bool:
    """Whether a number says how much more or less (`5 more than`)."""
    return _COMPARES.search(quantity.after) is not None


def is_smaller(quantity: Quantity) -> bool:
    """Whether a comparison goes down (`5 fewer than`)."""
    return _SMALLER.search(quantity.after) is not None


def hands_over(quantity: Quantity) -> bool:
    """Whether a number is the money handed over (`pays with a $20 note`)."""
    return _HANDS_OVER.search(quantity.before) is not None


_TIME_AHEAD = re.compile(r"\bin\s+$")
_TIME_BACK = re.compile(r"\W*years? ago\b")


def time_direction(quantity: Quantity) -> int:
    """Return 1 for `in 5 years`, -1 for `5 years ago`, else 0."""
    if _TIME_BACK.match(quantity.after):
        return -1
    return 1 if _TIME_AHEAD.search(quantity.before) else 0


# --------------------------------------------------------------------------- the question

_ASKED = re.compile(r"\bhow (?:many|much)\s+(?P<what>(?:[a-z-]+\s*){1,4})")
_SUM = _words(r"together|altogether|in total|in all|both|all three|sum|total")
_LEFT = _words(r"left|remains?|still|stays?|empty|free|missing|short|profit|saved?")
_DIFFERENCE = re.compile(
    r"\bhow (?:much|many)(?: \w+){0,2} (?:more|taller|longer|older|heavier|higher|fewer|less|short)"
    r"|\bdo you save\b"
)
_EACH_OF = re.compile(r"\b(?:does|will|can|must) each(?: of the)? (?P<unit>[a-z]+)")
_OLD = re.compile(r"\bold\b")
_AVERAGE = re.compile(r"\baverage\b")
_AREA = re.compile(r"\b(?:area|square)\b")
_ROUND = re.compile(r"\b(?:all the way round|perimeter)\b")


@dataclass(frozen=True)
class Question:
    """What is asked for."""

    text: str

    @cached_property
    def units(self) -> Units:
        """What shall be counted: box and red for `how many red boxes`."""
        match = _ASKED.search(self.text)
        return frozenset() if match is None else first_nouns(match["what"])

    @cached_property
    def wants_sum(self) -> bool:
        """Whether several quantities shall be put together."""
        return _SUM.search(self.text) is not None

    @cached_property
    def wants_rest(self) -> bool:
        """Whether a number without any cue is to be taken away."""
        less = _DIFFERENCE.search(self.text) or _LEFT.search(self.text)
        return less is not None and not self.wants_sum

    @property
    def wants_age(self) -> bool:
        """Whether somebody's age is asked for."""
        return _OLD.search(self.text) is not None

    @property
    def sharing_unit(self) -> str | None:
        """Pupil for `does each pupil get`, or None."""
        match = _EACH_OF.search(self.text)
        return None if match is None else stem(match["unit"])

    def formula(self, numbers: Sequence[object]) -> str | None:
        """Return `average`, `area` or `perimeter` if asked for and the count of numbers fits."""
        if len(numbers) > 2 and _AVERAGE.search(self.text):
            return "average"
        if len(numbers) != 2:
            return None
        if _AREA.search(self.text):
            return "area"
        return "perimeter" if _ROUND.search(self.text) else None
