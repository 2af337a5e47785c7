"""The list of experiments, filtered, page by page."""

from __future__ import annotations

from typing import Final

import streamlit as st

from workbench.client import Listing, Page, datasets, experiments
from workbench.client.experiments import CandidateVerdict, ExperimentSummary
from workbench.dashboard.elements import csv_bytes, empty_state, link, marks_badges, shown_time
from workbench.dashboard.frames.experiments import (
    list_frame,
    run_title,
    standing_word,
    variants_text,
)
from workbench.dashboard.session import Session
from workbench.dashboard.text import dollars, escaped, shortened
from workbench.dashboard.verdicts import chip

__all__ = ["show_list", "status_badge"]

_PAGE: Final = 12
"""Experiments on a page: their cells are counted anew each time, so that a page stays quick."""
_VERDICTS_SHOWN: Final = 6
_FILTERS: Final = ("search", "status", "dataset", "by")
_STATUSES: Final = ("open", "completed", "cancelled")
_BADGES: Final = {
    "running": (":material/progress_activity:", "blue"),
    "waiting": (":material/hourglass_empty:", "blue"),
    "stopped": (":material/pause_circle:", "orange"),
    "completed": (":material/check_circle:", "green"),
    "cancelled": (":material/cancel:", "gray"),
}


def show_list(session: Session) -> None:
    """Draw the filters and one page of experiments."""
    if session.may("experiment:run"):
        link(session, "experiments", "New experiment", icon=":material/add:", new="1")
    listing = _filters(session)
    page = session.client.page(listing, st.query_params.get("after"), _PAGE)
    if not page.items:
        _nothing(session)
        return
    for found in page.items:
        _card(session, found)
    _foot(page)


def _filters(session: Session) -> Listing[ExperimentSummary]:
    """Draw the filters, which stand in the address, and return the list that they leave."""
    with st.container(horizontal=True, key="experiment-filters"):
        search = st.text_input(
            "Search",
            key="search",
            bind="query-params",
            placeholder="name or number",
            on_change=_from_the_start,
            width=200,
        )
        status = st.selectbox(
            "Status",
            _STATUSES,
            index=None,
            key="status",
            bind="query-params",
            placeholder="any",
            on_change=_from_the_start,
            width=140,
        )
        dataset = st.selectbox(
            "Dataset",
            _dataset_names(session),
            index=None,
            key="dataset",
            bind="query-params",
            placeholder="any",
            on_change=_from_the_start,
            width=200,
        )
        by = st.text_input(
            "Asked by",
            key="by",
            bind="query-params",
            placeholder="part of a name",
            on_change=_from_the_start,
            width=160,
        )
    return experiments.overview(search or "", status=status, dataset=dataset, by=by or "")


def _from_the_start() -> None:
    """Another filter is another list: its first page is shown."""
    st.query_params.pop("after", None)


def _dataset_names(session: Session) -> list[str]:
    if not session.may("dataset:read"):
        return []
    return [found.name for found in session.client.page(datasets.listing()).items]


def _nothing(session: Session) -> None:
    if any(st.query_params.get(name) for name in (*_FILTERS, "after")):
        empty_state("No experiment fits the filter", "Take a filter away to see more.")
        return
    if not session.may("experiment:run"):
        empty_state(
            "No experiment yet",
            "Experiments that others start appear here. To start some yourself, ask an admin for "
            "the role `researcher`.",
        )
        return
    empty_state(
        "No experiment yet",
        "An experiment asks every example of a dataset of every prompt version on every model, "
        "and says which is better.\n\n"
        "1. Bring a dataset: upload a file on the page Datasets.\n"
        "2. Bring at least two prompt versions: register them on the page Prompts.\n"
        "3. Press **New experiment**, look at the estimate, and start it.\n\n"
        "At a command line: `workbench run --data tickets.csv --prompt a.yaml --prompt b.yaml "
        "--model simulated/small`.",
    )
    link(session, "datasets", "Bring a dataset", icon=":material/dataset:")
    link(session, "prompts", "Bring prompts", icon=":material/edit_note:")


def _card(session: Session, found: ExperimentSummary) -> None:
    with st.container(border=True, gap="xsmall", key=f"experiment-{found.number}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            title = f"Experiment {found.number}"
            if found.name:
                title = f"{title}: {shortened(found.name, 80)}"
            link(session, "experiments", title, number=str(found.number))
            status_badge(standing_word(found.status, found.work))
            if found.simulated:
                marks_badges(["simulated"])
        asked = variants_text(found.prompts, found.models)
        st.caption(
            f"{escaped(found.dataset)} · {escaped(asked)} · {escaped(found.created_by)} · "
            f"{escaped(shown_time(found.created_at))}"
        )
        failed = f" · {found.failed:,} failed" if found.failed else ""
        unpriced = f" · {found.unpriced:,} without a price" if found.unpriced else ""
        st.caption(
            f"{found.done:,} of {found.wanted:,} cells{failed} · {escaped(_cost(found))}{unpriced}"
        )
        if found.verdicts:
            st.markdown(_verdicts(found.verdicts))


def _cost(found: ExperimentSummary) -> str:
    if found.cost is None:
        return "cost unknown" if found.done else "nothing spent yet"
    return dollars(found.cost)


def status_badge(word: str) -> None:
    """Show how an experiment stands, in a word of `standing_word`."""
    icon, colour = _BADGES.get(word, (":material/help:", "gray"))
    st.badge(word, icon=icon, color=colour)  # type: ignore[arg-type] # a colour's name


def _verdicts(verdicts: tuple[CandidateVerdict, ...]) -> str:
    """Return the chips of the candidates as Markdown: a word with its symbol, and who it is of."""
    shown = []
    for found in verdicts[:_VERDICTS_SHOWN]:
        made = chip(found.verdict)
        who = escaped(shortened(run_title(found.candidate), 60))
        shown.append(f":{made.color}-badge[{made.icon} {escaped(made.word)}] {who}")
    if len(verdicts) > _VERDICTS_SHOWN:
        shown.append(f"and {len(verdicts) - _VERDICTS_SHOWN} more")
    return "  \n".join(shown)


def _foot(page: Page[ExperimentSummary]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if "after" in st.query_params and st.button("Newest", icon=":material/first_page:"):
            st.query_params.pop("after")
            st.rerun()
        if page.next_cursor is not None and st.button("Older", icon=":material/chevron_right:"):
            st.query_params["after"] = page.next_cursor
            st.rerun()
        st.download_button(
            "CSV",
            csv_bytes(list_frame(page.items)),
            file_name="experiments.csv",
            mime="text/csv",
            on_click="ignore",
            icon=":material/download:",
            type="tertiary",
        )
