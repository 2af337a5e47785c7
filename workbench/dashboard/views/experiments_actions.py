"""What can be done with an experiment: stop it, go on, cancel it, carry it on over newer data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import streamlit as st

from workbench.client import ClientError, Conflict, Forbidden, Invalid, NotFound, experiments, jobs
from workbench.client.experiments import ExperimentStanding
from workbench.client.jobs import Job
from workbench.dashboard.elements import link
from workbench.dashboard.frames.experiments import error_classes
from workbench.dashboard.session import Session
from workbench.dashboard.text import dollars, escaped

__all__ = ["show_actions"]

_REFUSALS: Final = (Conflict, Forbidden, Invalid, NotFound)
"""What the API may say to an action; anything else is told by the page as a whole."""


def show_actions(
    session: Session, standing: ExperimentStanding, work: Job | None, worked: Sequence[Job]
) -> None:
    """Draw the actions that the experiment's state allows."""
    experiment = standing.experiment
    with st.container(horizontal=True, key="experiment-actions"):
        if work is not None and work.asked is not None and work.stop_asked_at is None:
            stop = st.button(
                "Stop", icon=":material/stop:", help="Calls in flight finish; it can be resumed."
            )
            if stop:
                _do(lambda: session.client.send(jobs.stop(work.id)))
        if work is None and experiment.status != "cancelled":
            _resume(session, standing)
            if experiment.status == "completed":
                _extend(session, experiment.number)
        if experiment.status == "open":
            _cancel(session, experiment.number)
        _again(session, worked)


def _do(act: Callable[[], object]) -> None:
    """Act and draw the page anew; what the API refuses is told in its words."""
    try:
        act()
    except _REFUSALS as error:
        st.error(escaped(_words(error)), icon=":material/error:")
        return
    st.rerun()


def _words(error: ClientError) -> str:
    return getattr(error, "detail", None) or str(error)


def _resume(session: Session, standing: ExperimentStanding) -> None:
    errors = error_classes(standing)
    is_open = standing.experiment.status == "open"
    if not is_open and not errors:
        return
    number, budget = standing.experiment.number, standing.budget
    label = "Resume" if is_open else "Try failed cells again"
    with st.popover(label, icon=":material/play_arrow:"), st.form(f"resume-{number}"):
        st.markdown("What is left is derived from the stored outcomes; nothing is done twice.")
        retry = st.multiselect(
            "Try these errors again",
            [error.code for error in errors],
            default=[error.code for error in errors],
            disabled=not errors,
        )
        amount = None
        if session.may("budget:write"):
            said = "no budget" if budget is None else f"now {dollars(budget.amount)}"
            amount = st.number_input(
                "Budget in US dollars, in all",
                min_value=0.0,
                value=None,
                step=1.0,
                placeholder=said,
                help="Left empty, it stays as it is.",
            )
        if st.form_submit_button("Go on", type="primary"):
            _do(
                lambda: session.client.send(
                    experiments.resume(number, retry=retry, budget=amount or None)
                )
            )


def _extend(session: Session, number: int) -> None:
    with st.popover("Extend", icon=":material/add_circle:"), st.form(f"extend-{number}"):
        st.markdown(
            "Carry it on over a newer version of its dataset: only new examples take calls. It "
            "becomes an experiment of its own, whose gate never passes."
        )
        dataset = st.text_input(
            "Dataset version", value="", placeholder="the newest", help="As in triage@4."
        )
        if st.form_submit_button("Extend it", type="primary"):
            _ask_to_extend(session, number, dataset.strip() or None)


def _ask_to_extend(session: Session, number: int, dataset: str | None) -> None:
    def act() -> None:
        job = session.client.send(experiments.extend(number, dataset))
        st.query_params.from_dict({"job": str(job.id)})

    _do(act)


def _cancel(session: Session, number: int) -> None:
    with st.popover("Cancel", icon=":material/cancel:"):
        st.markdown("It ends for good: it cannot be resumed, and its outcomes stay.")
        if st.button("Cancel it for good", type="primary", key=f"cancel-{number}"):
            _do(lambda: session.client.send(experiments.cancel(number)))


def _again(session: Session, worked: Sequence[Job]) -> None:
    """Offer to ask something like it, if it was asked for here: then the request is known."""
    first = next((job for job in reversed(worked) if job.asked and "prompts" in job.asked), None)
    if first is not None:
        link(
            session,
            "experiments",
            "Ask again, changed",
            icon=":material/edit:",
            new="1",
            copy=str(first.id),
        )
