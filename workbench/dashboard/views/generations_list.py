"""The list of generations, filtered, newest first, page by page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import streamlit as st

from workbench.client import generations
from workbench.client.calls import Parameter
from workbench.client.generations import Generation, GenerationPage
from workbench.dashboard.elements import csv_bytes, empty_state, link, shown_time
from workbench.dashboard.frames.generations import (
    count_text,
    generation_frame,
    heading,
    moment_text,
    outcome_word,
    purpose_word,
    tokens_text,
)
from workbench.dashboard.session import Session
from workbench.dashboard.text import dollars, escaped, shortened
from workbench.dashboard.views.generations_filters import active_filters, filters

__all__ = ["ending_badge", "mark_badge", "show_list"]

_PAGE: Final = 25
_MOST_EXPORTED: Final = 10_000
_EXPORT_PAGE: Final = 500
_GOOD: Final = frozenset({"completed"})
_BAD: Final = frozenset({"failed", "upstream_cut", "timeout", "abandoned", "incomplete"})


def show_list(session: Session) -> None:
    """Draw the filters and one page of generations."""
    asked = filters(session)
    after = st.query_params.get("after")
    with st.spinner("Looking…", show_time=False):
        page = session.client.send(generations.page(asked, cursor=after, limit=_PAGE))
    _told(page, is_first=after is None)
    if not page.items:
        _nothing(session, page)
    for found in page.items:
        _card(session, found)
    _foot(session, page, asked)


def _told(page: GenerationPage, *, is_first: bool) -> None:
    """Say how many there are, and how far was searched."""
    if page.left_out:
        st.info(
            "Answers in production whose texts you may not read were left out. Reading them takes "
            "the permission `production_content:read`, which the role `auditor` has: an admin can "
            "grant it.",
            icon=":material/visibility_off:",
        )
    if page.searched is not None:
        bound = "; there are more behind them" if page.is_bounded else ""
        st.caption(f"{len(page.items):,} found in {page.searched:,} generations searched{bound}.")
    elif page.items:
        start = "" if is_first else ", a later page"
        plural = "generation" if page.total_estimate == 1 else "generations"
        st.caption(f"{count_text(page.total_estimate)} {plural}, newest first{start}.")


def _nothing(session: Session, page: GenerationPage) -> None:
    if page.next_cursor is not None:
        empty_state("Nothing found here", "Press **Search older** to look among the next ones.")
        return
    if active_filters() or st.query_params.get("after"):
        empty_state(
            "No generation fits the filters",
            "Take a filter away to see more. Keys, ids and names are looked for whole.",
        )
        return
    empty_state(
        "No generation yet",
        "Every answer of a model is kept here: those of experiments, of judges and of production. "
        "Start an experiment, or chat through an alias.",
    )
    if session.may("experiment:read"):
        link(session, "experiments", "Go to experiments", icon=":material/science:")


def _card(session: Session, found: Generation) -> None:
    with st.container(border=True, gap="xsmall", key=f"generation-{found.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            link(session, "generations", shortened(heading(found), 90), id=str(found.id))
            ending_badge(found.status, found.ending)
            mark_badge(found.review)
        what = [
            purpose_word(found.purpose, found.alias),
            found.prompt or "no prompt of ours",
            found.model or "model unknown",
            shown_time(found.started_at),
        ]
        st.caption(" · ".join(escaped(it) for it in what))
        took = [
            f"{tokens_text(found.input_tokens)} tokens in, {tokens_text(found.output_tokens)} out",
            f"cost {dollars(found.cost)}",
            f"latency {moment_text(found.latency_ms)}",
        ]
        if found.error_code:
            took.append(f"error {found.error_code}")
        elif found.finish_reason and found.finish_reason != "stop":
            took.append(f"stopped because {found.finish_reason}")
        st.caption(" · ".join(escaped(it) for it in took))


def ending_badge(status: str, ending: str | None) -> None:
    """Show how a generation ended, in a word with a symbol."""
    ended = ending or status
    if ended in _GOOD:
        st.badge(outcome_word(status, ending), icon=":material/check_circle:", color="green")
    elif ended in _BAD:
        st.badge(outcome_word(status, ending), icon=":material/error:", color="red")
    else:
        st.badge(outcome_word(status, ending), icon=":material/info:", color="orange")


def mark_badge(mark: str | None) -> None:
    """Show what a generation was last marked as; nothing if it never was."""
    if mark == "flagged":
        st.badge("flagged", icon=":material/flag:", color="red")
    elif mark == "ok":
        st.badge("ok", icon=":material/thumb_up:", color="green")


def _foot(session: Session, page: GenerationPage, asked: Mapping[str, Parameter]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if "after" in st.query_params and st.button("Newest", icon=":material/first_page:"):
            st.query_params.pop("after")
            st.rerun()
        label = "Search older" if page.searched is not None else "Older"
        if page.next_cursor is not None and st.button(label, icon=":material/chevron_right:"):
            st.query_params["after"] = page.next_cursor
            st.rerun()
    if page.items:
        _export(session, asked)


@st.fragment
def _export(session: Session, asked: Mapping[str, Parameter]) -> None:
    """Offer the filtered list as CSV; it is read when asked for, up to a bound."""
    with st.container(horizontal=True, vertical_alignment="center"):
        wanted = st.button("Make a CSV of this list", icon=":material/table_view:", type="tertiary")
        st.caption(f"Facts without texts, the newest {_MOST_EXPORTED:,} at most.")
    if not wanted:
        return
    rows, is_whole = _all_rows(session, asked)
    bound = "" if is_whole else " There are more: narrow the filters to have them."
    st.caption(f"{len(rows):,} generations.{bound}")
    st.download_button(
        "Download generations.csv",
        csv_bytes(generation_frame(rows)),
        file_name="generations.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
    )


def _all_rows(session: Session, asked: Mapping[str, Parameter]) -> tuple[list[Generation], bool]:
    """Return the rows of a list up to the bound, and whether these are all."""
    rows: list[Generation] = []
    cursor: str | None = None
    with st.status("Reading the list…") as status:
        while len(rows) < _MOST_EXPORTED:
            page = session.client.send(generations.page(asked, cursor=cursor, limit=_EXPORT_PAGE))
            rows += page.items
            cursor = page.next_cursor
            status.update(label=f"{len(rows):,} read…")
            if cursor is None:
                break
        status.update(label=f"{len(rows):,} read.", state="complete")
    return rows[:_MOST_EXPORTED], cursor is None
