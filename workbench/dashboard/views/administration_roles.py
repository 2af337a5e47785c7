"""Roles: what each is for, and what whoever has it may do."""

from __future__ import annotations

import streamlit as st

from workbench.client import users
from workbench.dashboard.elements import csv_bytes
from workbench.dashboard.frames.administration import role_frame
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped

__all__ = ["show_roles"]


def show_roles(session: Session) -> None:
    """Draw every role with a sentence, and the table of permissions."""
    roles = session.client.send(users.roles())
    for it in roles:
        st.markdown(f"**{escaped(it.role)}**: {escaped(it.meaning)}")
    st.caption(
        "A person may do what any of their roles permits: for all names, or for those of one team "
        "(as in payments/\\*), outside which nothing exists for them."
    )
    frame = role_frame(roles)
    st.dataframe(frame, hide_index=True, key="roles-table")
    st.download_button(
        "CSV",
        csv_bytes(frame),
        file_name="roles.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
    )
