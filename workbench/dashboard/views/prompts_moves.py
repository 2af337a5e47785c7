"""Going to another view of a prompt by what somebody did, not by a link.

A widget that is bound to the address is moved through the session's state, and only before it is
drawn: so the wish is noted, and carried out when the script runs again.
"""

from __future__ import annotations

from typing import Final

import streamlit as st

__all__ = ["go_to", "settle"]

_WISH: Final = "prompts-go-to"


def go_to(**widgets: str) -> None:
    """Run the script again with these values in the widgets of these keys."""
    st.session_state[_WISH] = widgets
    st.rerun()


def settle() -> None:
    """Carry out what `go_to` noted; call it before any widget is drawn."""
    for key, value in st.session_state.pop(_WISH, {}).items():
        st.session_state[key] = value
