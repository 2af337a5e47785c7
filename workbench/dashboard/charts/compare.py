"""The plots of comparisons (pure): differences with their intervals, and scores over their price.

Names stand above their intervals and not beside them, so that a plot is as readable at 390 pixels
as on a wide screen. Colour only repeats what words, symbols and shapes say.
"""

from __future__ import annotations

import textwrap
from typing import Final, Literal

import altair as alt
import pandas as pd

from workbench.dashboard.text import visible

__all__ = ["forest", "slice_forest", "tradeoff"]

Plot = alt.LayerChart | alt.FacetChart

_BLUE, _ORANGE, _VERMILION, _GREY = "#0072B2", "#E69F00", "#D55E00", "#8C8C8C"
_TONES: Final = {
    "superior": _BLUE,
    "non_inferior": _BLUE,
    "worse_within_margin": _ORANGE,
    "inferior": _VERMILION,
    "inconclusive": _GREY,
    "insufficient_data": _GREY,
}
_ROW: Final = 62  # pixels: two lines of words, and the interval below them
_NAME_AT, _FIGURES_AT, _INTERVAL_AT = -22, -6, 14  # pixels from the middle of a row
_GUIDE: Final = 26  # pixels, of the lines and bands across an interval
_AXIS, _TITLE_LINE = 105, 20  # pixels: Streamlit counts both to a plot's height
_LINE: Final = 44  # characters of a title's line at 390 pixels
_LONGEST_NAME: Final = 330  # pixels


def forest(
    frame: pd.DataFrame, *, title: str, axis: str, ink: str, margin: float | None = None
) -> Plot:
    """Return the differences of `frames.compare.forest_frame` below each other on one axis.

    A line marks no difference. With `margin`, positive and in the axis's unit, a band marks the
    differences that are smaller than it. The row of the comparison on the page is bold. `ink` is
    the colour of words, which no theme gives to the marks of a plot.
    """
    return _forest(frame, title=title, axis=axis, ink=ink, margin=margin)


def slice_forest(frame: pd.DataFrame, *, title: str, axis: str, ink: str) -> Plot:
    """Return the differences of `frames.compare.slices_frame` in the same way, in one colour."""
    drawn = frame.assign(verdict="slice", shown=False)
    return _forest(drawn, title=title, axis=axis, ink=ink, margin=None)


def _forest(frame: pd.DataFrame, *, title: str, axis: str, ink: str, margin: float | None) -> Plot:
    drawn = frame.assign(name=frame["name"].map(visible), figures=frame["figures"].map(visible))
    base = alt.Chart(drawn).encode(y=alt.Y("name:N", axis=None, sort=None))
    tone = alt.Color(
        "verdict:N",
        scale=alt.Scale(domain=[*_TONES, "slice"], range=[*_TONES.values(), _BLUE]),
        legend=None,
    )
    difference = alt.X("low:Q", title=axis, scale=alt.Scale(zero=True, nice=True))
    hints = [
        alt.Tooltip("name:N", title="run"),
        alt.Tooltip("figures:N", title="difference"),
    ]
    interval = base.mark_rule(strokeWidth=2.5, yOffset=_INTERVAL_AT).encode(
        x=difference, x2="high:Q", color=tone, tooltip=hints
    )
    ends = [
        base.mark_tick(thickness=2.5, size=12, yOffset=_INTERVAL_AT).encode(
            x=f"{end}:Q", color=tone
        )
        for end in ("low", "high")
    ]
    point = base.mark_point(filled=True, size=90, opacity=1, yOffset=_INTERVAL_AT).encode(
        x="estimate:Q", color=tone, tooltip=hints
    )
    layers = [_guide(base, 0.0), interval, *ends, point, *_words(base, ink)]
    if margin is not None:
        layers = [_band(base, margin), _guide(base, -margin), *layers]
    told = _title(title)
    height = _ROW * len(drawn) + _AXIS + _TITLE_LINE * len(told.text)
    return alt.layer(*layers).properties(title=told, height=height)


def _words(base: alt.Chart, ink: str) -> list[alt.Chart]:
    """The two lines of words of each row, from the left edge on."""

    def line(dy: int, size: int, weight: Literal["normal", "bold"] = "normal") -> alt.Chart:
        drawn: alt.Chart = base.mark_text(
            align="left", limit=_LONGEST_NAME, color=ink, dy=dy, fontSize=size, fontWeight=weight
        )
        return drawn

    name, other = line(_NAME_AT, 13, "bold"), line(_NAME_AT, 13)
    figures = line(_FIGURES_AT, 12)
    at_left = alt.value(0)
    return [
        name.encode(x=at_left, text="name:N").transform_filter("datum.shown"),
        other.encode(x=at_left, text="name:N").transform_filter("!datum.shown"),
        figures.encode(x=at_left, text="figures:N"),
    ]


def _guide(base: alt.Chart, value: float) -> alt.Chart:
    """A line across the intervals alone, so that it goes through no words."""
    line = base.mark_tick(color=_GREY, thickness=1.5, size=_GUIDE, yOffset=_INTERVAL_AT)
    drawn: alt.Chart = line.encode(x=alt.XDatum(value))
    return drawn


def _band(base: alt.Chart, margin: float) -> alt.Chart:
    band = base.mark_bar(color=_GREY, opacity=0.18, size=_GUIDE, yOffset=_INTERVAL_AT)
    drawn: alt.Chart = band.encode(x=alt.XDatum(-margin), x2=alt.X2Datum(margin))
    return drawn


def tradeoff(
    frame: pd.DataFrame, measure: str, *, title: str, axis: str, score: str, ink: str
) -> Plot:
    """Return mean scores over `measure`, `cost` or `p95`, of the runs of which both are known.

    A number stands beside each point, with which the table below finds it. A square is a
    baseline, colour tells the Pareto set; intervals of the scores are drawn where they are stored.
    """
    known = frame[frame[measure].notna() & frame["score"].notna()]
    drawn = known.assign(
        run=known["run"].map(visible),
        standing=known["best"].map({True: "best trade-off", False: "another is better in all"}),
    )
    base = alt.Chart(drawn).encode(
        x=alt.X(f"{measure}:Q", title=axis, scale=alt.Scale(zero=True, nice=True))
    )
    y_scale = alt.Scale(zero=False, nice=True)
    interval = base.mark_rule(color=_GREY).encode(
        y=alt.Y("low:Q", title=score, scale=y_scale), y2="high:Q"
    )
    point = base.mark_point(size=130, opacity=1, filled=True).encode(
        y=alt.Y("score:Q", scale=y_scale),
        shape=alt.Shape(
            "role:N",
            title=None,
            scale=alt.Scale(domain=["baseline", "candidate"], range=["square", "circle"]),
            legend=None,
        ),
        color=alt.Color(
            "standing:N",
            title=None,
            scale=alt.Scale(
                domain=["best trade-off", "another is better in all"], range=[_BLUE, _ORANGE]
            ),
            legend=alt.Legend(orient="bottom", columns=1),
        ),
        tooltip=[
            alt.Tooltip("run:N"),
            alt.Tooltip("score:Q", title=score, format=".3~f"),
            alt.Tooltip(f"{measure}:Q", title=axis, format=".4~g"),
            alt.Tooltip("standing:N"),
        ],
    )
    number = base.mark_text(dx=13, dy=-9, fontSize=13, color=ink).encode(
        y="score:Q", text="number:N"
    )
    return alt.layer(interval, point, number).properties(title=_title(title), height=400)


def _title(text: str) -> alt.TitleParams:
    return alt.TitleParams(
        textwrap.wrap(visible(text), _LINE, break_on_hyphens=False), anchor="start"
    )
