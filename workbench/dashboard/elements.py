"""What every page is made of: empty states, plain text, charts and tables to take away."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import altair as alt
import pandas as pd
import streamlit as st

from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped, visible

__all__ = [
    "chart",
    "csv_bytes",
    "empty_state",
    "link",
    "page_url",
    "plain",
    "shown_time",
    "zone",
]

_MOST_SHOWN: Final = 20_000  # characters of one text on a page


def empty_state(headline: str, body: str) -> None:
    """Say that there is nothing here yet, and what to do next. Both texts are our own Markdown."""
    with st.container(border=True):
        st.markdown(f"**{headline}**")
        st.markdown(body)


def plain(text: str, *, label: str = "", language: str | None = None) -> None:
    """Show a text of people or models as it is, and never as Markdown or HTML.

    Hidden characters are written out, and at most 20,000 characters stand on the page; the whole
    text is then a download.
    """
    if label:
        st.caption(escaped(label))
    shown = visible(text)
    st.code(shown[:_MOST_SHOWN], language=language, wrap_lines=True)
    if len(shown) > _MOST_SHOWN:
        st.caption(f"The first {_MOST_SHOWN:,} of {len(shown):,} characters.")
        st.download_button(
            "Whole text", text, file_name="text.txt", on_click="ignore", key=f"text-{hash(text)}"
        )


def chart(
    plot: alt.Chart | alt.LayerChart, frame: pd.DataFrame, name: str, *, alt_text: str
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


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """Return a table as CSV whose cells no spreadsheet takes for formulas."""
    safe = frame.map(_no_formula)
    buffer = io.StringIO()
    safe.to_csv(buffer, index=False, lineterminator="\n")
    return buffer.getvalue().encode("utf-8-sig")


def _no_formula(value: object) -> object:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value


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
