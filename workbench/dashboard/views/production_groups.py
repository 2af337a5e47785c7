"""Production by alias, prompt version, model version or target, held against each other."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

import streamlit as st

from workbench.client.traffic import Group, Grouping
from workbench.dashboard.charts.production import group_chart
from workbench.dashboard.elements import chart, csv_bytes, zone
from workbench.dashboard.frames.production import group_frame
from workbench.dashboard.session import Session
from workbench.dashboard.views.production_window import Look

__all__ = ["show_groups"]

_BY: Final[tuple[Grouping, ...]] = ("alias", "prompt", "model", "target")
_MOST_PLOTTED: Final = 15
_ERRORS: Final = ("failed", "timeout", "upstream_cut", "abandoned")


def show_groups(session: Session, look: Look, window: tuple[datetime, datetime]) -> None:
    """Draw what is held against each other: two plots, and a table with everything."""
    st.subheader("Side by side", anchor=False)
    by = st.segmented_control(
        "By",
        _BY,
        default="prompt",
        required=True,
        key="by",
        bind="query-params",
    )
    found = session.client.send(look.call(*window, group_by=by or "prompt", step="whole"))
    frame = group_frame(found.groups)
    if frame.empty:
        st.caption("Nothing has ended in the window.")
        return
    plotted = frame.head(_MOST_PLOTTED)
    left, right = st.columns(2, gap="medium")
    with left:
        plot = group_chart(
            plotted, "error rate", title="Error rate", axis="errors of all answers", form=".1%"
        )
        chart(plot, frame, "error-rate-by", alt_text="Dots with intervals: error rate of each.")
    with right:
        plot = group_chart(plotted, "latency p95", title="Latency p95", axis="seconds", form=",.2f")
        chart(plot, frame, "latency-by", alt_text="Dots with intervals: 95th percentile of each.")
    if len(frame) > _MOST_PLOTTED:
        st.caption(f"Plotted are the {_MOST_PLOTTED} with most answers.")
    _table(look, found.groups, frame, window)
    if found.groups_left_out:
        st.caption(
            f"{found.groups_left_out:,} with fewer answers are left out: filter to see them."
        )


def _table(
    look: Look, groups: tuple[Group, ...], frame: Any, window: tuple[datetime, datetime]
) -> None:
    shown = frame.assign(
        all=[_generations(look, group, window) for group in groups],
        bad=[_generations(look, group, window, ending=_ERRORS) for group in groups],
    )
    st.dataframe(
        shown,
        hide_index=True,
        placeholder="–",
        column_order=[
            "name",
            "answers",
            "all",
            "error rate",
            "error rate low",
            "error rate high",
            "bad",
            "latency p50",
            "latency p95",
            "latency p95 low",
            "latency p95 high",
            "latency p99",
            "first token p50",
            "input tokens",
            "output tokens",
            "US dollars",
            "unpriced",
        ],
        column_config={
            "name": st.column_config.TextColumn("Name", pinned=True, width="medium"),
            "answers": st.column_config.NumberColumn("Answers", format="localized"),
            "error rate": st.column_config.NumberColumn("Error rate", format="percent"),
            "error rate low": st.column_config.NumberColumn("from", format="percent"),
            "error rate high": st.column_config.NumberColumn("to", format="percent"),
            **{
                f"latency {name}": st.column_config.NumberColumn(f"{name} (s)", format="%.2f")
                for name in ("p50", "p95", "p99")
            },
            "latency p95 low": st.column_config.NumberColumn("from", format="%.2f"),
            "latency p95 high": st.column_config.NumberColumn("to", format="%.2f"),
            "first token p50": st.column_config.NumberColumn("First token p50 (s)", format="%.2f"),
            "input tokens": st.column_config.NumberColumn("Input tokens", format="localized"),
            "output tokens": st.column_config.NumberColumn("Output tokens", format="localized"),
            "US dollars": st.column_config.NumberColumn("Cost ($)", format="%.4f"),
            "unpriced": st.column_config.NumberColumn("Without a price", format="localized"),
            "all": st.column_config.LinkColumn("Generations", display_text="open"),
            "bad": st.column_config.LinkColumn("Errors", display_text="open"),
        },
    )
    st.download_button(
        "CSV",
        csv_bytes(frame),
        file_name="side-by-side.csv",
        mime="text/csv",
        on_click="ignore",
        key="csv-side-by-side",
        icon=":material/download:",
        type="tertiary",
    )


def _generations(
    look: Look,
    group: Group,
    window: tuple[datetime, datetime],
    *,
    ending: tuple[str, ...] = (),
) -> str:
    """Return the address of the generations that a group counts.

    The list there has no filter for a target's role, so a target's are those of its alias.
    """
    named = {"alias": group.alias, "prompt": group.prompt, "model": group.model}
    chosen = {**look.filters, **{name: text for name, text in named.items() if text}}
    used = zone()
    began, ended = window
    # That page takes whole minutes: the last one is in it to its end.
    ends = (began, ended + timedelta(minutes=1) if ended.second or ended.microsecond else ended)
    since, until = (f"{at.astimezone(used):%Y-%m-%dT%H:%M}" for at in ends)
    times = {"since": since, "until": until, "zone": used.key}
    query = {"purpose": "chat", **chosen, **times, "ending": ending}
    return f"/generations?{urlencode(query, doseq=True)}"
