"""What every change here does: carry it out, and say what came of it."""

from __future__ import annotations

from typing import Final, TypeVar

import streamlit as st

from workbench.client import Call, ClientError
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped

__all__ = ["attempt", "carry_out", "show_outcome"]

AnswerT = TypeVar("AnswerT")

_OUTCOME: Final = "administration_outcome"


def carry_out(session: Session, call: Call[AnswerT], said: str) -> None:
    """Send a change and draw the page anew, which then says `said`; tell why it was refused."""
    if attempt(session, call) is not None:
        st.session_state[_OUTCOME] = said
        st.rerun()


def attempt(session: Session, call: Call[AnswerT]) -> tuple[AnswerT] | None:
    """Send a change and return its answer; say in a sentence why there is none."""
    try:
        return (session.client.send(call),)
    except ClientError as error:
        detail = getattr(error, "detail", None) or str(error)
        st.error(f"It was not done. {escaped(detail)}", icon=":material/error:")
        return None


def show_outcome() -> None:
    """Say once what the last change came to."""
    said = st.session_state.pop(_OUTCOME, None)
    if said is not None:
        st.success(escaped(said), icon=":material/check:")
