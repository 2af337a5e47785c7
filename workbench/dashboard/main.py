"""The script of the dashboard: Streamlit runs it for each page view and each click."""

from __future__ import annotations

import streamlit as st

from workbench.dashboard.document import ICON, TITLE
from workbench.dashboard.shell import show_dashboard
from workbench.dashboard.signed_in import signed_in

__all__: list[str] = []

st.set_page_config(page_title=TITLE, page_icon=ICON, layout="wide")
show_dashboard(signed_in)
