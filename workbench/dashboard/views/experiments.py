"""The page of experiments: the list, one experiment, and the form that starts one.

`?number=7` is one experiment, `?new=1` the form (with `dataset`, `prompt`, `model` and `scorer`
filled in from the address), `?job=...` an experiment that a worker has yet to take up.
"""

from __future__ import annotations

import streamlit as st

from workbench.dashboard.session import Session
from workbench.dashboard.views.experiments_detail import show_experiment
from workbench.dashboard.views.experiments_form import show_form
from workbench.dashboard.views.experiments_list import show_list
from workbench.dashboard.views.experiments_waiting import show_waiting

__all__ = ["show"]


def show(session: Session) -> None:
    """Draw the page."""
    number = st.query_params.get("number", "")
    if number.isdecimal() and 0 < int(number) < 2**31:
        show_experiment(session, int(number))
    elif "job" in st.query_params:
        show_waiting(session, st.query_params["job"])
    elif "new" in st.query_params and session.may("experiment:run"):
        show_form(session)
    else:
        show_list(session)
