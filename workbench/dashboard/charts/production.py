"""Plots of production (pure): time runs to the right, moves of aliases are dashed rules across.

Colours are Okabe and Ito's; a hue means the same in every plot of the page.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple

import altair as alt
import pandas as pd

from workbench.dashboard.frames.production import ENDINGS

__all__ = [
    "TimeAxis",
    "cost_chart",
    "duration_chart",
    "ending_chart",
    "error_chart",
    "group_chart",
    "token_chart",
]

_HEIGHT: Final = 300  # pixels, with axes and legend
_ROW: Final = 26  # pixels
_MOST_LABELS: Final = 12
"""Labels of moves in a plot; with more of them nothing else could be seen."""

_ENDING_COLOURS: Final = {
    "completed": "#0072B2",
    "caller left": "#999999",
    "refused": "#56B4E9",
    "cut upstream": "#F0E442",
    "timed out": "#E69F00",
    "failed": "#D55E00",
    "abandoned": "#CC79A7",
}
_PERCENTILE_COLOURS: Final = {"p50": "#0072B2", "p95": "#E69F00", "p99": "#D55E00"}
_TOKEN_COLOURS: Final = {"input": "#56B4E9", "output": "#0072B2"}
_MARK: Final = "#888888"
_CLOCK_OR_DAY: Final = (
    "timeFormat(datum.value, hours(datum.value) + minutes(datum.value) == 0 ? '%d %b' : '%H:%M')"
)
_LONE_INTERVAL: Final[dict[str, Any]] = {"strokeWidth": 2, "opacity": 0.25}
"""A band has no width at a step that stands alone: its interval is a rule."""

_ERROR: Final = "#D55E00"
_COST: Final = "#009E73"


class TimeAxis(NamedTuple):
    """What the time axis of every plot spans, and the zone that its labels are in."""

    zone: str
    since: datetime
    until: datetime


def ending_chart(frame: pd.DataFrame, moves: pd.DataFrame, time: TimeAxis) -> alt.LayerChart:
    """Return the answers by how they ended, as bars over time."""
    n = int(frame["answers"].sum())
    shown = [told for told in ENDINGS.values() if told in set(frame["ending"])]
    bars = _bars(frame, time).encode(
        y=alt.Y(
            "answers:Q", title="answers", stack="zero", axis=alt.Axis(format=",d", tickMinStep=1)
        ),
        color=_colours("ending", shown, _ENDING_COLOURS),
        order=alt.Order("rank:Q"),
        tooltip=[*_span(), "ending:N", alt.Tooltip("answers:Q", format=",d")],
    )
    return _marked("Answers by how they ended", f"n = {n:,}", bars, moves, time)


def error_chart(frame: pd.DataFrame, moves: pd.DataFrame, time: TimeAxis) -> alt.LayerChart:
    """Return the error rate over time, with its 95 % interval as a band."""
    base = alt.Chart(frame).encode(x=_time("at", time))
    band = base.mark_area(opacity=0.25, color=_ERROR).encode(
        y=alt.Y("low:Q", title="errors of all answers", axis=alt.Axis(format="%", tickCount=5)),
        y2="high:Q",
    )
    bar = base.mark_rule(**_LONE_INTERVAL, color=_ERROR).encode(y="low:Q", y2="high:Q")
    line = base.mark_line(color=_ERROR, point={"size": 18, "color": _ERROR}).encode(
        y="rate:Q",
        tooltip=[
            _moment("at"),
            alt.Tooltip("rate:Q", title="error rate", format=".2%"),
            alt.Tooltip("low:Q", title="from", format=".2%"),
            alt.Tooltip("high:Q", title="to", format=".2%"),
            alt.Tooltip("errors:Q", format=",d"),
            alt.Tooltip("answers:Q", format=",d"),
        ],
    )
    n = int(frame["answers"].sum())
    told = f"with 95 % interval, n = {n:,}"
    return _marked("Error rate", told, _layers(band, bar, line), moves, time, named=True)


def duration_chart(
    frame: pd.DataFrame, moves: pd.DataFrame, time: TimeAxis, *, title: str
) -> alt.LayerChart:
    """Return percentiles of a duration over time, with their 95 % intervals as bands."""
    shown = [name for name in _PERCENTILE_COLOURS if name in set(frame["percentile"])]
    base = alt.Chart(frame).encode(
        x=_time("at", time), color=_colours("percentile", shown, _PERCENTILE_COLOURS)
    )
    # A step without an interval keeps its row, so that the band has a gap there.
    band = (
        alt.Chart(frame)
        .mark_area(opacity=0.2)
        .encode(
            x=_time("at", time),
            y=alt.Y("low:Q", title="seconds", axis=alt.Axis(tickCount=5)),
            y2="high:Q",
            color=_colours("percentile", shown, _PERCENTILE_COLOURS),
        )
    )
    bar = base.mark_rule(**_LONE_INTERVAL).encode(y="low:Q", y2="high:Q")
    line = base.mark_line(point={"size": 18}).encode(
        y=alt.Y("seconds:Q", title="seconds"),
        tooltip=[
            _moment("at"),
            "percentile:N",
            alt.Tooltip("seconds:Q", format=",.3f"),
            alt.Tooltip("low:Q", title="from", format=",.3f"),
            alt.Tooltip("high:Q", title="to", format=",.3f"),
            alt.Tooltip("answers:Q", format=",d"),
        ],
    )
    n = int(frame[frame["percentile"] == shown[0]]["answers"].sum()) if shown else 0
    told = f"with 95 % intervals where there are enough answers, n = {n:,}"
    return _marked(title, told, _layers(band, bar, line), moves, time, named=True)


def token_chart(frame: pd.DataFrame, moves: pd.DataFrame, time: TimeAxis) -> alt.LayerChart:
    """Return input and output tokens, as bars over time."""
    n = int(frame["tokens"].sum())
    shown = [kind for kind in _TOKEN_COLOURS if kind in set(frame["kind"])]
    bars = _bars(frame, time).encode(
        y=alt.Y("tokens:Q", title="tokens", stack="zero", axis=alt.Axis(format="~s", tickCount=5)),
        color=_colours("kind", shown, _TOKEN_COLOURS),
        tooltip=[*_span(), "kind:N", alt.Tooltip("tokens:Q", format=",d")],
    )
    return _marked("Tokens", f"n = {n:,} tokens", bars, moves, time)


def cost_chart(frame: pd.DataFrame, moves: pd.DataFrame, time: TimeAxis, n: int) -> alt.LayerChart:
    """Return the cost as bars over time; `n` answers have a known one."""
    bars = _bars(frame, time, color=_COST).encode(
        y=alt.Y("dollars:Q", title="US dollars", axis=alt.Axis(format="$,.6~f", tickCount=5)),
        tooltip=[
            *_span(),
            alt.Tooltip("dollars:Q", title="US dollars", format="$,.4f"),
            alt.Tooltip("unpriced:Q", title="without a price", format=",d"),
        ],
    )
    return _marked("Cost", f"n = {n:,} answers with a price", bars, moves, time)


def group_chart(
    frame: pd.DataFrame, column: str, *, title: str, axis: str, form: str
) -> alt.LayerChart:
    """Return one figure of each group as a dot with its 95 % interval; `form` is d3's."""
    known = frame[frame[column].notna()]
    labels = alt.Axis(labelLimit=210, labelOverlap=False)
    y = alt.Y("name:N", title=None, sort=list(known["name"]), axis=labels)
    base = alt.Chart(known).encode(y=y)
    rule = base.mark_rule(strokeWidth=2.5, color="#0072B2", opacity=0.6).encode(
        x=alt.X(f"{column} low:Q", title=axis, axis=alt.Axis(format=form, tickCount=5)),
        x2=f"{column} high:Q",
    )
    dot = base.mark_point(filled=True, size=70, color="#0072B2", opacity=1).encode(
        x=f"{column}:Q",
        tooltip=[
            "name:N",
            alt.Tooltip(f"{column}:Q", title=axis, format=form),
            alt.Tooltip(f"{column} low:Q", title="from", format=form),
            alt.Tooltip(f"{column} high:Q", title="to", format=form),
            alt.Tooltip("answers:Q", format=",d"),
        ],
    )
    n = int(known["answers"].sum())
    plot: alt.LayerChart = _layers(rule, dot).properties(
        title=alt.Title(title, subtitle=f"with 95 % interval, n = {n:,}"),
        height=alt.Step(_ROW),
    )
    return plot


def _layers(*plots: alt.Chart | alt.LayerChart) -> alt.LayerChart:
    return alt.LayerChart(layer=list(plots))


def _time(column: str, time: TimeAxis) -> alt.X:
    axis = alt.Axis(labelOverlap=True, tickCount=7, labelExpr=_CLOCK_OR_DAY)
    return alt.X(f"{column}:T", title=f"time ({time.zone})", axis=axis)


def _moment(column: str) -> alt.Tooltip:
    return alt.Tooltip(f"{column}:T", format="%Y-%m-%d %H:%M")


def _span() -> list[alt.Tooltip]:
    return [_moment("from"), _moment("to")]


def _bars(frame: pd.DataFrame, time: TimeAxis, **mark: Any) -> alt.Chart:
    plot: alt.Chart = (
        alt.Chart(frame)
        .mark_bar(orient="vertical", **mark)
        .encode(x=_time("from", time), x2="to:T")
    )
    return plot


def _colours(field: str, shown: list[str], colours: dict[str, str]) -> alt.Color:
    scale = alt.Scale(domain=shown, range=[colours[it] for it in shown])
    legend = alt.Legend(orient="bottom", columns=3, symbolOpacity=1)
    return alt.Color(f"{field}:N", title=None, sort=shown, scale=scale, legend=legend)


def _marked(
    title: str,
    told: str,
    plot: alt.Chart | alt.LayerChart,
    moves: pd.DataFrame,
    time: TimeAxis,
    *,
    named: bool = False,
) -> alt.LayerChart:
    """Return a plot with the moves of aliases marked in it; bars would cover their names.

    The window's ends are points that nobody sees: domains of several layers do not add up.
    """
    window = pd.DataFrame({"at": [time.since, time.until]})
    ends = alt.Chart(window).mark_point(opacity=0, tooltip=None).encode(x=_time("at", time))
    layers = [plot, ends]
    if len(moves):
        base = alt.Chart(moves).encode(x="at:T")
        details = [
            _moment("at"),
            *(f"{name}:N" for name in ("alias", "number", "kind", "prompt", "model", "reason")),
        ]
        labelled = int((moves["label"] != "").sum())
        opacity = 0.9 if labelled <= _MOST_LABELS else 0.3
        rules = base.mark_rule(strokeDash=[4, 3], strokeWidth=1.5, color=_MARK, opacity=opacity)
        layers.append(rules.encode(tooltip=details))
        if named and labelled <= _MOST_LABELS:
            names = base.mark_text(
                angle=270,
                align="right",
                baseline="bottom",
                dy=-3,
                fontSize=10,
                color=_MARK,
                clip=True,
            )
            layers.append(names.encode(y=alt.value(4), text="label:N"))
    marked: alt.LayerChart = _layers(*layers).properties(
        title=alt.Title(title, subtitle=told), height=_HEIGHT
    )
    return marked
