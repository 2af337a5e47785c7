"""Choosing a comparison: the recent ones, and asking for another one of two runs.

`?experiment=` keeps to one experiment, `?job=` is the work that was asked for and is followed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

import streamlit as st

from workbench.client import APIError, ClientError, comparisons, jobs, runs
from workbench.client.comparisons import Comparison, Scorer
from workbench.client.jobs import Job
from workbench.client.runs import Run
from workbench.comparison_words import scorer_name
from workbench.dashboard.elements import csv_bytes, empty_state, link, margin_input, zone
from workbench.dashboard.frames.compare import recent_frame
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped, visible

__all__ = ["show_choice"]

_RECENT: Final = 50  # comparisons
_RUNS: Final = 200  # to choose from, the newest
_SCORE_WRITE: Final = "score:write"
_POLL_S: Final = 2.0
_LARGEST: Final = 2**31 - 1


def show_choice(session: Session) -> None:
    """List recent comparisons, and offer to ask for one."""
    experiment = _experiment()
    found = session.client.page(comparisons.listing(experiment=experiment), limit=_RECENT).items
    if job := st.query_params.get("job"):
        _follow(session, job)
    _filter(experiment)
    if found:
        _recent(found)
    else:
        empty_state(
            "No comparison yet",
            "A comparison says whether one run is better than another, by how much and how sure. "
            "Run an experiment with two variants and a scorer on the Experiments page, or "
            "`workbench run experiments/triage.yaml` in a terminal: it compares by itself.",
        )
    if session.may(_SCORE_WRITE):
        _offer(session, experiment)


def _experiment() -> int | None:
    """Return the experiment of the address, if it names one."""
    asked = st.query_params.get("experiment", "")
    number = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 11 else 0
    return number if 0 < number <= _LARGEST else None


def _filter(experiment: int | None) -> None:
    if experiment is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"Comparisons of experiment {experiment}.")
        st.button("Show all", on_click=_forget, args=("experiment",), type="tertiary")


def _forget(name: str) -> None:
    st.query_params.pop(name, None)


def _recent(found: Sequence[Comparison]) -> None:
    frame = recent_frame(found)
    made = frame["made"].map(lambda moment: moment.astimezone(zone()))
    words = ["candidate", "baseline", "scorer"]
    shown = frame.drop(columns="id").assign(
        made=made.map(lambda moment: f"{moment:%Y-%m-%d %H:%M %Z}"),
        **{name: frame[name].map(visible) for name in words},
    )
    st.caption("Select a row to open it." + (" The newest come first." if len(frame) > 1 else ""))
    st.dataframe(
        shown,
        hide_index=True,
        key="recent",
        selection_mode="single-row",
        on_select=partial(_open, list(frame["id"])),
        column_config={
            "verdict": "Verdict",
            "marks": "Marks",
            "candidate": "Candidate",
            "baseline": "Baseline",
            "scorer": "Scorer",
            "difference": "Difference",
            "examples": st.column_config.NumberColumn("Examples", format="localized"),
            "made": "Made",
        },
    )
    st.download_button(
        "CSV",
        csv_bytes(frame),
        file_name="comparisons.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
        key="csv-recent",
    )


def _open(ids: Sequence[str]) -> None:
    if rows := st.session_state["recent"]["selection"]["rows"]:
        st.query_params.from_dict({"id": ids[rows[0]]})


def _offer(session: Session, experiment: int | None) -> None:
    """Offer to compare two runs. What has no score yet is scored first, by a worker."""
    known = session.client.page(runs.listing(experiment), limit=_RUNS).items
    if len(known) < 2:
        return
    with st.expander("Compare two runs", icon=":material/compare_arrows:"):
        by_id = {str(run.id): run for run in known}

        def name_of(run_id: str) -> str:
            return visible(by_id[run_id].name)

        left, right = st.columns(2)
        ids = list(by_id)
        with left:
            baseline = st.selectbox("Baseline", ids, len(ids) - 1, name_of, key="baseline")
        others = [one for one in ids if by_id[one].dataset == by_id[str(baseline)].dataset]
        others = [one for one in others if one != baseline]
        with right:
            candidate = st.selectbox("Candidate", others, format_func=name_of, key="candidate")
        if candidate is None:
            st.caption("No other run is over this dataset, so there is nothing to compare with.")
            return
        _ask(session, by_id[str(baseline)], by_id[str(candidate)])


def _ask(session: Session, baseline: Run, candidate: Run) -> None:
    standings = session.client.send(comparisons.scorers(baseline.id))
    scorers = {_told(one.scorer): _asked(one.scorer) for one in standings}
    left, right = st.columns(2)
    with left:
        chosen = st.selectbox("Scorer of the baseline", list(scorers), key="scorer")
    with right:
        other = st.text_input(
            "Or another scorer",
            key="other_scorer",
            max_chars=1_000,
            placeholder="such as contains:ignore_case=true",
            help="What has no score by it yet is scored first.",
        )
    margin = margin_input(None, key="margin")
    if st.button("Compare", type="primary", disabled=not (chosen or other)):
        scorer = other or scorers[str(chosen)]
        call = comparisons.ask(baseline.id, [candidate.id], scorer, margin=margin)
        try:
            job = session.client.send(call)
        except APIError as error:
            st.error(escaped(error.detail), icon=":material/error:")
            return
        st.query_params["job"] = str(job.id)
        st.rerun()


def _told(scorer: Scorer) -> str:
    return visible(scorer_name(scorer.name, scorer.version, scorer.config))


def _asked(scorer: Scorer) -> Mapping[str, Any]:
    return {"name": scorer.name, **scorer.config}


@st.fragment(run_every=_POLL_S)
def _follow(session: Session, job_id: str) -> None:
    """Say how far a comparison that was asked for is; once it is done, offer to open it."""
    try:
        job = session.client.send(jobs.progress(job_id)).job
        with st.container(border=True):
            _tell(session, job)
    except ClientError as error:
        st.error(escaped(str(error)), icon=":material/error:")


def _tell(session: Session, job: Job) -> None:
    if not job.ended:
        word = "waits for a worker" if job.status == "queued" else "is being worked on"
        st.markdown(f":material/hourglass_top: The comparison {word}.")
        return
    st.button("Dismiss", on_click=_forget, args=("job",), type="tertiary")
    if job.status != "done":
        told = job.detail.get("error") or f"It ended as {job.status}."
        st.error(f"The comparison failed. {escaped(str(told))}", icon=":material/error:")
        return
    made = _made(session, job)
    if made is None:
        st.info("The comparison is done; it is in the list.")
        return
    st.markdown(f":material/check: {escaped(str(made.result['sentence']))}")
    link(session, "compare", "Open the comparison", id=str(made.id))


def _made(session: Session, job: Job) -> Comparison | None:
    """Return the comparison that a job made: the newest of the runs that it was asked for."""
    asked = job.asked or {}
    candidates = asked.get("candidate_run_ids")
    if not isinstance(candidates, list) or not candidates:
        return None
    pair = (str(asked.get("baseline_run_id")), str(candidates[0]))
    listing = comparisons.listing(run_id=UUID(pair[1]))
    return next(
        (
            one
            for one in session.client.page(listing, limit=_RECENT).items
            if (str(one.baseline_run_id), str(one.candidate_run_id)) == pair
        ),
        None,
    )
