"""The page of generations: find one among many, read its whole story, check it."""

from __future__ import annotations

import streamlit as st

from workbench.dashboard.session import Session
from workbench.dashboard.views.generations_detail import show_detail
from workbench.dashboard.views.generations_list import show_list

__all__ = ["show"]


def show(session: Session) -> None:
    """Draw one generation if the address names one, else the list."""
    generation_id = st.query_params.get("id")
    if generation_id:
        show_detail(session, generation_id)
    else:
        show_list(session)
