"""What surrounds every page: its title, its place in the navigation, and what goes wrong in it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from workbench.client import APIError, ClientError, Forbidden, NotFound, Unauthenticated
from workbench.dashboard.pages import PAGES, PageSpec
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped

__all__ = ["show_page", "visible_pages"]


def visible_pages(session: Session) -> tuple[PageSpec, ...]:
    """Return the pages that a person may see."""
    return tuple(
        page for page in PAGES if not page.needs or any(session.may(need) for need in page.needs)
    )


def show_page(page: PageSpec, session: Callable[[], Session]) -> None:
    """Draw a page; what the API refuses or fails at is told in a sentence, with what to do."""
    st.title(page.title, anchor=False)
    try:
        page.show(session())
    except ClientError as error:
        _tell(error)


def _tell(error: ClientError) -> None:
    if isinstance(error, Unauthenticated):
        st.warning("You are signed out. Sign in again.", icon=":material/lock:")
        st.link_button("Sign in", "/sign-in")
        return
    if isinstance(error, Forbidden):
        st.warning(
            f"Your roles do not allow this. {escaped(error.detail)} An admin can grant it.",
            icon=":material/lock:",
        )
        return
    if isinstance(error, NotFound):
        st.warning(
            f"{escaped(error.detail)} It may be out of your sight, or the link may be old.",
            icon=":material/search_off:",
        )
        return
    st.error(escaped(_sentence(error)), icon=":material/error:")
    st.button("Try again", icon=":material/refresh:")


def _sentence(error: ClientError) -> str:
    if isinstance(error, APIError):
        return f"{error.detail} (request {error.request_id or 'unknown'})"
    return f"{error} Is the API running?"
