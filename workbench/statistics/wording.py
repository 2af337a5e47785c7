"""The sentence that states a comparison: computed from the numbers, never written by hand.

A sentence gives the difference with its interval and the number of examples, and when it
cannot decide, what the run could have detected and how many examples it takes. It never says
more digits than the standard error supports. A p-value appears only beside an interval.
"""

import math
from dataclasses import dataclass
from typing import Final

from workbench.statistics.interval import Interval
from workbench.statistics.number_format import format_p, format_value
from workbench.statistics.policy import DEFAULT_POLICY, Policy
from workbench.statistics.verdict import Verdict

__all__ = ["NO_UNIT", "POINTS", "Facts", "Unit", "verdict_sentence"]

_MAX_DECIMALS: Final = 9


@dataclass(frozen=True, slots=True)
class Unit:
    """How differences of a metric are said: value times `scale`, then `name`."""

    name: str
    scale: float = 1.0
    singular: str | None = None
    """For "the 3-point margin"; without it the text says "the margin of 3 s"."""

    def phrase(self, number: str) -> str:
        """Return a formatted number with the unit's name, if it has one."""
        name = self.singular if self.singular and number == "1" else self.name
        return f"{number} {name}" if name else number


POINTS: Final = Unit("points", scale=100.0, singular="point")
"""Rates and other scores between 0 and 1: 0.06 is said as 6.0 points."""
NO_UNIT: Final = Unit("")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a sentence is made of; differences in the metric's own unit, positive is better."""

    verdict: Verdict
    estimate: float | None
    interval: Interval | None
    standard_error: float | None
    n_pairs: int
    better: int
    worse: int
    n_clusters: int | None = None
    margin: float | None = None
    smallest_margin: float | None = None
    detectable: float | None = None
    planning_margin: float = 0.03
    needed: int | None = None
    borderline_p: float | None = None
    unit: Unit = POINTS


def _decimals(standard_error: float) -> int:
    """Digits after the point that a standard error supports: its first digit, or one."""
    if standard_error >= 10.0:
        return 0
    if standard_error >= 1.0:
        return 1
    if standard_error <= 0.0:
        return 2
    return min(_MAX_DECIMALS, -math.floor(math.log10(standard_error)))


def _format_about(count: int) -> str:
    """Round a needed number of examples to two digits: planning knows no more."""
    if count < 100:
        return str(count)
    step = 10 ** (len(str(count)) - 2)
    return f"{round(count / step) * step:,}"


def _plain(value: float) -> str:
    """Format a declared number as a person would type it: 3, 2.5, 0.05."""
    return f"{value:.10g}"


class _Writer:
    """Formats the numbers of one sentence alike."""

    def __init__(self, facts: Facts, policy: Policy) -> None:
        self.facts = facts
        self.policy = policy
        self.unit = facts.unit
        self.decimals = self._fitting_decimals()

    def _fitting_decimals(self) -> int:
        """Decimals by the standard error, more if rounding would hide what was decided."""
        interval, error = self.facts.interval, self.facts.standard_error
        if interval is None or error is None:
            return 1
        decimals = _decimals(error * self.unit.scale)
        margin = self.facts.margin
        limits = [0.0] if margin is None else [0.0, -margin * self.unit.scale]
        bounds = [interval.low * self.unit.scale, interval.high * self.unit.scale]
        for more in range(decimals, min(decimals + 4, _MAX_DECIMALS) + 1):
            clear = all(
                bound == limit or round(bound, more) != round(limit, more)
                for bound in bounds
                for limit in limits
            )
            if clear:
                return more
        return decimals

    def number(self, value: float) -> str:
        return format_value(value * self.unit.scale, self.decimals)

    def amount(self, value: float) -> str:
        return self.unit.phrase(self.number(value))

    def rounded_up(self, value: float) -> str:
        """A margin must not be rounded to one that the data do not support."""
        step = 10.0**self.decimals
        up = math.ceil(value * self.unit.scale * step - 1e-9) / step
        return self.unit.phrase(format_value(up, self.decimals))

    def margin_name(self) -> str:
        margin = _plain((self.facts.margin or 0.0) * self.unit.scale)
        if self.unit.singular:
            return f"{margin}-{self.unit.singular} margin"
        return f"margin of {self.unit.phrase(margin)}"

    def planning_amount(self) -> str:
        return self.unit.phrase(_plain(self.facts.planning_margin * self.unit.scale))

    def interval(self) -> str:
        interval = self.facts.interval
        if interval is None:
            return ""
        level = _plain(round(100.0 * interval.level, 2))
        return f"{level} % CI {self.number(interval.low)} to {self.number(interval.high)}"

    def examples(self) -> str:
        facts = self.facts
        clusters = f" in {facts.n_clusters:,} clusters" if facts.n_clusters is not None else ""
        noun = "example" if facts.n_pairs == 1 else "examples"
        return f"{facts.n_pairs:,} {noun}{clusters}"

    def flips(self) -> str:
        better, worse = self.facts.better, self.facts.worse
        if better + worse == 0:
            return "none changed"
        return f"{better + worse:,} changed: {better:,} better, {worse:,} worse"

    def evidence(self) -> str:
        return f"({self.interval()}; {self.examples()}, {self.flips()})"


def verdict_sentence(facts: Facts, policy: Policy = DEFAULT_POLICY) -> str:
    """Return the sentence for a comparison."""
    writer = _Writer(facts, policy)
    if facts.verdict is Verdict.INSUFFICIENT_DATA or facts.estimate is None:
        return _insufficient(writer)
    estimate = facts.estimate
    if facts.verdict is Verdict.SUPERIOR:
        return f"Candidate is better by {writer.amount(estimate)} {writer.evidence()}." + (
            _borderline(facts)
        )
    if facts.verdict is Verdict.NON_INFERIOR:
        return (
            f"No worse than the {writer.margin_name()}: difference {writer.amount(estimate)} "
            f"{writer.evidence()}. Not shown to be better."
        )
    if facts.verdict is Verdict.WORSE_WITHIN_MARGIN:
        return (
            f"Worse by {writer.amount(-estimate)} {writer.evidence()}, within the agreed "
            f"{writer.margin_name()}. A person must accept the loss."
        )
    if facts.verdict is Verdict.INFERIOR:
        return f"Worse by {writer.amount(-estimate)} {writer.evidence()}." + _supported(writer)
    return (
        f"Cannot tell: difference {writer.amount(estimate)} {writer.evidence()}."
        f"{_supported(writer)}{_planning(writer)}"
    )


def _borderline(facts: Facts) -> str:
    if facts.borderline_p is None:
        return ""
    return (
        f" Borderline: the exact test gives {format_p(facts.borderline_p)}, so this does not "
        "pass as superior at a gate."
    )


def _insufficient(writer: _Writer) -> str:
    facts, policy = writer.facts, writer.policy
    minimum = f"no verdict below {policy.min_pairs} examples (or {policy.min_clusters} clusters)"
    if facts.estimate is None or facts.interval is None:
        return f"No example has a score on both sides; {minimum}."
    return (
        f"Only {writer.examples()}; {minimum}. Seen so far: {writer.flips()}; difference "
        f"{writer.amount(facts.estimate)} ({writer.interval()})."
    )


def _supported(writer: _Writer) -> str:
    """Say which margin the data would support, when none was declared."""
    facts = writer.facts
    if facts.margin is not None or facts.smallest_margin is None:
        return ""
    amount = writer.rounded_up(facts.smallest_margin)
    return f" The smallest margin that these data would support is {amount}."


def _planning(writer: _Writer) -> str:
    """Say what this run could detect and how many examples are needed."""
    facts = writer.facts
    if facts.detectable is None or facts.needed is None:
        return ""
    needed = _format_about(facts.needed)
    amount = writer.amount(facts.detectable)
    if facts.needed > facts.n_pairs:
        purpose = (
            f"to show {writer.planning_amount()}"
            if facts.margin is None
            else f"for the {writer.margin_name()}"
        )
        return (
            f" This run could only detect about {amount}; about {needed} examples are needed "
            f"{purpose}."
        )
    if facts.margin is None:
        return (
            f" This run could detect about {amount}; about {needed} examples are enough to show "
            f"{writer.planning_amount()}."
        )
    return (
        f" This run could detect about {amount}, enough for the {writer.margin_name()} had the "
        "two been alike; a loss as large as the margin remains possible."
    )
