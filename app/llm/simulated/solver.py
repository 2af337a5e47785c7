"""A modest solver of arithmetic word problems: it reads once, from left to right.

The solver keeps a running result and one open term. Cue words around each number decide what
happens: rates multiply, losses subtract, `shared among` divides, and the question decides what
becomes of numbers that stand without any cue. It knows no problem by heart; where a problem is
told in another order or with other words it goes wrong, as a hasty reader would. Every calculation
is recorded, so that an answer can show its steps or stop too early.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from app.llm.simulated import cues
from app.llm.simulated.quantities import Kind, Quantity, Units, question_of, read_quantities

__all__ = ["Step", "solve"]


@dataclass(frozen=True, slots=True)
class Step:
    """One calculation, `left operator right = result`; a bare number has the operator `=`."""

    left: Fraction
    operator: str
    right: Fraction
    result: Fraction


Notices = Callable[[str], bool]
"""Whether the reader notices the subtle cue of that name."""

Slips = Callable[[int, Fraction], Fraction]
"""What the reader gets for step `number` (from 0) where the second argument is right."""


def solve(text: str, notices: Notices, slips: Slips) -> list[Step]:
    """Return the calculations for a word problem, the last one giving the answer.

    Where nothing is to be calculated the last number is the answer; a text without a number gives
    no steps.
    """
    lower = text.lower()
    quantities = read_quantities(lower)
    if not quantities:
        return []
    solver = _Solver(cues.Question(question_of(lower)), notices, slips)
    if not solver.use_formula(quantities):
        for quantity in quantities:
            solver.take(quantity)
        solver.conclude()
    last = quantities[-1].value
    return solver.steps or [Step(last, "=", last, last)]


_IN_ONE = {
    ("minut", "hour"): 60, ("hour", "day"): 24, ("day", "week"): 7, ("month", "year"): 12,
}  # fmt: skip
"""How many of the first unit are in one of the second."""


@dataclass
class _Solver:
    """One reading of one problem."""

    question: cues.Question
    notices: Notices
    slips: Slips
    steps: list[Step] = field(default_factory=list)
    result: Fraction | None = None
    """The running result of all closed terms."""
    term: Fraction | None = None
    """The open term, which later rates may still multiply."""
    term_units: Units = frozenset()
    term_sign: int = 1
    term_sentence: int = -1
    sentence: int = -1
    sign: int = 0
    """Sign of the last verb in the sentence; 0 without one."""
    awaited: Units = frozenset()
    """Units that a rate waits for: hour after `60 km an hour`."""
    counts: dict[str, Fraction] = field(default_factory=dict)
    """The first count of each noun."""
    compared: list[Fraction] = field(default_factory=list)
    """Quantities told by comparison (`5 more than`), for a question that wants all of them."""
    share: Fraction | None = None
    """A fraction or percentage that waits for its whole (`of the 40 ...`)."""
    payment: Fraction | None = None
    sharers: Fraction | None = None
    divided: bool = False

    # ----------------------------------------------------------------------- calculations

    def calculate(self, left: Fraction, operator: str, right: Fraction) -> Fraction:
        """Record a calculation and return what the reader gets; dividing by 0 is left out."""
        if operator == "/" and right == 0:
            return left
        exact = _OPERATIONS[operator](left, right)
        result = self.slips(len(self.steps), exact)
        self.steps.append(Step(left, operator, right, result))
        return result

    def total(self, values: Sequence[Fraction]) -> Fraction:
        """Add up one or more values."""
        result = values[0]
        for value in values[1:]:
            result = self.calculate(result, "+", value)
        return result

    def close(self) -> None:
        """Put the open term to the running result."""
        if self.term is not None:
            operator = "-" if self.term_sign < 0 else "+"
            first = self.result is None
            self.result = self.term if first else self.apply_to(self.result, operator, self.term)
            self.term = None

    def apply_to(self, base: Fraction | None, operator: str, value: Fraction) -> Fraction | None:
        return None if base is None else self.calculate(base, operator, value)

    def apply(self, operator: str, value: Fraction, *, whole: bool) -> None:
        """Change the open term, or everything so far if `whole` or if no term is open."""
        if whole or self.term is None:
            self.close()
            self.result = self.apply_to(self.result, operator, value)
        else:
            self.term = self.calculate(self.term, operator, value)

    def open(self, quantity: Quantity, value: Fraction) -> None:
        """Begin a new term."""
        self.close()
        self.term_sign = self.sign_of(quantity)
        self.term = self.converted(quantity, value)
        self.term_units = quantity.units
        self.term_sentence = quantity.sentence

    def sign_of(self, quantity: Quantity) -> int:
        """Return 1 or -1 by the verbs beside it, else in the sentence, else by the question."""
        self.sign = cues.sign_of(quantity) or self.sign
        return self.sign or (-1 if self.question.wants_rest else 1)

    def converted(self, quantity: Quantity, value: Fraction) -> Fraction:
        """Return the value in the unit that the question asks for, if that is a smaller one."""
        for (smaller, larger), factor in _IN_ONE.items():
            asked = smaller in self.question.units and larger in quantity.units
            if asked and self.notices("unit"):
                return self.calculate(value, "*", Fraction(factor))
        return value

    # ----------------------------------------------------------------------- reading

    def use_formula(self, quantities: Sequence[Quantity]) -> bool:
        """Solve averages, areas and fences; return whether it was one of them."""
        numbers = [quantity.value for quantity in quantities if quantity.kind is Kind.NUMBER]
        formula = self.question.formula(numbers)
        if formula == "average":
            listed = _without_their_count(numbers)
            self.calculate(self.total(listed), "/", Fraction(len(listed)))
        elif formula == "area":
            self.calculate(numbers[0], "*", numbers[1])
        elif formula == "perimeter":
            half = self.total(numbers)
            if self.notices("four sides"):
                self.calculate(half, "*", Fraction(2))
        return formula is not None

    def take(self, quantity: Quantity) -> None:
        """Read the next quantity."""
        if quantity.sentence != self.sentence:
            self.sentence, self.sign = quantity.sentence, 0
        if quantity.in_question and quantity.value in map(self.counts.get, quantity.units):
            return  # the question only repeats a count
        if quantity.kind is Kind.NUMBER:
            self.take_number(quantity)
        elif quantity.kind is Kind.TIMES:
            self.compare("*", quantity.value)
        else:
            self.take_share(quantity)

    def take_number(self, quantity: Quantity) -> None:
        value = quantity.value
        if self.share is not None:
            value, self.share = self.calculate(value, "*", self.share), None
        rules = (
            self.is_set_aside,
            self.is_comparison,
            self.is_container,
            self.is_awaited,
            self.is_divisor,
            self.is_rate,
        )
        if any(rule(quantity, value) for rule in rules):
            return
        for noun in quantity.units:
            self.counts.setdefault(noun, value)
        self.open(quantity, value)

    def take_share(self, quantity: Quantity) -> None:
        """Read a fraction or percentage: of what follows, of what is there, or off it."""
        percent = quantity.kind is Kind.PERCENT
        share = quantity.value / 100 if percent else quantity.value
        if cues.of_the_following(quantity):
            self.share = share
            return
        if cues.takes_away(quantity):
            self.sign = -1
            share = 1 - share if self.notices("what is taken off") else share
        elif percent and cues.adds_share(quantity):
            share = 1 + share
        self.apply("*", share, whole=True)

    def compare(self, operator: str, value: Fraction) -> None:
        """Derive a new quantity from the one before it."""
        self.close()
        if self.result is None:
            self.term = value
            return
        self.compared = self.compared or [self.result]
        self.result = self.calculate(self.result, operator, value)
        self.compared.append(self.result)

    # Each rule reads a number if it is of its kind, and says whether it was.

    def is_set_aside(self, quantity: Quantity, value: Fraction) -> bool:
        """Money handed over, and those who share: both wait for the end."""
        if cues.hands_over(quantity):
            self.payment = value
        elif cues.shares(quantity):
            self.sharers = value
        else:
            return False
        return True

    def is_comparison(self, quantity: Quantity, value: Fraction) -> bool:
        """`5 more than`; and `in 5 years` where an age is asked for."""
        direction = cues.time_direction(quantity)
        if direction and quantity.in_question and self.question.wants_age:
            self.apply("+" if direction > 0 else "-", value, whole=True)
            return True
        if not cues.compares(quantity):
            return False
        self.compare("-" if cues.is_smaller(quantity) else "+", value)
        return True

    def is_container(self, quantity: Quantity, value: Fraction) -> bool:
        """How much a container holds, what it costs, and how many are needed for so much."""
        holder = cues.holder(quantity)
        if holder is not None and self.has_begun():
            self.apply("/", value, whole=True)
            self.divided = True
            self.awaited |= {holder}
        elif self.divided and cues.costs_so_much(quantity):
            self.apply("*", value, whole=True)
        elif self.term and self.question.units & self.awaited and quantity.units & self.term_units:
            self.term = self.calculate(value, "/", self.term)
        else:
            return False
        return True

    def is_awaited(self, quantity: Quantity, value: Fraction) -> bool:
        """A count of a unit that a rate waits for: `60 km an hour ... 3 hours`."""
        met = self.awaited & quantity.units
        if not met or not self.notices("rate meets count"):
            return False
        self.apply("*", value, whole=cues.refers_back(quantity))
        self.awaited = (self.awaited - met) | (cues.rate_units(quantity) - self.term_units)
        return True

    def is_divisor(self, quantity: Quantity, value: Fraction) -> bool:
        """`among 5`, `into bags of 3`, and a rate of what the question wants to know."""
        wanted = self.question.units & cues.rate_units(quantity) and not quantity.of_previous
        if not self.has_begun() or not (cues.divides(quantity) or wanted):
            return False
        self.apply("/", value, whole=True)
        self.divided = True
        return True

    def is_rate(self, quantity: Quantity, value: Fraction) -> bool:
        """A rate multiplies the count it belongs to, or begins a term that waits for one."""
        units = cues.rate_units(quantity)
        each = cues.is_each(quantity)
        for_one = each or cues.is_priced(quantity)
        if not (units or for_one):
            return False
        later = each and quantity.sentence != self.term_sentence
        whole = later or self.divided or cues.refers_back(quantity)
        fits = self.term is not None and (for_one or bool(self.term_units & units))
        if fits or (whole and self.has_begun()):
            self.apply("*", value, whole=whole)
        else:
            self.open(quantity, value)
        self.awaited |= units - self.term_units
        return True

    def has_begun(self) -> bool:
        """Whether there is a term or a result to work on."""
        return self.term is not None or self.result is not None

    # ----------------------------------------------------------------------- the end

    def conclude(self) -> None:
        """Give the question what it asks for."""
        self.close()
        if len(self.compared) > 1 and self.question.wants_sum:
            self.result = self.total(self.compared)
        if self.payment is not None and self.notices("change of a note"):
            self.result = self.calculate(self.payment, "-", self.result or Fraction(0))
        elif self.result is not None and self.result < 0:
            self.turn_round()
        group = self.group()
        if group is not None and self.notices("share of each"):
            self.result = self.apply_to(self.result, "/", group)

    def group(self) -> Fraction | None:
        """Return by how many the result is shared, if it still has to be."""
        if self.sharers is not None or self.divided:
            return self.sharers
        unit = self.question.sharing_unit
        return None if unit is None else self.counts.get(unit)

    def turn_round(self) -> None:
        """Take the smaller from the larger where the story named the smaller first."""
        last = self.steps[-1]
        if last.operator == "-":
            self.result = -last.result
            self.steps[-1] = Step(last.right, "-", last.left, self.result)


_OPERATIONS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
}


def _without_their_count(values: list[Fraction]) -> list[Fraction]:
    """Return the values without a number that says how many there are (`in 3 rounds: 4, 8, 6`)."""
    for size in range(len(values) - 1, 2, -1):
        rest = [value for value in values if value != size]
        if len(rest) == size:
            return rest
    return values
