"""What surrounds every page: the navigation, who is signed in, and what goes wrong in a page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from workbench.client import APIError, ClientError, Forbidden, NotFound, Unauthenticated
from workbench.client.users import Me
from workbench.dashboard.document import ICON, TITLE
from workbench.dashboard.pages import PAGES, PageSpec
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped

__all__ = ["show_dashboard", "show_page", "visible_pages"]

_HOME: Final = PAGES[0]
_SIGN_OUT: Final = (
    '<form method="post" action="/sign-out"><button type="submit" style="all: unset; '
    'cursor: pointer; text-decoration: underline; font-size: 0.875rem">Sign out</button></form>'
)


def visible_pages(session: Session) -> tuple[PageSpec, ...]:
    """Return the pages that a person may see."""
    return tuple(
        page for page in PAGES if not page.needs or any(session.may(need) for need in page.needs)
    )


def show_dashboard(signed_in: Callable[[], Session | None]) -> None:
    """Draw the page of the address for whoever has signed in; else say how to sign in."""
    try:
        session = signed_in()
    except ClientError as error:
        _outside(partial(_tell, error))
        return
    if session is None:
        _outside(_ask_to_sign_in)
        return
    _inside(session)


def _inside(session: Session) -> None:
    seen = visible_pages(session)
    pages: dict[str, StreamlitPage] = {}
    known = replace(session, pages=pages)
    entries = {page: _entry(page, known, is_seen=page in seen) for page in PAGES}
    pages.update({page.path: entries[page] for page in seen})
    current = st.navigation(_by_section(entries), expanded=True)
    st.set_page_config(page_title=f"{current.title} · {TITLE}", page_icon=ICON)
    with st.sidebar:
        _who(session.me)
    current.run()


def _by_section(entries: Mapping[PageSpec, StreamlitPage]) -> Mapping[str, Sequence[StreamlitPage]]:
    sections: defaultdict[str, list[StreamlitPage]] = defaultdict(list)
    for page, entry in entries.items():
        sections[page.section].append(entry)
    return sections


def _entry(page: PageSpec, session: Session, *, is_seen: bool) -> StreamlitPage:
    """Return a page of the navigation. One that a person may not see is left out of the menu, and
    whoever follows a link to it is told why."""

    def show() -> None:
        if is_seen:
            show_page(page, lambda: session)
        else:
            _refuse(page)

    return st.Page(
        show,
        title=page.title,
        icon=page.icon,
        url_path=page.path,
        default=page is _HOME,
        visibility="visible" if is_seen else "hidden",
    )


def _refuse(page: PageSpec) -> None:
    st.title(page.title, anchor=False)
    needed = " or ".join(f"`{need}`" for need in page.needs)
    st.warning(
        f"Your roles do not allow this page: it needs the permission {needed}. "
        "An admin can grant it.",
        icon=":material/lock:",
    )


def _who(me: Me) -> None:
    """Say who is signed in, and what bounds them; offer to sign out."""
    st.caption(f"Signed in as {escaped(me.name)}")
    if not me.permissions:
        st.caption("You have no role yet. An admin can grant one.")
    elif me.prefixes:
        teams = ", ".join(escaped(prefix) for prefix in me.prefixes)
        st.caption(f"You see what lies under {teams}.")
    st.html(_SIGN_OUT)


def _outside(show: Callable[[], None]) -> None:
    """Draw what is shown whoever looks, at every address of a page."""
    pages = [
        st.Page(show, title=TITLE, url_path=page.path, default=page is _HOME) for page in PAGES
    ]
    st.navigation(pages, position="hidden").run()


def _ask_to_sign_in() -> None:
    st.title("You are not signed in", anchor=False)
    st.markdown(
        "Open the address that `workbench serve` printed in its terminal, or sign in with an API "
        "key or your organisation's account."
    )
    _sign_in_link()


def _sign_in_link() -> None:
    path = urlsplit(st.context.url or "").path or "/"
    query = urlencode({key: st.query_params.get_all(key) for key in st.query_params}, doseq=True)
    here = quote(f"{path}?{query}" if query else path, safe="")
    st.html(f'<a href="/sign-in?next={here}" target="_self">Sign in</a>')


def show_page(page: PageSpec, session: Callable[[], Session]) -> None:
    """Draw a page; what the API refuses or fails at is told in a sentence, with what to do.

    A link from a page to itself changes what the script reads and leaves the browser's address as
    it was, so that the next click would lead back: the browser is told the address once more.
    """
    st.query_params.update({})
    st.title(page.title, anchor=False)
    try:
        page.show(session())
    except ClientError as error:
        _tell(error)


def _tell(error: ClientError) -> None:
    if isinstance(error, Unauthenticated):
        st.warning("You are signed out. Sign in again.", icon=":material/lock:")
        _sign_in_link()
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
