"""Users: who is admitted, in which roles."""

from __future__ import annotations

from typing import Final

import streamlit as st

from workbench.client import users
from workbench.client.users import Grant, User
from workbench.dashboard.elements import csv_bytes, shown_time
from workbench.dashboard.frames.administration import (
    grant_text,
    prefix_of,
    user_frame,
    user_state,
)
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped
from workbench.dashboard.views.administration_actions import carry_out

__all__ = ["show_users"]

_PAGE: Final = 200


def show_users(session: Session) -> None:
    """Draw the list, one user, and the form that admits somebody."""
    after = st.query_params.get("after")
    page = session.client.page(users.listing(), after, _PAGE)
    frame = user_frame(page.items, shown_time)
    st.dataframe(frame, hide_index=True, key="users-table", placeholder="–")
    with st.container(horizontal=True):
        st.download_button(
            "CSV",
            csv_bytes(frame),
            file_name="users.csv",
            mime="text/csv",
            on_click="ignore",
            icon=":material/download:",
            type="tertiary",
        )
        if page.next_cursor is not None and st.button("More", icon=":material/chevron_right:"):
            st.query_params["after"] = page.next_cursor
            st.rerun()
    name = st.selectbox(
        "User",
        [it.name for it in page.items],
        index=None,
        placeholder="choose one, or write a name",
        accept_new_options=True,
        key="user",
        bind="query-params",
        width=360,
    )
    if name:
        _one(session, name)
    if session.may("user:write"):
        _admit(session)


def _one(session: Session, name: str) -> None:
    user = session.client.send(users.one(name))
    may_change = session.may("user:write")
    with st.container(border=True):
        st.markdown(f"**{escaped(user.name)}** · {user_state(user)}")
        st.caption(f"Admitted {escaped(shown_time(user.created_at))} by {escaped(user.created_by)}")
        _roles(session, user, may_change=may_change)
        if may_change:
            _grant(session, user)
            _external_id(session, user)
            _activity(session, user)
        elif user.external_id is not None:
            st.caption(f"External id: {escaped(user.external_id)}")


def _roles(session: Session, user: User, *, may_change: bool) -> None:
    if not user.grants:
        st.caption("No role yet: they can sign in and see nothing.")
    for grant in user.grants:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(escaped(grant_text(grant)), icon=":material/badge:", color="blue")
            if may_change:
                _take_back(session, user, grant)


def _take_back(session: Session, user: User, grant: Grant) -> None:
    told = grant_text(grant)
    with st.popover("Take back", type="tertiary", key=f"take-{told}"):
        st.markdown(f"{escaped(user.name)} may then do nothing more as {escaped(told)}.")
        if st.button(f"Take {escaped(told)} back", key=f"taken-{told}", type="primary"):
            call = users.take_back(user.name, grant.role, grant.prefix)
            carry_out(session, call, f"{user.name} has the role {told} no longer.")


def _grant(session: Session, user: User) -> None:
    roles = session.client.send(users.roles())
    with st.form("grant", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        role = st.selectbox("Role", [it.role for it in roles], key="grant-role", width=200)
        team = st.text_input(
            "For the team",
            placeholder="payments/*; empty for all names",
            key="grant-team",
            width=260,
        )
        is_sent = st.form_submit_button("Grant", icon=":material/add:")
    if is_sent and role:
        grant = Grant(role=role, prefix=prefix_of(team))
        call = users.grant(user.name, grant.role, grant.prefix)
        carry_out(session, call, f"{user.name} is now {grant_text(grant)}.")


def _external_id(session: Session, user: User) -> None:
    with (
        st.form("external", border=False),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        given = st.text_input(
            "External id",
            user.external_id or "",
            help="The `sub` of their tokens from the identity provider.",
            key=f"external-{user.name}",
            width=320,
        )
        is_sent = st.form_submit_button("Save", icon=":material/save:")
    if is_sent:
        call = users.change_external_id(user.name, given.strip() or None)
        carry_out(session, call, f"The external id of {user.name} is saved.")


def _activity(session: Session, user: User) -> None:
    if user.deactivated_at is not None:
        if st.button("Reactivate", icon=":material/person_add:"):
            said = f"{user.name} can sign in again."
            carry_out(session, users.reactivate(user.name), said)
        return
    with st.popover("Deactivate", icon=":material/person_off:"):
        st.markdown(
            f"{escaped(user.name)} can then sign in no longer, by key or token, within seconds. "
            "What they did stays on record, and they can be reactivated."
        )
        if st.button(f"Deactivate {escaped(user.name)}", type="primary"):
            said = f"{user.name} can sign in no longer."
            carry_out(session, users.deactivate(user.name), said)


def _admit(session: Session) -> None:
    with st.expander("Admit somebody", icon=":material/person_add:"):
        with st.form("admit", border=False):
            name = st.text_input(
                "Name", placeholder="ana or ana@example.com, in lower case", key="admit-name"
            )
            external = st.text_input(
                "External id",
                placeholder="empty for whoever signs in by key",
                help="The `sub` of their tokens from the identity provider.",
                key="admit-external",
            )
            is_sent = st.form_submit_button("Admit", type="primary")
        if is_sent:
            call = users.admit(name.strip(), external.strip() or None)
            carry_out(session, call, f"{name.strip()} is admitted. Grant a role next.")
