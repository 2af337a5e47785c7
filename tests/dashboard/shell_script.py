"""The dashboard for whoever holds a key, as a script: AppTest runs it (`test_shell.py`)."""

from __future__ import annotations

import streamlit as st

from workbench.client import Client
from workbench.client.users import me
from workbench.dashboard.session import Session
from workbench.dashboard.shell import show_dashboard

with Client(st.session_state["test_api"], st.session_state["test_key"], retries=0) as client:

    def session() -> Session | None:
        if st.session_state["test_key"] is None:
            return None
        return Session(client, client.send(me()))

    show_dashboard(session)
