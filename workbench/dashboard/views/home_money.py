"""What this month cost, and what of budgets and limits is gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from workbench.client import limits, spending
from workbench.client.spending import Spending
from workbench.dashboard.charts.home import spending_chart
from workbench.dashboard.elements import chart, link
from workbench.dashboard.frames.home import (
    Allowance,
    allowances,
    known_total,
    purposes,
    share_text,
    spending_frame,
    unpriced_text,
)
from workbench.dashboard.session import Session
from workbench.dashboard.text import dollars, escaped, shortened

__all__ = ["show_money"]

_SHOWN: Final = 8
_MEANINGS: Final = {"chats": "Answers in production and direct calls."}
_SEES_MONEY: Final = ("experiment:read", "chat:read")


def show_money(session: Session) -> None:
    """Draw the spend of this month for whoever may see any of it."""
    if not any(session.may(permission) for permission in _SEES_MONEY):
        return
    told = session.client.send(spending.of_month())
    st.subheader("Spend this month", anchor=False)
    _figures(told)
    frame = spending_frame(told)
    if frame["dollars"].sum() > 0:
        month = f"{told.starts_at:%B %Y}"
        chart(
            spending_chart(frame, month),
            frame,
            "spend",
            alt_text=f"Bars of what each model cost in {month}, parted by what it was for.",
        )
    held = session.client.send(limits.listing(used=True)) if session.may("limit:read") else []
    _allowances(session, allowances(told.budgets, held))


def _figures(told: Spending) -> None:
    with st.container(horizontal=True):
        st.metric("In all", escaped(dollars(known_total(told))))
        for name, part in purposes(told):
            st.metric(name.capitalize(), escaped(dollars(part.dollars)), help=_MEANINGS.get(name))
    unpriced = unpriced_text(sum(part.unpriced for _, part in purposes(told)))
    if unpriced:
        st.markdown(f":material/help: {escaped(unpriced)}: their models have no price.")
    st.caption(
        f"US dollars of calls that began in {told.starts_at:%B %Y} in UTC, as limits count them."
    )


def _allowances(session: Session, found: Sequence[Allowance]) -> None:
    st.subheader("Budgets and limits", anchor=False)
    if not found:
        st.caption("No open experiment has a budget, and nobody a limit of money.")
        return
    for one in found[:_SHOWN]:
        title = shortened(one.title, 80)
        if one.experiment is None:
            st.progress(one.share, f"{escaped(title)}: {escaped(share_text(one))}")
        else:
            link(session, "experiments", title, number=str(one.experiment))
            st.progress(one.share, escaped(share_text(one)))
    if len(found) > _SHOWN:
        link(session, "administration", f"{len(found) - _SHOWN} more", tab="Limits")
