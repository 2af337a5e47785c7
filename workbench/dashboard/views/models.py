"""The page of models: the catalog, and behind a version all that is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from workbench.client import models
from workbench.client.models import Model
from workbench.dashboard.elements import csv_bytes, empty_state, link
from workbench.dashboard.frames.models import catalog_frame
from workbench.dashboard.session import Session
from workbench.dashboard.views import models_changes, models_detail

__all__ = ["show"]

_PAGE: Final = 100  # versions
_PROVIDERS: Final = ("any", "openai", "ollama", "simulated")
_COLUMNS: Final = {
    "model": st.column_config.TextColumn(width="medium"),
    "ends": st.column_config.DateColumn(format="YYYY-MM-DD"),
    "context window": st.column_config.NumberColumn(format="localized"),
    "max output": st.column_config.NumberColumn(format="localized"),
    "input price": st.column_config.NumberColumn(format="$%.4g"),
    "output price": st.column_config.NumberColumn(format="$%.4g"),
    "name is": st.column_config.TextColumn(
        help="A pinned name is one snapshot; what a floating one calls may change. "
        "A simulated model calls no provider."
    ),
}
_STATUSES: Final = ("any", "draft", "active", "deprecated", "retired")


def show(session: Session) -> None:
    """Draw the page."""
    reference = st.query_params.get("model")
    if reference:
        models_detail.show(session, reference)
    else:
        _show_catalog(session)


def _show_catalog(session: Session) -> None:
    wanted = _filters()
    if session.may("model:write"):
        models_changes.offer_declaration(session)
    cursor = st.query_params.get("cursor")
    page = session.client.page(
        models.listing(
            search=wanted.get("search", ""),
            provider=wanted.get("provider"),
            status=wanted.get("status"),
        ),
        cursor,
        _PAGE,
    )
    if not page.items:
        _say_none(session, filtered=bool(wanted))
        return
    _show_table(page.items)
    if cursor:
        link(session, "models", "First page", icon=":material/first_page:", **wanted)
    if page.next_cursor:
        following = {**wanted, "cursor": page.next_cursor}
        link(session, "models", "More models", icon=":material/chevron_right:", **following)


def _filters() -> dict[str, str]:
    """Draw the filters; return those that are set, as the address has them."""
    search, provider, status = st.columns([2, 1, 1])
    chosen = {
        "search": search.text_input(
            "Search", key="search", bind="query-params", placeholder="part of a name"
        ),
        "provider": provider.selectbox("Provider", _PROVIDERS, key="provider", bind="query-params"),
        "status": status.selectbox("Status", _STATUSES, key="status", bind="query-params"),
    }
    return {name: value for name, value in chosen.items() if value and value != "any"}


def _say_none(session: Session, *, filtered: bool) -> None:
    if filtered:
        empty_state("No model version is like that.", "Widen the filters above.")
        return
    first = (
        "Add one with **Declare a model** above, or run an experiment"
        if session.may("model:write")
        else "An operator can declare one, or run an experiment"
    )
    empty_state(
        "There is no model in the catalog yet.",
        f"{first}: `workbench models add openai/gpt-4.1` brings in what is known of it.",
    )


def _show_table(found: Sequence[Model]) -> None:
    """Show the versions as a table; choosing a row opens the version."""
    frame = catalog_frame(found)
    st.caption(
        "Choose a row to open it. Limits are tokens, prices US dollars per million tokens; "
        "– is unknown, or for an end: none."
    )
    chosen = st.dataframe(
        frame,
        hide_index=True,
        key="catalog",
        on_select="rerun",
        selection_mode="single-row",
        column_config=_COLUMNS,
        placeholder="–",
        alt="The catalog of model versions",
    )
    st.download_button(
        "CSV",
        csv_bytes(frame),
        file_name="models.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
    )
    for row in chosen.selection.rows:
        st.query_params.clear()
        st.query_params["model"] = found[row].reference
        st.rerun()
