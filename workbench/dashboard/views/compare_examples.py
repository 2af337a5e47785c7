"""The examples of a comparison: a filtered list, and of one of them both sides' answers.

The filters and the example are in the address: whoever opens the link sees the same. The section
is a fragment, so that going from one example to the next asks for nothing but these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import streamlit as st

from workbench.client import ClientError, Page, comparisons
from workbench.client.comparisons import ComparedExample, Comparison, Direction
from workbench.dashboard.elements import csv_bytes
from workbench.dashboard.frames.compare import examples_frame, known_slices
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped, visible
from workbench.dashboard.views.compare_example import show_example

__all__ = ["show_examples"]

_LISTED: Final = 200  # examples at once
_TABLE_ROWS: Final = 6
_DIRECTIONS: Final[Mapping[str, Direction]] = {
    "All": "all",
    "Better": "better",
    "Worse": "worse",
    "Tied": "tied",
    "Not scored": "error",
}
"""By their names on the page, which are those in its address."""

_EVERY: Final = "all examples"


@st.fragment
def show_examples(session: Session, shown: Comparison) -> None:
    """Draw the section."""
    try:
        _show(session, shown)
    except ClientError as error:
        st.error(escaped(str(error)), icon=":material/error:")


def _show(session: Session, shown: Comparison) -> None:
    page = _wanted(session, shown)
    if not page.items:
        st.info("No example is like this. Choose another direction or slice.")
        return
    ids = [str(one.example_id) for one in page.items]
    chosen = st.query_params.get("example", ids[0])
    place = ids.index(chosen) if chosen in ids else None
    _table(page.items, place)
    _pages(page)
    _steps(ids, place, page.total_estimate)
    show_example(session, shown, chosen)


def _wanted(session: Session, shown: Comparison) -> Page[ComparedExample]:
    """Draw the filters and return the page of examples that they ask for."""
    slices = known_slices(shown.result)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        direction = st.segmented_control(
            "Show",
            list(_DIRECTIONS),
            default="All",
            required=True,
            key="direction",
            bind="query-params",
            on_change=_forget,
        )
        names = [_EVERY, *(f"{column} = {value}" for column, value in slices)]
        slice_name = st.selectbox(
            "Slice", names, key="slice", bind="query-params", on_change=_forget, width=240
        )
        search = st.text_input(
            "Key contains",
            key="search",
            max_chars=200,
            bind="query-params",
            on_change=_forget,
            width=200,
        )
    chosen = None if slice_name in (None, _EVERY) else slices[names.index(slice_name) - 1]
    listing = comparisons.examples(
        shown.id, _DIRECTIONS[direction or "All"], search=search or "", slice_=chosen
    )
    page = session.client.page(listing, st.query_params.get("after"), limit=_LISTED)
    more = "+" if page.total_estimate >= 10_000 else ""
    st.caption(
        f"{page.total_estimate:,}{more} examples, the largest change first. Repetitions are folded "
        "into one row; scores are as they are stored now."
    )
    return page


def _forget() -> None:
    """Leave what was chosen among other examples."""
    for name in ("example", "after"):
        st.query_params.pop(name, None)


def _table(examples: Sequence[ComparedExample], place: int | None) -> None:
    frame = examples_frame(examples)
    key = f"examples-{'none' if place is None else examples[place].example_id}"
    st.dataframe(
        frame.assign(example=frame["example"].map(visible)),
        hide_index=True,
        height=36 * (min(len(frame), _TABLE_ROWS) + 1) + 2,
        placeholder="–",
        key=key,
        selection_mode="single-row",
        selection_default={"selection": {"rows": [] if place is None else [place]}},
        on_select=partial(_select, key, [str(one.example_id) for one in examples]),
        column_config={
            "example": "Example",
            "change": st.column_config.NumberColumn("Change", format="%+.3g"),
            "baseline": st.column_config.NumberColumn("Baseline", format="%.3g"),
            "candidate": st.column_config.NumberColumn("Candidate", format="%.3g"),
            "not scored": "Not scored",
            "repetitions": "Repetitions",
        },
    )
    st.download_button(
        "CSV",
        csv_bytes(frame),
        file_name="examples.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
        key="csv-examples",
    )


def _select(key: str, ids: Sequence[str]) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    if rows:
        st.query_params["example"] = ids[rows[0]]


def _pages(page: Page[ComparedExample]) -> None:
    """Offer the examples behind these, and the way back to the first."""
    if page.next_cursor is None and "after" not in st.query_params:
        return
    with st.container(horizontal=True):
        if "after" in st.query_params:
            st.button("First examples", on_click=_go, args=(None,), icon=":material/first_page:")
        if page.next_cursor is not None:
            st.button(
                "More examples", on_click=_go, args=(page.next_cursor,), icon=":material/east:"
            )


def _go(cursor: str | None) -> None:
    _forget()
    if cursor is not None:
        st.query_params["after"] = cursor


def _steps(ids: Sequence[str], place: int | None, total: int) -> None:
    """Go from example to example: buttons, and the keys that stand on them."""
    with st.container(horizontal=True, vertical_alignment="center"):
        _step("Previous", ids, None if place is None else place - 1, "K", ":material/arrow_upward:")
        _step("Next", ids, 0 if place is None else place + 1, "J", ":material/arrow_downward:")
        if place is not None and "after" not in st.query_params:
            st.caption(f"Example {place + 1:,} of {total:,}")


def _step(name: str, ids: Sequence[str], to: int | None, shortcut: str, icon: str) -> None:
    there = to is not None and 0 <= to < len(ids)
    st.button(
        name,
        key=f"step-{name.lower()}",
        shortcut=shortcut,
        icon=icon,
        disabled=not there,
        on_click=_choose,
        args=(ids[to] if there and to is not None else "",),
    )


def _choose(example_id: str) -> None:
    st.query_params["example"] = example_id
