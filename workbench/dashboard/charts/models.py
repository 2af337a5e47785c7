"""Plots of models (pure)."""

from __future__ import annotations

from typing import Final, cast

import altair as alt
import pandas as pd

from workbench.dashboard.frames.models import PRICE_KINDS, PURPOSES

__all__ = ["price_chart", "usage_chart"]

# Okabe and Ito's colours: they stay apart for all common kinds of colour blindness.
_PRICES: Final = ("#0072B2", "#56B4E9", "#D55E00")
_USES: Final = ("#0072B2", "#E69F00", "#009E73")
_DASHES: Final = ([1, 0], [2, 2], [6, 3])


def price_chart(frame: pd.DataFrame) -> alt.LayerChart:
    """Return prices over time as steps; `frame` is what `price_frame` makes."""
    shown = [kind for kind in PRICE_KINDS if kind in set(frame["price"])]
    places = [PRICE_KINDS.index(kind) for kind in shown]
    base = alt.Chart(frame).encode(
        x=alt.X("from:T", title="time (your zone)", axis=alt.Axis(labelOverlap=True, tickCount=6)),
        y=alt.Y(
            "dollars:Q",
            title="US dollars per million tokens",
            scale=alt.Scale(zero=True),
            axis=alt.Axis(format="$,.6~f", tickCount=5),
        ),
        color=alt.Color(
            "price:N",
            title=None,
            sort=shown,
            scale=alt.Scale(domain=shown, range=[_PRICES[place] for place in places]),
            legend=alt.Legend(orient="top", symbolType="stroke"),
        ),
        tooltip=[
            alt.Tooltip("price:N"),
            alt.Tooltip("dollars:Q", format="$,.10~f", title="per million tokens"),
            alt.Tooltip("from:T", format="%Y-%m-%d %H:%M", title="from"),
            alt.Tooltip("source:N"),
        ],
    )
    lines = base.mark_line(interpolate="step-after", strokeWidth=2.5).encode(
        strokeDash=alt.StrokeDash(
            "price:N",
            sort=shown,
            scale=alt.Scale(domain=shown, range=[_DASHES[place] for place in places]),
            legend=None,
        )
    )
    changes = frame["from"].nunique() - 1
    count = "1 price" if changes == 1 else f"{changes:,} stretches of time"
    title = f"Prices in effect (n = {count})"
    layers = alt.layer(lines, base.mark_circle(size=45), title=title, height=280)
    return cast("alt.LayerChart", layers)  # facets only if one were asked for


def usage_chart(frame: pd.DataFrame) -> alt.Chart:
    """Return generations by day as bars; `frame` is what `usage_days` makes."""
    shown = [purpose for purpose in PURPOSES if purpose in set(frame["purpose"])]
    total = int(frame["generations"].sum())
    days = frame["day"].nunique()
    plot: alt.Chart = (
        alt.Chart(frame, title=f"Generations by day (n = {total:,} in {days:,} days)")
        .mark_bar()
        .encode(
            x=alt.X(
                "yearmonthdate(day):T",
                title="day (UTC)",
                axis=alt.Axis(format="%d %b", labelOverlap=True, tickCount=8),
            ),
            y=alt.Y(
                "generations:Q",
                title="generations",
                axis=alt.Axis(tickMinStep=1, format="~s"),
            ),
            color=alt.Color(
                "purpose:N",
                title=None,
                sort=shown,
                scale=alt.Scale(
                    domain=shown, range=[_USES[PURPOSES.index(purpose)] for purpose in shown]
                ),
                legend=alt.Legend(orient="top"),
            ),
            tooltip=[
                alt.Tooltip("day:T", format="%Y-%m-%d"),
                "purpose:N",
                alt.Tooltip("generations:Q", format=",d"),
            ],
        )
        .properties(height=260)
    )
    return plot
