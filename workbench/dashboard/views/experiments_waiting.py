"""An experiment that was asked for and has no number yet: a worker still has to take it up."""

from __future__ import annotations

import time
from typing import Final

import streamlit as st

from workbench.client import ClientError, jobs
from workbench.client.jobs import Job
from workbench.dashboard.elements import link
from workbench.dashboard.frames.experiments import job_error
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped

__all__ = ["show_waiting"]

_LOOK_S: Final = 1.0
_LONG_S: Final = 15.0


def show_waiting(session: Session, job_id: str) -> None:
    """Wait for the experiment's number and go there; tell why there will be none."""
    link(session, "experiments", "All experiments", icon=":material/arrow_back:")
    job = session.client.send(jobs.progress(job_id)).job
    if job.experiment is not None:
        _go_to(job.experiment)
    if job.ended:
        _tell_end(session, job)
        return
    _wait(session, job_id, time.monotonic())


@st.fragment(run_every=_LOOK_S)
def _wait(session: Session, job_id: str, since: float) -> None:
    try:
        job = session.client.send(jobs.progress(job_id)).job
    except ClientError as error:
        st.warning(f"{escaped(str(error))} It is tried again.", icon=":material/error:")
        return
    if job.experiment is not None or job.ended:
        st.rerun(scope="app")
    st.info("A worker takes it up and checks what it names.", icon=":material/hourglass_empty:")
    if job.status == "queued" and time.monotonic() - since > _LONG_S:
        st.warning(
            "No worker has taken it up yet. `workbench serve` starts one; alone it is "
            "`workbench worker`."
        )


def _go_to(number: int) -> None:
    st.query_params.from_dict({"number": str(number)})
    st.rerun()


def _tell_end(session: Session, job: Job) -> None:
    error = job_error(job)
    if error is None:
        st.info(f"The job is {escaped(job.status)}, and no experiment came of it.")
    else:
        st.error(f"It was not started: {escaped(error[0])}", icon=":material/error:")
    if job.asked is not None and session.may("experiment:run"):
        link(
            session,
            "experiments",
            "Change the question",
            icon=":material/edit:",
            new="1",
            copy=str(job.id),
        )
