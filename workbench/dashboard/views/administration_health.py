"""Health: the service, its database, and whether somebody does the queued work."""

from __future__ import annotations

from typing import Final

import streamlit as st

from workbench.client import ClientError, health
from workbench.client.health import Status
from workbench.dashboard.elements import link, shown_time
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped

__all__ = ["show_health"]

_LIVE_S: Final = 5.0
_DATABASES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def show_health(session: Session) -> None:
    """Draw how the service is, and again every few seconds."""
    st.fragment(_draw, run_every=_LIVE_S)(session)
    if session.may("experiment:read"):
        link(session, "experiments", "Experiments", icon=":material/science:")


def _draw(session: Session) -> None:
    try:
        found = session.client.send(health.status())
    except ClientError as error:
        st.error(f"The API does not answer as it should. {escaped(str(error))}")
        return
    _worker(found)
    with st.container(horizontal=True):
        st.metric("API", "ready")
        st.metric("Version", escaped(found.version))
        st.metric("Database", _DATABASES.get(found.database, escaped(found.database)))
        st.metric("Schema", escaped(found.schema_revision))
        st.metric("Jobs queued", f"{found.queue.queued:,}")
        st.metric("Jobs running", f"{found.queue.running:,}")
    if found.schema_revision != found.schema_needed:
        st.warning(
            f"The database's schema is at {escaped(found.schema_revision)}, and this version needs "
            f"{escaped(found.schema_needed)}: run `workbench db upgrade`."
        )
    taken = shown_time(found.queue.last_started_at)
    st.caption(f"A job was taken up last: {escaped(taken)}")


def _worker(found: Status) -> None:
    if found.is_waiting_for_worker:
        since = shown_time(found.queue.oldest_queued_at)
        st.warning(
            f"Jobs wait since {escaped(since)} and none runs: no worker seems to be there. "
            "`workbench serve` starts one; alone it is `workbench worker`.",
            icon=":material/engineering:",
        )
    elif found.queue.running:
        st.success("Work is being done.", icon=":material/check_circle:")
    else:
        st.success("Nothing waits.", icon=":material/check_circle:")
