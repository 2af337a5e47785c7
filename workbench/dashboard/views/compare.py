"""Compare: choose a comparison, then its verdict, what it rests on, and the examples behind it.

`?id=` is the comparison. Without it recent ones are listed, of `?experiment=` if that is given.
"""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from workbench.client import comparisons
from workbench.dashboard.elements import link
from workbench.dashboard.session import Session
from workbench.dashboard.views.compare_choice import show_choice
from workbench.dashboard.views.compare_evidence import show_evidence, show_verdict
from workbench.dashboard.views.compare_examples import show_examples
from workbench.dashboard.views.compare_family import family_of

__all__ = ["show"]


def show(session: Session) -> None:
    """Draw the page."""
    asked = st.query_params.get("id", "")
    if not asked:
        show_choice(session)
        return
    link(session, "compare", "All comparisons", icon=":material/arrow_back:")
    comparison_id = _as_id(asked)
    if comparison_id is None:
        st.warning("This link names no comparison: its id is cut off or mistyped.")
        return
    _show_comparison(session, comparison_id)


def _show_comparison(session: Session, comparison_id: UUID) -> None:
    family = family_of(session, session.client.send(comparisons.comparison(comparison_id)))
    show_verdict(session, family)
    names = ["Examples", "Slices", "Cost and latency", "Denominators", "Method", "Gate"]
    tabs = st.tabs(names)
    with tabs[0]:
        show_examples(session, family.shown)
    show_evidence(session, family, tabs[1:])


def _as_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
