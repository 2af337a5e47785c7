"""The plots of Home (pure)."""

from __future__ import annotations

from typing import Final

import altair as alt
import pandas as pd

__all__ = ["spending_chart"]

_BAR: Final = 26  # pixels


def spending_chart(frame: pd.DataFrame, month: str) -> alt.Chart:
    """Return what each model cost in a month as bars, parted by what it was for.

    `frame` is that of `frames.home.spending_frame`; models of unknown cost have no bar.
    """
    known = frame[frame["dollars"].notna()]
    calls = int(frame["calls"].sum())
    models = known["model"].nunique()
    plot: alt.Chart = (
        alt.Chart(
            known,
            title=f"Spend of {month} by model (n = {calls:,} calls)",
            height=max(2, models) * _BAR,
        )
        .mark_bar()
        .encode(
            x=alt.X("sum(dollars):Q", title="US dollars"),
            y=alt.Y("model:N", title=None, sort="-x", axis=alt.Axis(labelLimit=160)),
            color=alt.Color(
                "purpose:N",
                title=None,
                scale=alt.Scale(domain=["experiments", "judges", "chats"]),
                legend=alt.Legend(orient="bottom"),
            ),
            tooltip=[
                alt.Tooltip("model:N"),
                alt.Tooltip("purpose:N"),
                alt.Tooltip("dollars:Q", title="US dollars", format=",.4f"),
                alt.Tooltip("calls:Q", format=","),
            ],
        )
    )
    return plot
