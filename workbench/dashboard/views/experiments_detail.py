"""One experiment: how far it is, what was found, its runs, what was asked, its jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import streamlit as st

from workbench.client import experiments, jobs
from workbench.client.experiments import (
    Experiment,
    ExperimentResults,
    ExperimentStanding,
    GateDecision,
    ToldVerdict,
)
from workbench.client.jobs import Job
from workbench.dashboard.charts.experiments import cells_chart
from workbench.dashboard.elements import (
    chart,
    csv_bytes,
    link,
    plain,
    shown_time,
    verdict_badge,
    zone,
)
from workbench.dashboard.frames.experiments import (
    cell_frame,
    job_error,
    job_frame,
    run_frame,
    run_title,
    standing_word,
    warnings_of,
)
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped
from workbench.dashboard.views.experiments_actions import show_actions
from workbench.dashboard.views.experiments_list import status_badge
from workbench.dashboard.views.experiments_progress import show_progress, unfinished

__all__ = ["show_experiment"]

_JOBS_SHOWN: Final = 20
_MEAN: Final = "%.3f"
_COUNT: Final = "localized"
_DECISIONS_SHOWN: Final = 20
_DECIDED: Final = {
    "passed": (":material/check:", "green"),
    "worse": (":material/arrow_downward:", "red"),
    "not_proven": (":material/question_mark:", "gray"),
    "incomparable": (":material/link_off:", "gray"),
    "blocked": (":material/block:", "orange"),
    "infrastructure": (":material/build:", "orange"),
}


def show_experiment(session: Session, number: int) -> None:
    """Draw one experiment."""
    link(session, "experiments", "All experiments", icon=":material/arrow_back:")
    standing = session.client.send(experiments.standing(number))
    results = session.client.send(experiments.results(number))
    worked = session.client.page(jobs.listing(number), limit=_JOBS_SHOWN).items
    work = unfinished(worked)
    _head(standing.experiment, work)
    show_progress(session, standing, work, others=any(not job.ended for job in worked))
    if session.may("experiment:run"):
        show_actions(session, standing, work, worked)
    _told_failures(worked)
    for told in warnings_of(standing, results):
        st.warning(escaped(told), icon=":material/warning:")
    _verdicts(session, _in_order(results.verdicts, standing))
    _decisions(session, standing)
    _runs(session, standing, results)
    _asked(session, standing.experiment)
    _jobs(worked)


def _head(experiment: Experiment, work: Job | None) -> None:
    title = f"Experiment {experiment.number}"
    if experiment.name:
        title = f"{title}: {experiment.name}"
    st.header(escaped(title), anchor=False)
    with st.container(horizontal=True, vertical_alignment="center"):
        status_badge(standing_word(experiment.status, None if work is None else work.status))
        st.caption(
            f"{escaped(experiment.dataset)} · {experiment.example_count:,} examples × "
            f"{len(experiment.runs)} runs × {experiment.repetitions} · "
            f"{escaped(experiment.created_by)} · {escaped(shown_time(experiment.created_at))}"
        )


def _told_failures(worked: Sequence[Job]) -> None:
    """Tell why the last job failed; what came before it is in the list of jobs."""
    ended = [job for job in worked if job.ended]
    told = job_error(ended[0]) if ended else None
    if told is not None:
        st.error(
            f"The last job ({escaped(ended[0].kind)}) is {escaped(ended[0].status)}: "
            f"{escaped(told[0])}",
            icon=":material/error:",
        )


def _in_order(
    verdicts: Sequence[ToldVerdict], standing: ExperimentStanding
) -> Sequence[ToldVerdict]:
    """Return the verdicts in the order of the runs that they are of."""
    place = {run.run.id: index for index, run in enumerate(standing.runs)}
    return sorted(verdicts, key=lambda it: place.get(it.candidate_run_id, len(place)))


def _verdicts(session: Session, verdicts: Sequence[ToldVerdict]) -> None:
    if not verdicts:
        return
    st.subheader("Verdicts", anchor=False)
    for found in verdicts:
        if found.primary:
            _verdict(session, found)
    others = [found for found in verdicts if not found.primary]
    if others:
        with st.expander(f"Under other scorers ({len(others)})"):
            for found in others:
                _verdict(session, found)


def _verdict(session: Session, found: ToldVerdict) -> None:
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            verdict_badge(found.verdict)
            st.markdown(f"**{escaped(run_title(found.candidate))}**")
        st.markdown(escaped(found.sentence))
        pairs = "" if found.n_pairs is None else f"{found.n_pairs:,} pairs · "
        st.caption(
            f"{pairs}against {escaped(run_title(found.baseline))} by {escaped(found.scorer)}"
        )
        link(
            session,
            "compare",
            f"Compare {run_title(found.candidate)}",
            icon=":material/compare_arrows:",
            id=str(found.comparison_id),
        )


def _decisions(session: Session, standing: ExperimentStanding) -> None:
    number = standing.experiment.number
    found = session.client.page(experiments.gate_decisions(number), limit=_DECISIONS_SHOWN).items
    if not found:
        return
    names = {run.run.id: run_title(run.run.name) for run in standing.runs}
    st.subheader("Gate decisions", anchor=False)
    for decision in found:
        _decision(decision, names.get(decision.candidate_run_id, "a run of another experiment"))


def _decision(decision: GateDecision, candidate: str) -> None:
    icon, colour = _DECIDED.get(decision.decision, (":material/help:", "gray"))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(escaped(decision.decision.replace("_", " ")), icon=icon, color=colour)  # type: ignore[arg-type] # a colour's name
        binding = "a promotion may rest on it" if decision.binding else "binds no promotion"
        st.caption(
            f"{escaped(candidate)} · {binding} · {escaped(decision.created_by)} · "
            f"{escaped(shown_time(decision.created_at))} · {escaped(decision.evidence_hash[:19])}"
        )


def _runs(session: Session, standing: ExperimentStanding, results: ExperimentResults) -> None:
    st.subheader("Runs", anchor=False)
    frame = run_frame(standing, results)
    st.dataframe(
        frame,
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(
                format=_MEAN if name.startswith("mean ") else _COUNT
            )
            for name in frame.columns
            if name not in ("run", "US dollars")
        },
        alt="The runs with their means, cells, tokens and cost.",
    )
    st.download_button(
        "CSV of the runs",
        csv_bytes(frame),
        file_name=f"experiment-{standing.experiment.number}-runs.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
    )
    with st.expander("Read the generations of a run"):
        for run in standing.runs:
            link(
                session,
                "generations",
                f"Generations of {run_title(run.run.name)}",
                icon=":material/fact_check:",
                run_id=str(run.run.id),
            )
    cells = cell_frame(standing)
    if len(cells):
        with st.expander("Cells of each run"):
            chart(
                cells_chart(cells, standing.wanted),
                cells,
                f"experiment-{standing.experiment.number}-cells",
                alt_text="Bars: for each run how many cells are completed, failed or open.",
            )


def _asked(session: Session, experiment: Experiment) -> None:
    with st.expander("What was asked"):
        link(
            session,
            "datasets",
            f"Dataset {experiment.dataset}",
            icon=":material/dataset:",
            name=experiment.dataset.partition("@")[0],
            version=experiment.dataset.partition("@")[2],
        )
        st.dataframe(
            _variant_rows(experiment.spec), hide_index=True, alt="The variants that were asked."
        )
        plan = experiment.plan
        margin = "no margin" if plan.margin is None else f"margin {plan.margin:g}"
        limit = "" if experiment.example_limit is None else f", first {experiment.example_limit:,}"
        st.markdown(
            escaped(
                f"Plan: {plan.mode}, {plan.goal.replace('_', ' ')}, {margin}. "
                f"Repetitions: {experiment.repetitions}{limit}."
            )
        )
        scorers: Any = experiment.spec.get("scorers") or []
        plain("\n".join(_scorer_line(it) for it in scorers) or "none", label="Scorers")


def _variant_rows(spec: Mapping[str, Any]) -> list[dict[str, str]]:
    baseline = spec.get("baseline_run") or spec.get("baseline_alias")
    return [
        {
            "prompt": str(it["prompt"]),
            "model": str(it["model"]),
            "parameters": _pairs(it["parameters"]) or "defaults",
            "baseline": "yes" if baseline is None and index == spec.get("baseline") else "",
        }
        for index, it in enumerate(spec["variants"])
    ]


def _scorer_line(scorer: Mapping[str, Any]) -> str:
    options = _pairs(scorer["config"])
    return f"{scorer['name']} v{scorer['version']}{': ' if options else ''}{options}"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _jobs(worked: Sequence[Job]) -> None:
    if not worked:
        return
    with st.expander(f"Jobs ({len(worked)})"):
        frame = job_frame(worked)
        for column in ("queued at", "started at", "ended at"):
            frame[column] = [
                None if it is None else shown_time(it) for it in _times(worked, column)
            ]
        st.dataframe(frame, hide_index=True, alt=f"Jobs, newest first; times in {zone().key}.")
        for job in worked:
            told = job_error(job)
            if told is not None:
                when = shown_time(job.ended_at)
                plain(told[0], label=f"Why the {job.kind} of {when} is {job.status}")


def _times(worked: Sequence[Job], column: str) -> list[Any]:
    return [getattr(job, column.replace(" ", "_")) for job in worked]
