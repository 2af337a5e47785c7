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

from workbench.reports.visible import visible

__all__ = [
    "FlipRow",
    "ForestRow",
    "TradeoffPoint",
    "axis_ticks",
    "flip_bars",
    "forest_plot",
    "tradeoff_plot",
]

_TEXT_AT = 18  # pixels below the axis, the foot of its numbers
_CAP = 5  # pixels, half the height of the strokes that end an interval
_ROOM = 0.06  # of the width, left free on both sides
_STEPS = 6  # at most, between the ticks of the axis
_LEFT, _RIGHT, _TOP, _BOTTOM = 12.0, 97.0, 5.0, 84.0  # per cent: where a plot's points may lie


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
class FlipRow:
    """How many examples got worse, stayed as they were and got better with one candidate."""

    label: str
    worse: int
    same: int
    better: int


@dataclass(frozen=True, slots=True)
class TradeoffPoint:
    """One run: US dollars for an answer, and its mean score with its interval, in `unit`: per cent,
    or empty for the scorer's own.

    `number` stands beside the point and finds it in the list below the plot.
    """

    number: int
    label: str
    cost: float
    score: float
    low: float
    high: float
    baseline: bool = False
    unit: str = " %"


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to positions in per cent: `low` lies at `start`, `high` at `end`."""

    low: float
    high: float
    start: float = 0.0
    end: float = 100.0

    def at(self, value: float) -> str:
        share = (value - self.low) / (self.high - self.low)
        return f"{self.start + (self.end - self.start) * share:.2f}%"


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


def flip_bars(rows: Sequence[FlipRow]) -> Markup:
    """Return for each candidate a bar to the left for what got worse and one to the right for
    what got better, on one scale. Side and numbers carry the meaning; colour only repeats it."""
    most = max((max(row.worse, row.better) for row in rows), default=0) or 1
    scale = _Scale(-most, most)
    body = Markup("").join(_flip_row(row, scale) for row in rows)
    return Markup(
        '<div class="forest flips">{}<div class="forest-row forest-axis">'
        '<div class="forest-label">examples</div>'
        '<div class="forest-strip"><svg aria-hidden="true">{}{}</svg></div>'
        '<div class="forest-figures"></div></div></div>'
    ).format(body, _text("25%", _TEXT_AT, "← worse"), _text("75%", _TEXT_AT, "better →"))


def _flip_row(row: FlipRow, scale: _Scale) -> Markup:
    figures = f"{row.worse:,} worse, {row.better:,} better, {row.same:,} the same"
    worse = _bar("worse", -row.worse, 0, scale) if row.worse else Markup("")
    better = _bar("better", 0, row.better, scale) if row.better else Markup("")
    return Markup(
        '<div class="forest-row"><div class="forest-label">{label}</div>'
        '<div class="forest-strip"><svg role="img"><title>{label}</title><desc>{figures}</desc>'
        "{bars}{zero}</svg></div>"
        '<div class="forest-figures">{figures}</div></div>'
    ).format(
        label=visible(row.label),
        figures=figures,
        bars=worse + better,
        zero=_line("zero", scale.at(0), 0, scale.at(0), "100%"),
    )


def _bar(kind: str, first: float, last: float, scale: _Scale) -> Markup:
    width = 100 * (last - first) / (scale.high - scale.low)
    return Markup('<rect class="{}" x="{}" y="25%" width="{:.2f}%" height="50%"/>').format(
        kind, scale.at(first), width
    )


def tradeoff_plot(points: Sequence[TradeoffPoint]) -> Markup:
    """Return scores (upwards) over costs (to the right), each with its interval and number.

    The baseline is a square, the others are circles. At least one point; costs from 0 on.
    """
    costs = _Scale(0.0, 1.08 * max(point.cost for point in points) or 1.0, _LEFT, _RIGHT)
    lowest, highest = min(p.low for p in points), max(p.high for p in points)
    room = _ROOM * (highest - lowest) or 1.0
    scores = _Scale(lowest - room, highest + room, _BOTTOM, _TOP)
    told = "; ".join(
        f"{p.number}: {p.label}, {p.score:.{1 if p.unit else 2}f}{p.unit} at ${p.cost:.3g}"
        for p in points
    )
    return Markup(
        '<div class="tradeoff"><svg role="img"><title>Score over cost of an answer</title>'
        "<desc>{told}</desc>{axes}{points}</svg></div>"
    ).format(
        told=visible(told),
        axes=_tradeoff_axes(costs, scores, points[0].unit),
        points=Markup("").join(_tradeoff_point(point, costs, scores) for point in points),
    )


def _tradeoff_axes(costs: _Scale, scores: _Scale, unit: str) -> Markup:
    left, right, floor = f"{_LEFT}%", f"{_RIGHT}%", f"{_BOTTOM}%"
    rungs = Markup("").join(
        _line("rung", left, scores.at(tick), right, scores.at(tick))
        + Markup('<svg x="{}" y="{}">{}</svg>').format(
            left, scores.at(tick), _text(-6, 4, f"{tick:g}", "end")
        )
        for tick in axis_ticks(scores.low, scores.high)
    )
    marks = Markup("").join(
        Markup('<svg x="{}" y="{}">{}{}</svg>').format(
            costs.at(tick), floor, _line("tick", 0, 0, 0, _CAP), _text(0, _TEXT_AT, f"{tick:.3g}")
        )
        for tick in axis_ticks(costs.low, costs.high)[::2]
    )
    title = f"score in{unit}" if unit else "score"
    names = Markup('<svg x="{}" y="100%">{}</svg>').format(
        right, _text(0, -4, "US dollars for an answer", "end")
    ) + Markup('<svg x="0" y="0">{}</svg>').format(_text(0, 11, title, "start"))
    return rungs + _line("axis", left, floor, right, floor) + marks + names


def _tradeoff_point(point: TradeoffPoint, costs: _Scale, scores: _Scale) -> Markup:
    x, y = costs.at(point.cost), scores.at(point.score)
    shape = (
        Markup('<rect class="dot" x="-5" y="-5" width="10" height="10"/>')
        if point.baseline
        else Markup('<circle class="dot" cx="0" cy="0" r="5"/>')
    )
    return Markup('{}<svg x="{}" y="{}">{}{}</svg>').format(
        _line("effect", x, scores.at(point.low), x, scores.at(point.high)),
        x,
        y,
        shape,
        _text(9, -6, str(point.number), "start number"),
    )


def _text(x: str | int, y: int, text: str, anchor: str = "middle") -> Markup:
    return Markup('<text class="{}" x="{}" y="{}">{}</text>').format(anchor, x, y, text)


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
    ).format(visible(group), guides)


def _row(row: ForestRow, scale: _Scale, guides: Markup) -> Markup:
    return Markup(
        '<div class="forest-row"><div class="forest-label">{label}</div>'
        '<div class="forest-strip"><svg role="img" aria-label="{figures}">{guides}{interval}</svg>'
        "</div>"
        '<div class="forest-figures">{figures}</div></div>'
    ).format(
        label=visible(row.label),
        figures=visible(row.figures),
        guides=guides,
        interval=_interval(row, scale),
    )


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
        + _text(scale.at(tick), _TEXT_AT, _signed(tick, digits))
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


def _line(kind: str, x1: str | int, y1: float | str, x2: str | int, y2: float | str) -> Markup:
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(kind, x1, y1, x2, y2)


def _signed(value: float, digits: int) -> str:
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return "0"
    return f"+{text}" if value > 0 else f"\N{MINUS SIGN}{text}"
