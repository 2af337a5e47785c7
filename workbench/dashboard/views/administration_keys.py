"""API keys: everybody's own, and all of them for whoever may see those.

The secret of a new key is drawn once, in the run of the script that made it, and kept nowhere: the
next click is the end of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from workbench.client import Call, Page, keys
from workbench.client.keys import Key, MadeKey
from workbench.dashboard.elements import csv_bytes, empty_state, shown_time
from workbench.dashboard.frames.administration import (
    key_frame,
    key_state,
    names_of,
    prefix_of,
    scope_text,
)
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped
from workbench.dashboard.views.administration_actions import attempt, carry_out

__all__ = ["show_keys"]

_PAGE: Final = 200
_SERVICE: Final = ("chat:write", "chat:report", "alias:read", "model:read", "model:direct")
_SERVICE_DEFAULT: Final = ("chat:write", "alias:read")
_MINE, _USER, _SERVICE_OWNER = "me", "another user", "a service"


def show_keys(session: Session) -> None:
    """Draw the secret of a key just made, the list, one key, and the form that makes one."""
    secret, listed = st.container(), st.container()
    _make(session, secret)
    with listed:
        page = session.client.page(keys.listing(), st.query_params.get("after"), _PAGE)
        chosen = _list(page)
        if chosen is not None:
            _one(session, chosen, secret)


def _list(page: Page[Key]) -> Key | None:
    """Draw the keys and return the one that the address names."""
    if not page.items:
        empty_state("No key yet", "A key signs in scripts and services. Make one below.")
        return None
    frame = key_frame(page.items, datetime.now(UTC), shown_time)
    st.dataframe(frame, hide_index=True, key="keys-table")
    with st.container(horizontal=True):
        st.download_button(
            "CSV",
            csv_bytes(frame),
            file_name="keys.csv",
            mime="text/csv",
            on_click="ignore",
            icon=":material/download:",
            type="tertiary",
        )
        if page.next_cursor is not None and st.button("More", icon=":material/chevron_right:"):
            st.query_params["after"] = page.next_cursor
            st.rerun()
    name = st.selectbox(
        "Key",
        [it.name for it in page.items],
        index=None,
        placeholder="choose one to rotate or revoke it",
        key="key",
        bind="query-params",
        width=360,
    )
    return next((it for it in page.items if it.name == name), None)


def _one(session: Session, key: Key, secret: DeltaGenerator) -> None:
    state = key_state(key, datetime.now(UTC))
    with st.container(border=True):
        st.markdown(f"**{escaped(key.name)}** · {state}")
        st.caption(
            f"Of {escaped(key.user or 'a service')} · may do {escaped(scope_text(key.scope))} · "
            f"until {escaped(shown_time(key.expires_at))} · made by {escaped(key.created_by)}"
        )
        if state != "works":
            return
        with st.container(horizontal=True):
            _rotate(session, key, secret)
            _revoke(session, key)


def _rotate(session: Session, key: Key, secret: DeltaGenerator) -> None:
    with st.popover("Rotate", icon=":material/autorenew:"):
        hours = st.number_input(
            "Hours that the old key still works", 0, 168, 24, key="grace", width=260
        )
        if st.button(f"Replace {escaped(key.name)}", type="primary"):
            _show_made(session, keys.rotate(key.name, int(hours)), secret)


def _revoke(session: Session, key: Key) -> None:
    with st.popover("Revoke", icon=":material/key_off:"):
        st.markdown(
            f"Whoever uses {escaped(key.name)} is refused within seconds, and it cannot be undone."
        )
        if st.button(f"Revoke {escaped(key.name)}", type="primary"):
            carry_out(session, keys.revoke(key.name), f"The key {key.name} works no longer.")


def _make(session: Session, secret: DeltaGenerator) -> None:
    owners = _owners(session)
    with st.expander("Make a key", icon=":material/key:"):
        owner = st.segmented_control(
            "For", owners, default=owners[0], required=True, key="key-owner"
        )
        with st.form("make-key", border=False):
            name = st.text_input("Name", placeholder="support-bot, in lower case", key="key-name")
            user = None
            if owner == _USER:
                user = st.text_input("User", placeholder="ana", key="key-user").strip()
            is_service = owner == _SERVICE_OWNER
            allowed = _permissions(session, is_service=is_service)
            team = st.text_input(
                "Only for the team", placeholder="payments/*; empty for all", key="key-team"
            )
            aliases = st.text_input(
                "Only the aliases",
                placeholder="support-bot@production; empty for all",
                key="key-aliases",
            )
            days = st.number_input("Days that it works", 1, 366, 90, key="key-days")
            is_sent = st.form_submit_button("Make the key", type="primary")
        if is_sent:
            call = keys.make(
                name.strip(),
                user=user,
                is_service=is_service,
                permissions=allowed or None,
                prefix=prefix_of(team),
                aliases=names_of(aliases) or None,
                lifetime_days=int(days),
            )
            _show_made(session, call, secret)


def _owners(session: Session) -> Sequence[str]:
    mine = (_MINE,) if session.me.kind == "user" else ()
    others = (_USER, _SERVICE_OWNER) if session.may("key:write") else ()
    return (*mine, *others)


def _permissions(session: Session, *, is_service: bool) -> list[str]:
    """Ask what the key may do; nothing chosen takes nothing away."""
    options = _SERVICE if is_service else session.me.permissions
    return st.multiselect(
        "May do at most",
        options,
        default=_SERVICE_DEFAULT if is_service else (),
        placeholder="all that its user may",
        key=f"key-permissions-{'service' if is_service else 'user'}",
    )


def _show_made(session: Session, call: Call[MadeKey], secret: DeltaGenerator) -> None:
    made = attempt(session, call)
    if made is None:
        return
    with secret, st.container(border=True, key="made-key"):
        st.markdown(f"**The key {escaped(made[0].key.name)} is made.**")
        st.warning(
            "Copy it now: it is shown this once, stored nowhere, and gone with your next click.",
            icon=":material/visibility_off:",
        )
        st.code(made[0].secret, language=None, wrap_lines=True)
