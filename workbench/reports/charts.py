"""Charts as inline SVG: numbers in, markup out, nothing else.

No script, no style attribute, no viewBox: positions are percentages of whatever room there
is, so that a chart is as sharp and as readable on a telephone as on paper. Colours, heights
and line widths come from the page's style sheet, by class. Every text is escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

__all__ = ["ForestRow", "axis_ticks", "forest_plot"]

_TEXT_AT = 18  # pixels below the axis, the foot of its numbers
_CAP = 5  # pixels, half the height of the strokes that end an interval
_ROOM = 0.06  # of the width, left free on both sides
_STEPS = 6  # at most, between the ticks of the axis


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One difference with its interval, `low` <= `estimate` <= `high`, in the chart's unit.

    `label` stands before the interval and `figures` behind it; rows of one `group` share a
    heading, and without an estimate `figures` says why. `tone` is a class of the style sheet.
    """

    label: str
    figures: str
    tone: str
    group: str = ""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to positions in per cent of the width."""

    low: float
    high: float

    def at(self, value: float) -> str:
        return f"{100 * (value - self.low) / (self.high - self.low):.2f}%"


def forest_plot(rows: Sequence[ForestRow], *, unit: str, margin: float | None = None) -> Markup:
    """Return differences one below the other on one axis, with a line at no difference.

    With `margin` (positive, in the chart's unit) a second line marks the loss that was
    agreed to be acceptable.
    """
    scale = _scale(rows, margin)
    guides = _guides(scale, margin)
    body = Markup("")
    for group, members in groupby(rows, key=lambda row: row.group):
        body += _heading(group, guides) if group else Markup("")
        body += Markup("").join(_row(row, scale, guides) for row in members)
    return Markup('<div class="forest">{}{}</div>').format(body, _axis(scale, unit, margin))


def axis_ticks(low: float, high: float) -> list[float]:
    """Return up to seven round numbers from `low` to `high` (`low` < `high`), evenly spaced."""
    rough = (high - low) / _STEPS
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(s * magnitude for s in (1, 2, 5, 10) if s * magnitude >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [n * step for n in range(first, last + 1)]


def _scale(rows: Sequence[ForestRow], margin: float | None) -> _Scale:
    values = [0.0] if margin is None else [0.0, -margin]
    values += [v for row in rows for v in (row.low, row.estimate, row.high) if v is not None]
    low, high = min(values), max(values)
    room = _ROOM * (high - low) or 1.0
    return _Scale(low - room, high + room)


def _heading(group: str, guides: Markup) -> Markup:
    return Markup(
        '<div class="forest-row forest-group"><div class="forest-label">{}</div>'
        '<div class="forest-strip"><svg aria-hidden="true">{}</svg></div></div>'
    ).format(group, guides)


def _row(row: ForestRow, scale: _Scale, guides: Markup) -> Markup:
    return Markup(
        '<div class="forest-row"><div class="forest-label">{label}</div>'
        '<div class="forest-strip"><svg role="img" aria-label="{figures}">{guides}{interval}</svg>'
        "</div>"
        '<div class="forest-figures">{figures}</div></div>'
    ).format(label=row.label, figures=row.figures, guides=guides, interval=_interval(row, scale))


def _interval(row: ForestRow, scale: _Scale) -> Markup:
    """Draw around the middle of the strip, whatever its height."""
    if row.estimate is None or row.low is None or row.high is None:
        return Markup("")
    low, high = scale.at(row.low), scale.at(row.high)
    return Markup(
        '<svg y="50%" class="{tone}">{line}{caps}<circle cx="{x}" cy="0" r="5"/></svg>'
    ).format(
        tone=row.tone,
        line=_line("effect", low, 0, high, 0),
        caps=Markup("").join(_line("effect", x, -_CAP, x, _CAP) for x in (low, high)),
        x=scale.at(row.estimate),
    )


def _guides(scale: _Scale, margin: float | None) -> Markup:
    zero = _line("zero", scale.at(0), 0, scale.at(0), "100%")
    if margin is None:
        return zero
    x = scale.at(-margin)
    return _line("margin", x, 0, x, "100%") + zero


def _axis(scale: _Scale, unit: str, margin: float | None) -> Markup:
    ticks = axis_ticks(scale.low, scale.high)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    marks = Markup("").join(
        _line("tick", scale.at(tick), 0, scale.at(tick), _CAP)
        + Markup('<text x="{}" y="{}">{}</text>').format(
            scale.at(tick), _TEXT_AT, _signed(tick, digits)
        )
        for tick in ticks
    )
    return Markup(
        '<div class="forest-row forest-axis"><div class="forest-label">{unit}</div>'
        '<div class="forest-strip"><svg aria-hidden="true">{base}{marks}</svg></div>'
        '<div class="forest-figures">{legend}</div></div>'
    ).format(
        unit=unit,
        base=_line("axis", "0%", 0, "100%", 0),
        marks=marks,
        legend="" if margin is None else f"dashed: margin of {margin:g}",
    )


def _line(kind: str, x1: str, y1: float, x2: str, y2: float | str) -> Markup:
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(kind, x1, y1, x2, y2)


def _signed(value: float, digits: int) -> str:
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return "0"
    return f"+{text}" if value > 0 else f"\N{MINUS SIGN}{text}"
