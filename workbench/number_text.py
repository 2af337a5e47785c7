"""Numbers as people read them, the same in every report. Missing is said, never shown as 0."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = [
    "RATES",
    "Scale",
    "compare_command",
    "count_text",
    "difference_figures",
    "difference_text",
    "level_text",
    "mean_text",
    "milliseconds",
    "money",
    "percent",
    "ratio_text",
    "statuses_text",
]

_MINUS = "\N{MINUS SIGN}"
_TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True, slots=True)
class Scale:
    """How the scores of one scorer are told: rates in per cent and their differences in points,
    scores of any other range as they are."""

    factor: float
    unit: str
    """What a difference is told in: `points`, or `on 1 to 5`."""

    @classmethod
    def of(cls, score_range: Sequence[float] | None) -> Scale:
        """Return the scale of a range; comparisons that do not tell theirs are of rates."""
        if score_range is None or tuple(score_range) == (0.0, 1.0):
            return RATES
        low, high = score_range
        return cls(1.0, f"on {low:g} to {high:g}")

    @property
    def is_rate(self) -> bool:
        return self == RATES

    @property
    def told(self) -> str:
        """What follows the name of a difference: `in points`, or `on 1 to 5`."""
        return f"in {self.unit}" if self.is_rate else self.unit

    @property
    def more(self) -> str:
        """The head of a column of differences: `points more`, or `more, on 1 to 5`."""
        return f"{self.unit} more" if self.is_rate else f"more, {self.unit}"

    def mean(self, value: float) -> str:
        """`74.2 %`, or `3.42`."""
        return percent(value) if self.is_rate else f"{value:,.2f}"

    def bounds(self, low: float, high: float) -> str:
        """`67.5 to 80.0`, or `3.31 to 3.53`."""
        digits = 1 if self.is_rate else 2
        return " to ".join(f"{self.factor * end:,.{digits}f}" for end in (low, high))

    def distance(self, value: float, form: str = "g") -> str:
        """`3 points`, or `0.3 on 1 to 5`; `form` is a format of numbers."""
        return f"{self.factor * value:{form}} {self.unit}"


RATES = Scale(100.0, "points")


def compare_command(result: Mapping[str, Any]) -> str:
    """The command that shows the whole of a stored comparison, every changed example included."""
    runs = shlex.join([str(result["baseline_run"]), str(result["candidate_run"])])
    return f"workbench compare {runs} --format json"


def count_text(number: int, noun: str) -> str:
    """`1 example`, `2,000 examples`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def percent(value: float) -> str:
    """0.7425 is `74.2 %`."""
    return f"{100 * value:.1f} %"


def _signed(value: float, digits: int) -> str:
    rounded = round(value, digits)
    sign = "+" if rounded > 0 else _MINUS if rounded < 0 else "±"
    return f"{sign}{abs(rounded):,.{digits}f}"


def mean_text(side: Mapping[str, Any], scale: Scale = RATES) -> str:
    """`74.2 % (141 of 190; 95 % CI 67.5 to 80.0)`, or `no score`."""
    if side["mean"] is None:
        return "no score"
    parts = []
    if side["n_correct"] is not None:
        parts.append(f"{side['n_correct']:,} of {side['n_scored']:,}")
    if side["interval"] is not None:
        parts.append(f"95 % CI {scale.bounds(*side['interval'])}")
    mean = scale.mean(side["mean"])
    return f"{mean} ({'; '.join(parts)})" if parts else mean


def difference_text(result: Mapping[str, Any], scale: Scale = RATES) -> str:
    """`+6.0 points (95 % CI +2.6 to +9.7)`; empty without pairs."""
    difference = result["difference"]
    if difference is None:
        return ""
    estimate, low, high = difference_figures(difference, scale)
    return f"{estimate} {scale.unit} ({level_text(difference['level'])} CI {low} to {high})"


def difference_figures(difference: Mapping[str, Any], scale: Scale = RATES) -> tuple[str, str, str]:
    """Estimate and bounds on the scorer's scale, with the digits that the standard error bears.

    That is about a quarter of the interval's width; at least one digit, at most six.
    """
    error = scale.factor * (difference["high"] - difference["low"]) / 4
    digits = 1 if error <= 0 else min(6, max(1, -math.floor(math.log10(error))))
    estimate, low, high = (
        _signed(scale.factor * difference[name], digits) for name in ("estimate", "low", "high")
    )
    return estimate, low, high


def level_text(level: float) -> str:
    """A confidence level: 0.95 is `95 %`, that of three candidates `98.33 %`."""
    return f"{round(100 * level, 2):g} %"


def statuses_text(side: Mapping[str, Any]) -> str:
    """`198 scored, 2 failed`."""
    return ", ".join(f"{count:,} {name}" for name, count in side["statuses"].items()) or "none"


def money(value: float) -> str:
    """US dollars: cents from a dollar on, three significant digits below."""
    if value == 0:
        return "$0"
    if value >= 1:
        return f"${value:,.2f}"
    digits = 2 - math.floor(math.log10(value))
    return f"${value:.{digits}f}"


def ratio_text(ratio: Mapping[str, Any] | None) -> str:
    """`1.30 times (95 % CI 1.21 to 1.40)`; the times sign is written as such."""
    if ratio is None:
        return ""
    low, high = ratio["low"], ratio["high"]
    return f"{ratio['estimate']:.2f} {_TIMES} (95 % CI {low:.2f} to {high:.2f})"


def milliseconds(value: float, *, signed: bool = False) -> str:
    """Milliseconds below a second, seconds above."""
    seconds = abs(value) >= 1000
    number, unit = (value / 1000, "s") if seconds else (value, "ms")
    digits = 1 if seconds else 0
    return f"{_signed(number, digits) if signed else f'{number:,.{digits}f}'} {unit}"
