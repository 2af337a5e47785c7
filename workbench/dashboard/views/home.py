"""The page of home: what runs, what failed, what was found, and what it cost.

Each part shows what the person may see, and is left out for whoever may not see any of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from workbench.client import ClientError, comparisons, experiments, jobs
from workbench.client.comparisons import Comparison
from workbench.client.experiments import ExperimentSummary
from workbench.comparison_words import marks
from workbench.dashboard.elements import link, marks_badges, shown_time, verdict_badge
from workbench.dashboard.frames.compare import side_titles
from workbench.dashboard.frames.experiments import standing_word
from workbench.dashboard.frames.home import Failure, failures, under_way
from workbench.dashboard.session import Session
from workbench.dashboard.text import dollars, escaped, shortened
from workbench.dashboard.views.home_first_steps import show_first_steps
from workbench.dashboard.views.home_money import show_money

__all__ = ["show"]

_LOOKED_AT: Final = 20
"""Experiments of which failed cells are told, the newest."""

_SHOWN: Final = 5
_LIVE_S: Final = 3.0
_FAILED: Final = ("failed", "lost")
_WAITING: Final = ("queued", "running")


def show(session: Session) -> None:
    """Draw the page."""
    if not session.me.permissions:
        st.info(
            "You are signed in, and have no role yet. An admin can grant you one; the page shows "
            "what you may see then.",
            icon=":material/lock:",
        )
        return
    if not session.may("experiment:read"):
        show_money(session)
        return
    newest = session.client.page(experiments.overview(), limit=_LOOKED_AT).items
    if not newest:
        show_first_steps(session)
    work, money = st.columns([3, 2], gap="large")
    with work:
        _running(session)
        _failed(session, newest)
        _verdicts(session)
    with money:
        show_money(session)


def _running(session: Session) -> None:
    """Draw what runs; it is looked at again while anything does, or waits."""
    st.subheader("Under way", anchor=False)
    busy = bool(session.client.page(jobs.listing(statuses=_WAITING), limit=1).items)
    st.fragment(_draw_running, run_every=_LIVE_S if busy else None)(session)


def _draw_running(session: Session) -> None:
    try:
        found = under_way(session.client.page(experiments.overview(status="open")).items)
        waiting = session.client.page(jobs.listing(statuses=_WAITING)).items
    except ClientError as error:
        st.warning(f"{escaped(str(error))} It is tried again.", icon=":material/error:")
        return
    if not found and not waiting:
        st.caption("Nothing runs.")
    for one in found[:_SHOWN]:
        _progress(session, one)
    if len(found) > _SHOWN:
        link(session, "experiments", f"{len(found) - _SHOWN} more", status="open")
    shown = {it.number for it in found}
    others = [it for it in waiting if it.experiment not in shown]
    for job in others[:_SHOWN]:
        about = "" if job.experiment is None else f" of experiment {job.experiment}"
        since = shown_time(job.started_at or job.queued_at)
        st.caption(
            f"{escaped(job.kind)}{about} is {escaped(job.status)} since {escaped(since)}, "
            f"asked by {escaped(job.actor)}"
        )


def _progress(session: Session, found: ExperimentSummary) -> None:
    with st.container(border=True, gap="xsmall"):
        link(session, "experiments", _title(found), number=str(found.number))
        share = found.done / found.wanted if found.wanted else 0.0
        failed = f" · {found.failed:,} failed" if found.failed else ""
        cost = "" if found.cost is None else f" · {escaped(dollars(found.cost))}"
        word = standing_word(found.status, found.work)
        st.progress(
            min(1.0, share),
            f"{escaped(word)}: {found.done:,} of {found.wanted:,} cells{failed}{cost}",
        )


def _title(found: ExperimentSummary) -> str:
    name = f": {shortened(found.name, 80)}" if found.name else ""
    return f"Experiment {found.number}{name}"


def _failed(session: Session, newest: Sequence[ExperimentSummary]) -> None:
    lost = session.client.page(jobs.listing(statuses=_FAILED), limit=_SHOWN).items
    found = failures(lost, newest)
    if not found:
        return
    st.subheader("Failed lately", anchor=False)
    for failure in found[:_SHOWN]:
        _failure(session, failure)


def _failure(session: Session, failure: Failure) -> None:
    with st.container(border=True, gap="xsmall"):
        title = shortened(failure.title, 100)
        if failure.experiment is None:
            st.markdown(f"**{escaped(title)}**")
        else:
            link(session, "experiments", title, number=str(failure.experiment))
        st.markdown(f":material/error: {escaped(shortened(failure.sentence, 300))}")
        hint = f"{escaped(shortened(failure.hint, 200))} · " if failure.hint else ""
        st.caption(f"{hint}{escaped(shown_time(failure.at))}")


def _verdicts(session: Session) -> None:
    st.subheader("Recent verdicts", anchor=False)
    found = session.client.page(comparisons.listing(), limit=_SHOWN).items
    if not found:
        st.caption("No runs were compared yet: an experiment with a scorer ends with a verdict.")
    for comparison in found:
        _verdict(session, comparison)


def _verdict(session: Session, found: Comparison) -> None:
    told = found.result
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            verdict_badge(found.verdict)
            marks_badges(marks(told))
            link(session, "compare", "Compare", icon=":material/compare_arrows:", id=str(found.id))
        st.markdown(escaped(shortened(str(told.get("sentence", "")), 300)))
        candidate, baseline = side_titles(told)
        st.caption(
            f"{escaped(shortened(candidate, 80))} against {escaped(shortened(baseline, 80))} · "
            f"{escaped(shown_time(found.created_at))}"
        )
