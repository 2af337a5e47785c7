"""One page of the dashboard as a script of its own, signed in by a key.

AppTest runs it (`tests.dashboard.pages.open_page`), and so does Streamlit itself for a look:

    PAGE=experiments API=http://... KEY=wb_... streamlit run tests/dashboard/page_script.py
"""

from __future__ import annotations

import os

import streamlit as st

from workbench.client import Client
from workbench.client.users import me
from workbench.dashboard.pages import PAGES
from workbench.dashboard.session import Session
from workbench.dashboard.shell import show_page


def _given(name: str) -> str:
    return str(st.session_state.get(f"test_{name}") or os.environ[name.upper()])


st.set_page_config(layout="wide")
with Client(_given("api"), _given("key"), retries=0) as client:
    [page] = [page for page in PAGES if page.path == _given("page")]
    show_page(page, lambda: Session(client, client.send(me())))
