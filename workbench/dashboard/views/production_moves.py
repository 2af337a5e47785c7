"""What was changed in production in the window, and what its answers scored."""

from __future__ import annotations

import streamlit as st

from workbench.client.traffic import Traffic
from workbench.dashboard.elements import shown_time
from workbench.dashboard.frames.production import deployment_frame, score_frame
from workbench.dashboard.session import Session

__all__ = ["show_moves", "show_scores"]


def show_moves(session: Session, found: Traffic) -> None:
    """Draw the moves of aliases, the newest first."""
    st.subheader("Deployments in the window", anchor=False)
    if not found.deployments:
        st.caption("No alias was moved.")
        return
    frame = deployment_frame(found)[::-1]
    st.dataframe(
        frame.assign(at=[shown_time(at) for at in frame["at"]]),
        hide_index=True,
        column_order=["at", "alias", "number", "kind", "prompt", "model", "by", "reason"],
        column_config={
            "at": st.column_config.TextColumn("When"),
            "alias": st.column_config.TextColumn("Alias"),
            "number": st.column_config.NumberColumn("Deployment"),
            "kind": st.column_config.TextColumn("What"),
            "prompt": st.column_config.TextColumn("Prompt"),
            "model": st.column_config.TextColumn("Model"),
            "by": st.column_config.TextColumn("By"),
            "reason": st.column_config.TextColumn("Reason", width="large"),
        },
    )


def show_scores(found: Traffic) -> None:
    """Draw the mean scores, if any answer was scored."""
    st.subheader("Scores", anchor=False)
    frame = score_frame(found.scores)
    if frame.empty:
        st.caption("No answer of the window was scored.")
        return
    st.dataframe(
        frame,
        hide_index=True,
        column_config={
            "scorer": st.column_config.TextColumn("Scorer"),
            "scored answers": st.column_config.NumberColumn("Scored answers", format="localized"),
            "mean": st.column_config.NumberColumn("Mean", format="%.3f"),
            "mean low": st.column_config.NumberColumn("95 % from", format="%.3f"),
            "mean high": st.column_config.NumberColumn("to", format="%.3f"),
        },
    )
