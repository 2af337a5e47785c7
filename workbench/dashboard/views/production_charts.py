"""Production over time, as plots."""

from __future__ import annotations

import streamlit as st

from workbench.client.traffic import Traffic
from workbench.dashboard.charts.production import (
    TimeAxis,
    cost_chart,
    duration_chart,
    ending_chart,
    error_chart,
    token_chart,
)
from workbench.dashboard.elements import chart, zone
from workbench.dashboard.frames.production import (
    cost_frame,
    deployment_frame,
    duration_frame,
    ending_frame,
    error_frame,
    token_frame,
)

__all__ = ["show_charts"]

_LATENCY = "Latency of completed answers"
_FIRST_TOKEN = "Time to first token"  # noqa: S105 - no secret


def show_charts(found: Traffic) -> None:
    """Draw what there is to plot, two in a row where there is room."""
    moves, time = deployment_frame(found), _axis(found)
    left, right = st.columns(2, gap="medium")
    with left:
        frame = ending_frame(found)
        told = "Bars over time: answers by how they ended."
        chart(ending_chart(frame, moves, time), frame, "answers", alt_text=told)
    with right:
        frame = error_frame(found)
        told = "A line over time with a band: the share of answers that ended in an error."
        chart(error_chart(frame, moves, time), frame, "error-rate", alt_text=told)
    left, right = st.columns(2, gap="medium")
    with left:
        frame = duration_frame(found)
        if frame.empty:
            st.caption("No answer of the window came whole, so there is no latency to show.")
        else:
            plot = duration_chart(frame, moves, time, title=_LATENCY)
            told = "Lines over time with bands: the latency that half, 95 % and 99 % stay below."
            chart(plot, frame, "latency", alt_text=told)
    with right:
        frame = duration_frame(found, first_token=True, named=("p50", "p95"))
        if frame.empty:
            st.caption("No answer of the window was streamed: none has a time to first token.")
        else:
            plot = duration_chart(frame, moves, time, title=_FIRST_TOKEN)
            told = "Lines over time with bands: when the first token came, for half and for 95 %."
            chart(plot, frame, "first-token", alt_text=told)
    left, right = st.columns(2, gap="medium")
    with left:
        frame = token_frame(found)
        if frame.empty:
            st.caption("No tokens are known of the window's answers.")
        else:
            told = "Bars over time: input and output tokens."
            chart(token_chart(frame, moves, time), frame, "tokens", alt_text=told)
    with right:
        _show_cost(found)


def _show_cost(found: Traffic) -> None:
    total, frame = found.groups[0].total, cost_frame(found)
    if frame.empty:
        st.caption("No answer of the window has a known price: its cost is unknown.")
        return
    moves, priced = deployment_frame(found), total.calls - total.unpriced
    told = "Bars over time: US dollars, of the answers with a known price."
    chart(cost_chart(frame, moves, _axis(found), priced), frame, "cost", alt_text=told)
    if total.unpriced:
        st.caption(
            f"{total.unpriced:,} of {total.calls:,} answers have no known price and are left out."
        )


def _axis(found: Traffic) -> TimeAxis:
    return TimeAxis(zone().key, found.since, found.until)
