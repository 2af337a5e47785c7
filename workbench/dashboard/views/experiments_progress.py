"""How far an experiment is, read again every two seconds while somebody works on it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import streamlit as st

from workbench.client import ClientError, experiments, jobs
from workbench.client.experiments import ExperimentStanding
from workbench.client.jobs import Job
from workbench.dashboard.frames.experiments import (
    Looked,
    cells_by_status,
    cost_of,
    done_count,
    duration,
    error_classes,
    rate,
    seconds_left,
)
from workbench.dashboard.session import Session
from workbench.dashboard.text import dollars, escaped

__all__ = ["show_progress", "unfinished"]

_LOOK_S: Final = 2.0
_KEPT: Final = 20  # looks


def unfinished(found: Sequence[Job]) -> Job | None:
    """Return the job that makes the experiment's calls now, or will; None if there is none."""
    return next((job for job in found if job.kind == "run" and not job.ended), None)


def show_progress(
    session: Session, standing: ExperimentStanding, work: Job | None, *, others: bool
) -> None:
    """Draw how far it is. It is looked at again while `work` or `others` (any other job) goes on;
    when all has ended, the whole page is drawn anew."""
    if work is None and not others:
        _figures(standing, [])
        return
    _live(session, standing.experiment.number)


@st.fragment(run_every=_LOOK_S)
def _live(session: Session, number: int) -> None:
    try:
        standing = session.client.send(experiments.standing(number))
        going_on = session.client.page(
            jobs.listing(number, statuses=("queued", "running")), limit=5
        ).items
    except ClientError as error:
        st.warning(f"{escaped(str(error))} It is tried again.", icon=":material/error:")
        return
    if not going_on:
        st.session_state.pop(_key(number), None)
        st.rerun(scope="app")
    _figures(standing, _looks(number, done_count(standing)))
    work = unfinished(going_on)
    if work is None:
        st.caption(f"Under way: {escaped(', '.join(job.kind for job in going_on))}.")
    elif work.stop_asked_at is not None:
        st.info("It stops: calls in flight finish, and what is open stays open.")
    elif work.status == "queued":
        st.info("It waits for a worker.", icon=":material/hourglass_empty:")


def _key(number: int) -> str:
    return f"looks-{number}"


def _looks(number: int, done: int) -> list[Looked]:
    """Remember this look and return the last ones."""
    looks: list[Looked] = st.session_state.setdefault(_key(number), [])
    looks.append(Looked(time.monotonic(), done))
    del looks[:-_KEPT]
    return looks


def _figures(standing: ExperimentStanding, looks: Sequence[Looked]) -> None:
    counts, done, wanted = cells_by_status(standing), done_count(standing), standing.wanted
    st.progress(min(1.0, done / wanted) if wanted else 1.0, text=_counts(counts, done, wanted))
    with st.container(horizontal=True, key="experiment-figures"):
        st.metric("Cells done", f"{done:,} / {wanted:,}", width="content")
        if looks:
            speed = rate(looks)
            left = seconds_left(counts.get("open", 0), speed)
            st.metric(
                "Rate", "measuring" if speed is None else f"{speed:,.1f} cells/s", width="content"
            )
            st.metric("Time left", "unknown" if left is None else duration(left), width="content")
        spent = _spent(standing)
        st.metric("Spent", escaped(spent), width="content")
    _budget(standing)
    _errors(standing)


def _counts(counts: dict[str, int], done: int, wanted: int) -> str:
    parts = [f"{count:,} {status}" for status, count in counts.items()]
    return " · ".join(parts) or f"{done:,} of {wanted:,} cells"


def _spent(standing: ExperimentStanding) -> str:
    cost = cost_of(standing.runs)
    if standing.budget is not None:
        return dollars(max(cost or 0.0, standing.budget.spent))
    return dollars(cost) if done_count(standing) else "$0"


def _budget(standing: ExperimentStanding) -> None:
    budget = standing.budget
    if budget is None:
        return
    gone = budget.spent + budget.leased
    st.progress(
        min(1.0, gone / budget.amount) if budget.amount else 1.0,
        text=escaped(
            f"Budget {dollars(budget.amount)}: {dollars(budget.spent)} spent, "
            f"{dollars(budget.leased)} set aside for calls in flight, judges included"
        ),
    )


def _errors(standing: ExperimentStanding) -> None:
    found = error_classes(standing)
    if not found:
        return
    with st.container(border=True, gap="xsmall"):
        st.markdown("**Errors by class**")
        for error in found:
            st.markdown(f"{error.count:,} × {escaped(error.code)} – {escaped(error.advice)}")
