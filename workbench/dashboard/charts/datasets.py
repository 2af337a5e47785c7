"""Plots of datasets (pure)."""

from __future__ import annotations

from typing import Final, cast

import altair as alt
import pandas as pd

__all__ = ["label_chart", "length_chart"]

_BLUE: Final = "#0072B2"
_ROW: Final = 26  # pixels


def length_chart(frame: pd.DataFrame) -> alt.Chart:
    """Return how long the inputs are; `frame` is what `length_frame` makes."""
    total = int(frame["examples"].sum())
    plot: alt.Chart = (
        alt.Chart(frame, title=f"Length of inputs (n = {total:,} examples)")
        .mark_rect(color=_BLUE, stroke="white", strokeWidth=0.5, strokeOpacity=0.6)
        .encode(
            x=alt.X(
                "from:Q",
                title="characters (logarithmic axis)",
                scale=alt.Scale(type="log", nice=False),
                axis=alt.Axis(format=",d", labelOverlap=True, tickCount=6, grid=False),
            ),
            x2="end:Q",
            y=alt.Y("examples:Q", title="examples", axis=alt.Axis(tickMinStep=1, format="~s")),
            y2=alt.datum(0),
            tooltip=[
                alt.Tooltip("from:Q", format=",d", title="from (characters)"),
                alt.Tooltip("to:Q", format=",d", title="up to (characters)"),
                alt.Tooltip("examples:Q", format=",d"),
            ],
        )
        .properties(height=240)
    )
    return plot


def label_chart(frame: pd.DataFrame) -> alt.LayerChart:
    """Return how many examples have each expected output; `frame` is what `label_frame` makes."""
    total = int(frame["examples"].sum())
    base = alt.Chart(frame).encode(
        y=alt.Y(
            "expected output:N",
            sort=list(frame["expected output"]),
            title=None,
            axis=alt.Axis(labelLimit=220),
        ),
        x=alt.X(
            "examples:Q", title="examples", axis=alt.Axis(tickMinStep=1, tickCount=6, format=",d")
        ),
        tooltip=[
            "expected output:N",
            alt.Tooltip("examples:Q", format=",d"),
            alt.Tooltip("share:Q", format=".1%"),
        ],
    )
    shares = base.mark_text(align="left", dx=4).encode(
        text=alt.Text("share:Q", format=".1%"), color=alt.value("#888888")
    )
    layers = alt.layer(
        base.mark_bar(color=_BLUE),
        shares,
        title=f"Expected outputs (n = {total:,} examples)",
        height=alt.Step(_ROW),
    )
    return cast("alt.LayerChart", layers)  # facets only if one were asked for
