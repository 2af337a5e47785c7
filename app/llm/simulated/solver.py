"""A modest solver of arithmetic word problems: it reads once, from left to right.

The solver keeps a running result and one open term. Cue words around each number decide what
happens: rates multiply, losses subtract, `shared among` divides, and the question decides what
becomes of numbers that stand without any cue. It knows no problem by heart; where a problem is
told in another order or with other words, it goes wrong, as a hasty reader would. Every calculation
is recorded, so that an answer can show its steps or stop too early.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from app.llm.simulated.quantities import (
    Kind,
    Quantity,
    Unit,
    asked_units,
    quantities,
    question_of,
)

__all__ = ["Step", "solve"]


@dataclass(frozen=True, slots=True)
class Step:
    """One calculation: `left operator right = result`."""

    left: Fraction
    operator: str
    right: Fraction
    result: Fraction


Notices = Callable[[str], bool]
"""Whether the reader notices the subtle cue of that name."""

Slips = Callable[[int, Fraction], Fraction]
"""What the reader gets for step `number` (from 0) where `result` is right."""


def solve(text: str, notices: Notices, slips: Slips) -> list[Step]:
    """Return the calculations for a word problem, the last one giving the answer.

    A text with a single number and no calculation gives one step with operator `=`; a text without
    a number gives none.
    """
    found = quantities(text)
    if not found:
        return []
    solver = _Solver(question_of(text), notices, slips)
    if not solver.by_formula(text, found):
        for quantity in found:
            solver.take(quantity)
        solver.conclude()
    if not solver.steps:
        last = found[-1].value
        return [Step(last, "=", last, last)]
    return solver.steps


def _cue(*words: str) -> re.Pattern[str]:
    return re.compile(r"\b(?:" + "|".join(words) + r")\b", re.IGNORECASE)


_LOSS = _cue(
    "eats?", "ate", "eaten", "gives?", "gave", "given away", "los(?:es?|t)", "sold", "sells?",
    "spends?", "spent", "uses?", "used", "broken?", "burnt", "damaged", "borrowed", "off", "taken?",
    "rot", "rotten", "thrown", "fallen", "falls?", "drinks?", "drank", "died?", "not survive",
    "reduced", "set aside", "stolen", "pays?", "cut", "cuts?", "sitting", "read", "walked",
    "already", "deposit", "gone", "did not", "voucher", "herself", "himself", "themselves",
)  # fmt: skip
_GAIN = _cue(
    "finds?", "found", "wins?", "won", "gets?", "got", "receives?", "received",
    "returned", "arrives?", "adds?", "comes? in", "plus", "bonus", "puts?", "earns?",
)  # fmt: skip
_SOLD_AT = re.compile(r"\bs(?:old|ells?)\b.*\b(?:at|for) \$", re.IGNORECASE)
_STEPS_ON = re.compile(r"^\W*(?:\w+ )?(?:get|drive|step|hop|climb)s? on\b", re.IGNORECASE)
_PER = re.compile(
    r"\b(?:per|every|an?|each|(?:for|in|on|into) each)(?: of the| of)? (?P<unit>[a-z]{3,})",
    re.IGNORECASE,
)
_EVERY_ONE = re.compile(r"\b(?:per|every|each) (?P<unit>[a-z]{3,})", re.IGNORECASE)
_EACH = _cue("each", "apiece", "a piece")
_ONE_COSTS = re.compile(
    r"\b(?:an?|one|every|each) (?:single )?(?P<unit>[a-z]+)(?: [a-z]+){0,4}? "
    r"(?:costs?|weighs?|takes?|gives?|needs?|you need)(?: only| about)?\s+\$?$",
    re.IGNORECASE,
)
_HOLDS = re.compile(
    r"\b(?:an?|one|every|each) (?P<unit>[a-z]+)(?: of [a-z]+)? "
    r"(?:holds|is enough for|covers|lasts for)\s+$",
    re.IGNORECASE,
)
_AND_COSTS = re.compile(r"^\s*costs\s+\$?$", re.IGNORECASE)
_AT_PRICE = re.compile(r"\bat\s+\$$", re.IGNORECASE)
_DIVIDES = re.compile(
    r"(?:\b(?:among|between|divided by|(?:shared|split) (?:[a-z]+ )?by|equally to)"
    r"|\bin(?:to)?(?: [a-z]+){1,2} (?:of|for)|\binto)\s+(?:the )?$",
    re.IGNORECASE,
)
_IN_EQUAL = re.compile(r"^\s*equal\b", re.IGNORECASE)
_SHARERS = re.compile(r"^\s*(?:[a-z]+ ){0,3}(?:share|split|divide)\b", re.IGNORECASE)
_ANAPHORA = _cue(
    "others?", "rest", "remaining", "them", "remainder", "total", "whole", "both", "everything"
)
_SMALLER = _cue("fewer", "less", "shorter", "younger", "closer", "nearer", "cheaper", "lower")
_COMPARES = re.compile(
    r"\b(?:more|fewer|less|taller|shorter|older|younger|closer|nearer|longer|higher|cheaper)"
    r"(?: \w+){0,2} than\b",
    re.IGNORECASE,
)
_HANDED_OVER = re.compile(r"\b(?:pays? with|hands? over|paid with)(?: an?)?\s+\$$", re.IGNORECASE)
_RISES = _cue("up", "increased?", "rises?", "raised")
_SUM = _cue("together", "altogether", "in total", "in all", "both", "all three", "sum", "total")
_LEFT = _cue(
    "left", "remain", "remains", "still", "stay", "stays", "empty", "free", "missing", "short",
    "profit", "saved?",
)  # fmt: skip
_DIFFERENCE = re.compile(
    r"\bhow (?:much|many)(?: \w+){0,2} (?:more|taller|longer|older|heavier|higher|fewer|less|short)"
    r"|\bdo you save\b",
    re.IGNORECASE,
)
_EACH_OF = re.compile(r"\b(?:does|will|can|must) each(?: of the)? (?P<unit>[a-z]+)", re.IGNORECASE)
_OLD = re.compile(r"\bold\b", re.IGNORECASE)
_TIME_AHEAD = re.compile(r"\bin\s+$", re.IGNORECASE)
_TIME_BACK = re.compile(r"^\W*years? ago\b", re.IGNORECASE)
_SMALLER_UNIT = {
    ("minut", "hour"): 60, ("hour", "day"): 24, ("day", "week"): 7, ("month", "year"): 12,
}  # fmt: skip
"""How many of the first are in one of the second."""


@dataclass
class _Solver:
    """One reading of one problem."""

    question: str
    notices: Notices
    slips: Slips
    steps: list[Step] = field(default_factory=list)
    result: Fraction | None = None
    """The running result of all closed terms."""
    term: Fraction | None = None
    """The open term, which later rates may still multiply."""
    term_unit: Unit = frozenset()
    term_sign: int = 1
    sign: int = 0
    """Sign of the last cue in the sentence; 0 without one."""
    sentence: int = -1
    per: set[str] = field(default_factory=set)
    """Units that a rate is still waiting for."""
    groups: dict[str, Fraction] = field(default_factory=dict)
    parts: list[Fraction] = field(default_factory=list)
    """Compared quantities (`5 more than`), to be summed if the question wants all of them."""
    payment: Fraction | None = None
    share: Fraction | None = None
    """A fraction or percentage that waits for `of the 40 ...`."""
    sharers: Fraction | None = None
    divided: bool = False
    term_sentence: int = -1

    # ------------------------------------------------------------------ steps

    def calculate(self, left: Fraction, operator: str, right: Fraction) -> Fraction:
        """Record a calculation and return what the reader gets for it."""
        if operator == "/" and right == 0:
            return left
        exact = {"+": left + right, "-": left - right, "*": left * right}
        right_result = exact[operator] if operator in exact else left / right
        result = self.slips(len(self.steps), right_result)
        self.steps.append(Step(left, operator, right, result))
        return result

    def close(self) -> None:
        """Add the open term to the running result."""
        if self.term is None:
            return
        if self.result is None:
            self.result = self.term
        else:
            self.result = self.calculate(self.result, "+-"[self.term_sign < 0], self.term)
        self.term = None

    def apply(self, operator: str, value: Fraction, *, whole: bool) -> None:
        """Apply an operation to the open term, or to the whole result so far."""
        if whole or self.term is None:
            self.close()
            if self.result is not None:
                self.result = self.calculate(self.result, operator, value)
        else:
            self.term = self.calculate(self.term, operator, value)

    # ------------------------------------------------------------------ formulas

    def by_formula(self, text: str, found: list[Quantity]) -> bool:
        """Solve averages, areas and fences; return whether it was one of them."""
        values = [quantity.value for quantity in found if quantity.kind is Kind.NUMBER]
        listed = _listed(values)
        if re.search(r"\baverage\b", self.question) and listed:
            self._sum(listed)
            self.result = self.calculate(self.result or listed[0], "/", Fraction(len(listed)))
        elif re.search(r"\barea\b|\bsquare\b", self.question) and len(values) == 2:
            self.calculate(values[0], "*", values[1])
        elif re.search(r"all the way round|\bperimeter\b", self.question) and len(values) == 2:
            if not self.notices("four sides"):
                self.calculate(values[0], "+", values[1])
                return True
            half = self.calculate(values[0], "+", values[1])
            self.calculate(half, "*", Fraction(2))
        else:
            return False
        return True

    def _sum(self, values: list[Fraction]) -> None:
        self.result = values[0]
        for value in values[1:]:
            self.result = self.calculate(self.result, "+", value)

    # ------------------------------------------------------------------ reading

    def take(self, quantity: Quantity) -> None:
        """Read the next quantity."""
        if quantity.sentence != self.sentence:
            self.sentence, self.sign = quantity.sentence, 0
        if self._is_repeated(quantity):
            return
        if quantity.kind is Kind.NUMBER:
            self._take_number(quantity)
        elif quantity.kind is Kind.TIMES:
            self._take_comparison(quantity, lambda base: ("*", quantity.value))
        else:
            self._take_share(quantity)

    def _take_number(self, quantity: Quantity) -> None:
        value = quantity.value
        if self.share is not None:
            value = self.calculate(value, "*", self.share)
            self.share = None
        rules = (
            self._payment,
            self._sharers,
            self._age,
            self._comparison,
            self._price_of_container,
            self._fills,
            self._awaited,
            self._division,
            self._rate,
        )
        for rule in rules:
            if rule(quantity, value):
                return
        self._count(quantity, value)

    def _is_repeated(self, quantity: Quantity) -> bool:
        """Whether the question only repeats a count that the story gave."""
        return quantity.in_question and any(
            self.groups.get(noun) == quantity.value for noun in quantity.unit
        )

    def _payment(self, quantity: Quantity, value: Fraction) -> bool:
        if not _HANDED_OVER.search(quantity.before):
            return False
        self.payment = value
        return True

    def _sharers(self, quantity: Quantity, value: Fraction) -> bool:
        """`Four friends share ...`: they count as a group and not as an amount."""
        if not _SHARERS.search(quantity.after):
            return False
        self.sharers = value
        return True

    def _price_of_container(self, quantity: Quantity, value: Fraction) -> bool:
        """`A can holds 6 cups and costs $4`, once the cans have been counted."""
        if not (self.divided and _AND_COSTS.search(quantity.before)):
            return False
        self.apply("*", value, whole=True)
        return True

    def _fills(self, quantity: Quantity, value: Fraction) -> bool:
        """`8 eggs into each carton ... how many cartons for 64 eggs`: the count over the rate."""
        wanted = asked_units(self.question) & self.per
        if not wanted or self.term is None or not quantity.unit & self.term_unit:
            return False
        self.term = self.calculate(value, "/", self.term)
        return True

    def _age(self, quantity: Quantity, value: Fraction) -> bool:
        """`in 5 years` and `5 years ago`, where the question asks for an age."""
        if not quantity.in_question or not _OLD.search(self.question):
            return False
        back = _TIME_BACK.search(quantity.after) is not None
        if not back and not _TIME_AHEAD.search(quantity.before):
            return False
        self.apply("-" if back else "+", value, whole=True)
        return True

    def _comparison(self, quantity: Quantity, value: Fraction) -> bool:
        if not _COMPARES.search(quantity.after):
            return False
        smaller = _SMALLER.search(quantity.after) is not None
        self._take_comparison(quantity, lambda base: ("-" if smaller else "+", value))
        return True

    def _take_comparison(
        self, quantity: Quantity, change: Callable[[Fraction], tuple[str, Fraction]]
    ) -> None:
        """Derive a new quantity from the one before it."""
        self.close()
        if self.result is None:
            self.term = quantity.value
            return
        base = self.result
        self.parts = self.parts or [base]
        self.result = self.calculate(base, *change(base))
        self.parts.append(self.result)

    def _take_share(self, quantity: Quantity) -> None:
        """Read a fraction or percentage: of what follows, of what is there, or off it."""
        percent = quantity.kind is Kind.PERCENT
        share = quantity.value / 100 if percent else quantity.value
        around = quantity.before + quantity.after
        if re.match(r"\s*(?:of )?the\s*$", quantity.after):
            self.share = share
            return
        takes_away = _LOSS.search(around) is not None and not _RISES.search(around)
        self.sign = -1 if takes_away else self.sign
        if takes_away and self.notices("what is taken off"):
            share = 1 - share
        elif percent and _RISES.search(around):
            share = 1 + share
        self.apply("*", share, whole=True)

    def _awaited(self, quantity: Quantity, value: Fraction) -> bool:
        """A count of a unit that a rate waits for: `60 km an hour ... 3 hours`."""
        awaited = self.per & quantity.unit
        if not awaited or not self.notices("rate meets count"):
            return False
        self.per -= awaited
        whole = self.term is None or bool(_ANAPHORA.search(quantity.before))
        self.apply("*", value, whole=whole)
        self._remember_rate(quantity)
        return True

    def _division(self, quantity: Quantity, value: Fraction) -> bool:
        if self.term is None and self.result is None:
            return False
        holds = _HOLDS.search(quantity.before)
        divides = _DIVIDES.search(quantity.before) or _IN_EQUAL.search(quantity.after)
        wanted = asked_units(self.question) & set(self._per_units(quantity))
        if not (holds or divides or wanted) or quantity.of_previous:
            return False
        self.apply("/", value, whole=True)
        self.divided = True
        if holds:
            self.per.add(holds["unit"][:5])
        return True

    def _per_units(self, quantity: Quantity) -> list[str]:
        """Return the units that the quantity is a rate of, as stems."""
        units = [match["unit"] for match in _PER.finditer(quantity.after)]
        if one := _ONE_COSTS.search(quantity.before):
            units.append(one["unit"])
        units += [match["unit"] for match in _EVERY_ONE.finditer(quantity.before)]
        return [unit.rstrip("s")[:5] for unit in units]

    def _remember_rate(self, quantity: Quantity) -> None:
        self.per |= set(self._per_units(quantity)) - self.term_unit

    def _rate(self, quantity: Quantity, value: Fraction) -> bool:
        """A rate multiplies the count it belongs to, or opens a term that waits for one."""
        units = self._per_units(quantity)
        each = bool(_EACH.search(quantity.before + " " + quantity.after)) or quantity.of_previous
        priced = _AT_PRICE.search(quantity.before) is not None
        if not (units or each or priced):
            return False
        later = each and quantity.sentence != self.term_sentence
        rest = later or self.divided or _ANAPHORA.search(quantity.before) is not None
        joined = self.term is not None and (each or priced or bool(self.term_unit & set(units)))
        if joined or (rest and self._has_result()):
            self.apply("*", value, whole=rest)
        else:
            self._open(quantity, value)
        self.per |= set(units) - self.term_unit
        return True

    def _has_result(self) -> bool:
        return self.term is not None or self.result is not None

    def _count(self, quantity: Quantity, value: Fraction) -> None:
        for noun in quantity.unit:
            self.groups.setdefault(noun, value)
        self._open(quantity, value)

    def _open(self, quantity: Quantity, value: Fraction) -> None:
        self.close()
        self.term, self.term_unit = self._converted(quantity, value), quantity.unit
        self.term_sign, self.term_sentence = self._sign_of(quantity), quantity.sentence

    def _converted(self, quantity: Quantity, value: Fraction) -> Fraction:
        """Return the value in the unit that the question asks for, if that is a smaller one."""
        for asked in asked_units(self.question):
            for noun in quantity.unit:
                factor = _SMALLER_UNIT.get((asked, noun))
                if factor is not None and self.notices("unit"):
                    return self.calculate(value, "*", Fraction(factor))
        return value

    def _sign_of(self, quantity: Quantity) -> int:
        """Return -1 or 1 from the verbs at hand, else from the sentence, else from the question."""
        if _STEPS_ON.search(quantity.after):
            self.sign = 1
        elif _SOLD_AT.search(quantity.before + quantity.after):
            self.sign = 1
        elif _LOSS.search(quantity.before) or _LOSS.search(quantity.after):
            self.sign = -1
        elif _GAIN.search(quantity.before) or _GAIN.search(quantity.after):
            self.sign = 1
        if self.sign:
            return self.sign
        differs = _DIFFERENCE.search(self.question) or _LEFT.search(self.question)
        return -1 if differs and not _SUM.search(self.question) else 1

    # ------------------------------------------------------------------ the question

    def conclude(self) -> None:
        """Give the question what it asks for."""
        self.close()
        if len(self.parts) > 1 and _SUM.search(self.question):
            self._sum(self.parts)
        if self.result is None:
            return
        if self.payment is not None and self.notices("change of a note"):
            self.result = self.calculate(self.payment, "-", self.result)
        elif self.result < 0:
            self._turn_round()
        group = self._group()
        if group is not None and self.notices("share of each"):
            self.result = self.calculate(self.result, "/", group)

    def _group(self) -> Fraction | None:
        """Return by how many the result is shared, if it still has to be."""
        if self.sharers is not None or self.divided:
            return self.sharers
        sharing = _EACH_OF.search(self.question)
        return None if sharing is None else self.groups.get(sharing["unit"].rstrip("s")[:5])

    def _turn_round(self) -> None:
        """Take the smaller from the larger when the story named the smaller first."""
        last = self.steps[-1]
        if last.operator == "-":
            self.steps[-1] = Step(last.right, "-", last.left, -last.result)
            self.result = -last.result


def _listed(values: list[Fraction]) -> list[Fraction]:
    """Return the values without the number that says how many there are; [] if there is none."""
    for size in range(len(values) - 1, 2, -1):
        rest = [value for value in values if value != size]
        if len(rest) == size:
            return rest
    return values if len(values) > 2 else []
