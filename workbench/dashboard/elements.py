"""What every page is made of: empty states, plain text, charts and tables to take away."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Iterable
from datetime import datetime
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import altair as alt
import pandas as pd
import streamlit as st
from streamlit.errors import StreamlitDuplicateElementKey

from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped, visible
from workbench.dashboard.verdicts import chip

__all__ = [
    "chart",
    "csv_bytes",
    "empty_state",
    "ink",
    "link",
    "margin_input",
    "marks_badges",
    "page_url",
    "plain",
    "shown_time",
    "verdict_badge",
    "zone",
]

_FORMULA_SIGNS: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_CONTROL_SIGNS: Final = ("\t", "\r", "\n")
_MOST_SHOWN: Final = 20_000  # characters of one text on a page


def empty_state(headline: str, body: str) -> None:
    """Say that there is nothing here yet, and what to do next. Both texts are our own Markdown."""
    with st.container(border=True):
        st.markdown(f"**{headline}**")
        st.markdown(body)


def plain(text: str, *, label: str = "", language: str | None = None) -> None:
    """Show a text of people or models as it is, and never as Markdown or HTML.

    Hidden characters are written out. At most 20,000 characters of the text stand on the page; all
    of it is then a download.
    """
    if label:
        st.caption(escaped(label))
    st.code(visible(text[:_MOST_SHOWN]), language=language, wrap_lines=True)
    if len(text) > _MOST_SHOWN:
        st.caption(f"The first {_MOST_SHOWN:,} of {len(text):,} characters.")
        _offer_whole(text.encode("utf-8", "backslashreplace"))


def _offer_whole(content: bytes) -> None:
    """Offer a text as a file; a page may hold the same text several times."""
    name = hashlib.sha256(content).hexdigest()[:16]
    for copy in itertools.count():
        try:
            st.download_button(
                "Whole text",
                content,
                file_name="text.txt",
                mime="text/plain",
                on_click="ignore",
                key=f"text-{name}-{copy}",
            )
            return
        except StreamlitDuplicateElementKey:
            continue


def chart(
    plot: alt.Chart | alt.LayerChart | alt.FacetChart,
    frame: pd.DataFrame,
    name: str,
    *,
    alt_text: str,
) -> None:
    """Show a plot that can be downloaded: the picture by its own menu, its data as CSV.

    `name` is the file's, unique on a page; `alt_text` says in a sentence what is seen.
    """
    st.altair_chart(plot, width="stretch", key=f"chart-{name}", alt=alt_text)
    st.download_button(
        "CSV",
        csv_bytes(frame),
        file_name=f"{name}.csv",
        mime="text/csv",
        on_click="ignore",
        key=f"csv-{name}",
        icon=":material/download:",
        type="tertiary",
    )


def ink() -> str:
    """Return the colour in which a plot writes words: themes colour axes and titles alone."""
    return "#F2F2F2" if st.context.theme.type == "dark" else "#1F1F24"


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """Return a table as CSV of which no spreadsheet takes a cell, or a heading, for a formula."""
    safe = frame.map(_no_formula).rename(columns=_no_formula)
    buffer = io.StringIO()
    safe.to_csv(buffer, index=False, lineterminator="\n")
    return buffer.getvalue().encode("utf-8-sig")


def _no_formula(value: object) -> object:
    if isinstance(value, str) and (
        value.startswith(_CONTROL_SIGNS) or value.lstrip().startswith(_FORMULA_SIGNS)
    ):
        return f"'{value}"
    return value


def verdict_badge(verdict: str) -> None:
    """Show the stored verdict of a comparison as a chip; in tables: `verdicts.verdict_text`."""
    shown = chip(verdict)
    st.badge(escaped(shown.word), icon=shown.icon, color=shown.color, help=shown.meaning)


def marks_badges(marks: Iterable[str]) -> None:
    """Show the marks that must stand beside a verdict or an answer: `comparison_words.marks`."""
    for mark in marks:
        if mark == "simulated":
            st.badge(
                "simulated",
                icon=":material/theater_comedy:",
                color="orange",
                help="No provider was called, nothing was charged.",
            )
        else:
            st.badge(escaped(mark), color="gray")


def margin_input(value: float | None, *, key: str) -> float | None:
    """Ask for the margin of a comparison, in the unit of its scorer; None for none."""
    asked = st.number_input(
        "Margin: the loss that would be acceptable",
        min_value=0.0,
        value=value,
        format="%.4f",
        placeholder="none",
        help="In the scorer's unit: 0.03 is 3 points of a rate. Without one, equality is not "
        "shown.",
        key=key,
    )
    return asked or None


def page_url(path: str, **query: str | int) -> str:
    """Return the address of a page, as in `/generations?id=...`."""
    return f"/{path}?{urlencode(query)}" if query else f"/{path}"


def link(session: Session, path: str, label: str, *, icon: str | None = None, **query: str) -> None:
    """Link to another page without leaving the session; `label` is untrusted text."""
    page = session.pages.get(path)
    if page is None:
        st.markdown(f"[{escaped(label)}]({page_url(path, **query)})")
        return
    st.page_link(page, label=escaped(label), icon=icon, query_params=query)


def zone() -> ZoneInfo:
    """Return the time zone of the person's browser; UTC if it is not known."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def shown_time(moment: datetime | None) -> str:
    """Return a time in the person's zone, with the zone named; a dash for none."""
    return "–" if moment is None else f"{moment.astimezone(zone()):%Y-%m-%d %H:%M:%S %Z}"
