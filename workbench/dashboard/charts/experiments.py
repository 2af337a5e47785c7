"""Plots of experiments (pure)."""

from __future__ import annotations

from typing import Final

import altair as alt
import pandas as pd

from workbench.dashboard.frames.experiments import STATUS_ORDER

__all__ = ["cells_chart"]

_ROW: Final = 28  # pixels
# Okabe and Ito's colours, by what a status means: told apart in every common colour blindness.
_COLOURS: Final = {
    "completed": "#0072B2",
    "refused": "#56B4E9",
    "failed": "#D55E00",
    "incomplete": "#E69F00",
    "cancelled": "#CC79A7",
    "abandoned": "#F0E442",
    "open": "#999999",
}


def cells_chart(frame: pd.DataFrame, wanted: int) -> alt.Chart:
    """Return how the cells of each run stand, as bars; `frame` is what `cell_frame` makes."""
    shown = [status for status in STATUS_ORDER if status in set(frame["status"])]
    runs = list(dict.fromkeys(frame["run"]))
    plot: alt.Chart = (
        alt.Chart(frame, title=f"Cells by how they stand (n = {wanted:,} cells)")
        .mark_bar(height={"band": 0.7})
        .encode(
            x=alt.X("cells:Q", title="cells", axis=alt.Axis(tickMinStep=1, format=",d")),
            y=alt.Y("run:N", title=None, sort=runs, axis=alt.Axis(labelLimit=260)),
            color=alt.Color(
                "status:N",
                title=None,
                sort=shown,
                scale=alt.Scale(domain=shown, range=[_COLOURS[status] for status in shown]),
                legend=alt.Legend(orient="top"),
            ),
            order=alt.Order("rank:Q"),
            tooltip=["run", "status", alt.Tooltip("cells:Q", format=",d")],
        )
        .properties(height=alt.Step(_ROW))
    )
    return plot
