"""The page of production: what was answered, how fast, how well, at what cost, and since when.

The window, the filters and what is compared stand in the address. Windows that end now move on
with every look; all times that are read are those of one look.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import streamlit as st

from workbench.client import ClientError
from workbench.client.traffic import Group, Traffic
from workbench.dashboard.elements import empty_state, shown_time
from workbench.dashboard.frames.production import Figure, figures
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped
from workbench.dashboard.views.production_charts import show_charts
from workbench.dashboard.views.production_groups import show_groups
from workbench.dashboard.views.production_moves import show_moves, show_scores
from workbench.dashboard.views.production_window import Look, choose_filters, choose_window

__all__ = ["show"]

_REFRESH: Final[Mapping[str, float | None]] = {"off": None, "10 s": 10.0, "60 s": 60.0}


def show(session: Session) -> None:
    """Draw the page."""
    if not session.may("chat:read"):
        st.info(
            "Production is shown to those who may read its facts, `chat:read`: reviewers, "
            "operators and auditors. An admin can grant you such a role.",
            icon=":material/lock:",
        )
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        window = choose_window()
        refresh = st.selectbox(
            "Refresh", list(_REFRESH), key="refresh", bind="query-params", width=110
        )
    filters = choose_filters()
    if window is None:
        st.info("Choose when the window begins and ends.", icon=":material/calendar_month:")
        return
    every = _REFRESH[refresh] if window.moves else None
    if every is None:
        _draw(session, Look(window, **filters))
    else:
        st.fragment(_draw_again, run_every=every)(session, Look(window, **filters))


def _draw_again(session: Session, look: Look) -> None:
    """Draw what is drawn anew by itself; nothing outside sees an error of such a part."""
    try:
        _draw(session, look)
    except ClientError as error:
        st.warning(f"{escaped(str(error))} It is tried again.", icon=":material/error:")


def _draw(session: Session, look: Look) -> None:
    """Draw all figures of one look."""
    since, until = look.window.bounds()
    found = session.client.send(look.call(since, until))
    everything = found.groups[0]
    if not everything.total.calls:
        _say_nothing(session, look, found)
        show_moves(session, found)
        return
    before = session.client.send(look.call(since - (until - since), since, step="whole"))
    _figures(everything, before.groups[0])
    _notes(found, everything)
    show_charts(found)
    show_groups(session, look, (since, until))
    show_scores(found)
    show_moves(session, found)


def _figures(now: Group, before: Group) -> None:
    with st.container(horizontal=True, key="production-figures"):
        for figure in figures(now.total, before.total):
            _metric(figure)


def _metric(figure: Figure) -> None:
    with st.container(width=165):
        st.metric(
            figure.label,
            escaped(figure.value) if "$" in figure.value else figure.value,
            figure.change,
            delta_color="off" if figure.is_worse is None else "inverse",
            help=escaped(figure.help),
        )


def _notes(found: Traffic, everything: Group) -> None:
    parts = [
        f"{shown_time(found.since)} to {shown_time(found.until)}",
        "changes are against the same length of time before; in colour if beyond both intervals",
    ]
    latency = everything.total.latency
    if latency is not None and not latency.is_exact:
        parts.append("percentiles within 2 %")
    if found.under_way:
        parts.append(f"{found.under_way:,} under way and not counted")
    st.caption(escaped(" · ".join(parts)))


def _say_nothing(session: Session, look: Look, found: Traffic) -> None:
    told = f"Nothing was answered from {shown_time(found.since)} to {shown_time(found.until)}"
    if found.under_way:
        st.info(escaped(f"{told} yet; {found.under_way:,} answers are under way."))
        return
    if look.filters:
        empty_state(
            f"{escaped(told)} that these filters let through.",
            "Choose a longer window, or take a filter away.",
        )
        return
    may_move = session.may("alias:move")
    first = (
        "1. Let an alias mean a variant: "
        '`workbench aliases set support-bot@production VARIANT --reason "first deployment"`'
        if may_move
        else "1. Ask an operator to let an alias mean a variant, as `support-bot@production`."
    )
    empty_state(
        f"{escaped(told)}.",
        "Choose a longer window, or bring something into production:\n\n"
        f"{first}\n"
        "2. Chat through it, with any OpenAI client: base address `/v1`, model "
        "`support-bot@production`.\n\n"
        "Answers through an alias are counted here as they end.",
    )
