"""Figures as the checks of a gate tell them. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable

from workbench.gates.evidence import Effect
from workbench.statistics.interval import Interval
from workbench.statistics.number_format import format_value

__all__ = [
    "difference",
    "level",
    "margin_text",
    "milliseconds",
    "percent",
    "times",
    "with_interval",
]


def percent(share: float) -> str:
    """0.05 is `5 %`; two digits below a tenth, three above."""
    return f"{100.0 * share:.2g} %" if share < 0.1 else f"{100.0 * share:.3g} %"


def level(interval: Interval) -> str:
    """The confidence level: `95 %`, that of three candidates `98.33 %`."""
    return f"{round(100.0 * interval.level, 2):g} %"


def times(ratio: float) -> str:
    """`1.20 ×`: 1 is alike."""
    return f"{ratio:.2f} \N{MULTIPLICATION SIGN}"


def milliseconds(value: float) -> str:
    """`120 ms`."""
    return f"{format_value(value, 0)} ms"


def with_interval(estimate: float, interval: Interval, text: Callable[[float], str]) -> str:
    """`1.05 × (95 % CI 1.01 to 1.09)`, written by `text`; the bounds go without their unit."""
    low, high = (text(bound).rpartition(" ")[0] for bound in (interval.low, interval.high))
    return f"{text(estimate)} ({level(interval)} CI {low} to {high})"


def margin_text(margin: float, *, points: bool) -> str:
    """A margin as a person would say it: 0.03 of a rate is `3 points`."""
    if not points:
        return f"{margin:g}"
    told = f"{100.0 * margin:.10g}"
    return f"{told} point{'' if told == '1' else 's'}"


def difference(effect: Effect) -> str:
    """`−1.2 points (95 % CI −3.0 to 0.6; 300 examples)`, as precise as the interval bears."""
    if effect.interval is None or effect.estimate is None:
        return "no pairs"
    scale, unit = (100.0, " points") if effect.points else (1.0, "")
    error = scale * effect.interval.half_width / 2.0
    digits = 1 if error <= 0 else min(6, max(1, -math.floor(math.log10(error))))
    estimate, low, high = (
        format_value(scale * value, digits)
        for value in (effect.estimate, effect.interval.low, effect.interval.high)
    )
    at = level(effect.interval)
    return f"{estimate}{unit} ({at} CI {low} to {high}; {effect.n_pairs:,} examples)"
