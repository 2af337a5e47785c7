"""The page of prompts: the list, and behind a name its versions, their changes, the playground."""

from __future__ import annotations

from typing import Final

import streamlit as st

from workbench.client import prompts
from workbench.client.prompts import Prompt
from workbench.dashboard.elements import empty_state, link, shown_time
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped, shortened
from workbench.dashboard.views import prompts_detail

__all__ = ["show"]

_PAGE: Final = 20  # prompts
_DESCRIPTION: Final = 300  # characters


def show(session: Session) -> None:
    """Draw the page."""
    name = st.query_params.get("name")
    if name:
        prompts_detail.show(session, name)
    else:
        _show_list(session)


def _show_list(session: Session) -> None:
    search = st.text_input(
        "Search", key="search", bind="query-params", placeholder="part of a name or description"
    )
    if session.may("prompt:write"):
        _offer_new(session)
    cursor = st.query_params.get("cursor")
    page = session.client.page(prompts.listing(search or ""), cursor, _PAGE)
    if not page.items:
        _say_none(search or "")
        return
    for prompt in page.items:
        _show_row(session, prompt)
    if cursor:
        link(session, "prompts", "First page", icon=":material/first_page:", **_searched(search))
    if page.next_cursor:
        following = {**_searched(search), "cursor": page.next_cursor}
        link(session, "prompts", "More prompts", icon=":material/chevron_right:", **following)


def _searched(search: str | None) -> dict[str, str]:
    return {"search": search} if search else {}


def _say_none(search: str) -> None:
    if search:
        empty_state(
            "No prompt is called or described so.", "Search for something else, or for nothing."
        )
        return
    empty_state(
        "There is no prompt yet.",
        "Write one with **New prompt** above, or register files: `workbench init --sample` makes "
        "a sample workspace, and `workbench prompts sync` registers its prompts.",
    )


def _offer_new(session: Session) -> None:
    with st.popover("New prompt", icon=":material/add:"):
        name = st.text_input("Name of the new prompt", placeholder="triage or desk/triage")
        if name and name.strip():
            link(
                session,
                "prompts",
                f"Write {name.strip()}",
                icon=":material/edit:",
                name=name.strip(),
                view="Playground",
            )


def _show_row(session: Session, prompt: Prompt) -> None:
    with st.container(border=True, gap="xsmall"):
        link(session, "prompts", prompt.name, icon=":material/edit_note:", name=prompt.name)
        if prompt.description:
            st.markdown(escaped(shortened(prompt.description, _DESCRIPTION)))
        count = "1 version" if prompt.versions == 1 else f"{prompt.versions:,} versions"
        st.caption(
            f"{count}, the newest is {prompt.latest} by {escaped(prompt.author)} "
            f"on {escaped(shown_time(prompt.updated_at))}"
        )
