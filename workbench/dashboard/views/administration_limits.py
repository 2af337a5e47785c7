"""Limits of keys, users and aliases: what each may use, and what it uses now."""

from __future__ import annotations

from typing import Final

import streamlit as st

from workbench.client import ClientError, limits
from workbench.client.limits import Limit
from workbench.dashboard.elements import csv_bytes, empty_state, shown_time
from workbench.dashboard.frames.administration import bars, limit_frame, limit_values
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped
from workbench.dashboard.views.administration_actions import carry_out

__all__ = ["show_limits"]

_LIVE_S: Final = 10.0
_KINDS: Final = ("alias", "key", "user")
_REACHED: Final = {"stop": "refuse the request", "warn": "serve it, and say so"}


def show_limits(session: Session) -> None:
    """Draw each holder's limits with what is used of them, and the forms that change them."""
    st.caption(
        "Counted by the minute, day and month of the calendar in UTC. Budgets of experiments stand "
        "with their experiments, and on Home."
    )
    found = session.client.send(limits.listing())
    if not found:
        empty_state(
            "No limit is set",
            "Without one, keys, users and aliases may use what the providers allow. "
            + (
                "Set one below."
                if session.may("limit:write")
                else "Whoever has the role `operator` sets them."
            ),
        )
    else:
        st.fragment(_draw_used, run_every=_LIVE_S)(session)
        _csv(found)
    if session.may("limit:write"):
        if found:
            _take_away(session, found)
        _set(session, found)


def _draw_used(session: Session) -> None:
    try:
        found = session.client.send(limits.listing(used=True))
    except ClientError as error:
        st.warning(f"{escaped(str(error))} It is tried again.", icon=":material/error:")
        return
    for one in found:
        with st.container(border=True, gap="xsmall"):
            st.markdown(
                f"{escaped(one.holder_kind)} **{escaped(one.holder)}** · when reached: "
                f"{escaped(_REACHED.get(one.on_reach, one.on_reach))}"
            )
            for bar in bars(one):
                st.progress(bar.share, escaped(bar.text))
            st.caption(f"Set {escaped(shown_time(one.updated_at))} by {escaped(one.updated_by)}")


def _csv(found: list[Limit]) -> None:
    st.download_button(
        "CSV",
        csv_bytes(limit_frame(found)),
        file_name="limits.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
    )


def _take_away(session: Session, found: list[Limit]) -> None:
    with st.popover("Take limits away", icon=":material/delete:"):
        one = st.selectbox(
            "Of", found, format_func=lambda it: f"{it.holder_kind} {it.holder}", key="limit-gone"
        )
        if one is None:
            return
        told = f"{one.holder_kind} {one.holder}"
        st.markdown(f"{escaped(told)} is then bounded by nothing but the provider.")
        if st.button("Take them away", type="primary"):
            call = limits.remove(one.holder_kind, one.holder)
            carry_out(session, call, f"The {told} has no limits any more.")


def _set(session: Session, found: list[Limit]) -> None:
    with st.expander("Set limits", icon=":material/speed:"), st.form("limits", border=False):
        kind = st.selectbox("Whose", _KINDS, key="limit-kind", width=200)
        holder = st.text_input(
            "Name", placeholder="support-bot@production, a key's or a user's", key="limit-holder"
        )
        requests = st.number_input(
            "Requests a minute", 1, 2**31 - 1, None, key="limit-requests", placeholder="no limit"
        )
        tokens = st.number_input(
            "Tokens a minute", 1, 2**31 - 1, None, key="limit-tokens", placeholder="no limit"
        )
        day = st.number_input(
            "US dollars a day", 0.0, 9e8, None, key="limit-day", placeholder="no limit"
        )
        month = st.number_input(
            "US dollars a month", 0.0, 9e8, None, key="limit-month", placeholder="no limit"
        )
        reached = st.selectbox(
            "When reached",
            list(_REACHED),
            index=None,
            format_func=_REACHED.__getitem__,
            placeholder="aliases in production: serve; all else: refuse",
            key="limit-reached",
        )
        st.caption("They take the place of all limits that the holder has now.")
        if st.form_submit_button("Set", type="primary"):
            values = limit_values(requests, tokens, day, month, reached)
            call = limits.put(kind or _KINDS[0], holder.strip(), values)
            carry_out(session, call, f"The limits of {holder.strip()} hold within two seconds.")
