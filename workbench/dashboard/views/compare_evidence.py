"""One comparison: its verdict and warnings, and behind tabs what both rest on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from workbench.client import gates
from workbench.client.comparisons import Comparison
from workbench.client.gates import Decision
from workbench.comparison_words import (
    EXPLORATORY,
    coverage_text,
    dataset_versions,
    marks,
    method_facts,
    result_scorer,
    secondary_facts,
)
from workbench.dashboard.charts.compare import forest, slice_forest, tradeoff
from workbench.dashboard.elements import chart, ink, link, marks_badges, shown_time, verdict_badge
from workbench.dashboard.frames.compare import (
    MAX_SLICES,
    Warned,
    by_baseline,
    checks_frame,
    forest_frame,
    pareto_measures,
    scale_of,
    side_titles,
    sides_frame,
    slices_frame,
    tradeoff_frame,
    warned,
)
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped, visible
from workbench.dashboard.views.compare_family import Family
from workbench.gate_words import DECISION_MEANINGS, decision_word, short_evidence, standing_text
from workbench.number_text import Scale, count_text, level_text

__all__ = ["show_evidence", "show_verdict"]

_LEVEL: Final = 0.95  # of an interval that stands for itself


def show_verdict(session: Session, family: Family) -> None:
    """Say the verdict, what it is about, what stands against it, and where all candidates lie."""
    shown, result = family.shown, family.shown.result
    with st.container(horizontal=True, vertical_alignment="center"):
        verdict_badge(shown.verdict)
        marks_badges(marks(result))
    st.subheader(escaped(str(result["sentence"])), anchor=False)
    candidate, baseline = side_titles(result)
    st.markdown(
        f"Candidate **{escaped(candidate)}** against baseline **{escaped(baseline)}**, "
        f"by {escaped(result_scorer(result))}, over "
        f"{escaped(' and '.join(dataset_versions(result)) or str(result['dataset']))}."
    )
    st.caption(f"Made {shown_time(shown.created_at)} by {escaped(shown.created_by)}")
    with st.container(horizontal=True):
        if family.experiment is not None:
            name = f"Experiment {family.experiment}"
            link(session, "experiments", name, number=str(family.experiment))
        if family.newer is not None:
            link(session, "compare", "A newer comparison of these runs", id=str(family.newer.id))
    _warnings(warned(shown, family.experiment))
    _forest(family)


def _warnings(found: Sequence[Warned]) -> None:
    if not found:
        return
    with st.container(border=True):
        st.markdown("**Before you rely on this**")
        for one in found:
            icon = ":material/block:" if one.blocking else ":material/info:"
            blocks = " This blocks a gate." if one.blocking else ""
            what = f" {escaped(one.remedy)}" if one.remedy else ""
            command = f" `{one.command}`" if one.command else ""
            st.markdown(f"{icon} {escaped(one.text)}{blocks}{what}{command}")


def _forest(family: Family) -> None:
    """Draw all candidates, those with one baseline in one plot."""
    levels: set[float] = set()
    for number, group in enumerate(by_baseline(family.members), start=1):
        frame = forest_frame(group, family.shown)
        levels.update(float(level) for level in frame["level"].dropna())
        baseline, scale = str(group[0].result["baseline_run"]), scale_of(family.shown)
        plot = forest(
            frame,
            title=f"Difference from {baseline}, {scale.told}",
            axis=_axis(scale),
            ink=ink(),
            margin=_margin(family.shown, scale),
        )
        chart(
            plot,
            frame,
            f"candidates-{number}",
            alt_text=f"Difference of {count_text(len(frame), 'candidate')} from the baseline, "
            "each with its interval.",
        )
    st.caption(escaped(_how_to_read(family.shown, levels)))


def _axis(scale: Scale) -> str:
    return f"← worse · {scale.unit} · better →"


def _margin(shown: Comparison, scale: Scale) -> float | None:
    margin = shown.result["margin"]
    return None if margin is None else scale.factor * float(margin)


def _how_to_read(shown: Comparison, levels: Collection[float]) -> str:
    """Explain the level of the intervals and the band of the margin."""
    scale = scale_of(shown)
    told = []
    if wider := sorted(level for level in levels if level > _LEVEL):
        adjusted = " and ".join(level_text(level) for level in wider)
        told.append(
            f"Intervals are at {adjusted}, so that all of them hold together at "
            f"{level_text(_LEVEL)}."
        )
    if shown.result["margin"] is not None:
        distance = scale.distance(float(shown.result["margin"]))
        told.append(f"Inside the band differences are smaller than the margin of {distance}.")
    return " ".join(told)


def show_evidence(session: Session, family: Family, tabs: Sequence[DeltaGenerator]) -> None:
    """Draw what a verdict rests on: slices, cost and latency, denominators, method, gate."""
    slices, price, sides, method, gate = tabs
    with slices:
        _slices(family.shown)
    with price:
        _tradeoff(family)
    with sides:
        _sides(family)
    with method:
        _facts(method_facts(family.shown.result))
    with gate:
        _gate(session, family)


def _slices(shown: Comparison) -> None:
    frame, scale = slices_frame(shown), scale_of(shown)
    left_out = shown.result.get("slices_left_out") or ()
    if frame.empty:
        st.markdown(
            "No slice was looked at: the examples carry no metadata column with 2 to 20 values, "
            "or a sequential plan forbids looking at parts."
        )
    else:
        st.caption(EXPLORATORY)
        plot = slice_forest(
            frame,
            title=f"Difference in each slice, {scale.told}, intervals at 95\N{NO-BREAK SPACE}%",
            axis=_axis(scale),
            ink=ink(),
        )
        chart(plot, frame, "slices", alt_text=f"Differences in {len(frame)} slices with intervals.")
    more = len(shown.result.get("slices") or ()) - MAX_SLICES
    if more > 0:
        st.caption(f"{more} more slices are in the comparison itself, not in this plot.")
    if left_out:
        told = "; ".join(
            f"{one['column']}{'' if one['value'] is None else ' = ' + str(one['value'])} "
            f"({one['reason']})"
            for one in left_out
        )
        st.caption(f"Left out: {escaped(told)}.")
    if secondary := secondary_facts(shown.result):
        st.markdown("**Under the other scorers** (exploratory)")
        _facts(secondary)


def _tradeoff(family: Family) -> None:
    frame = tradeoff_frame(family.members)
    scale = scale_of(family.shown)
    score = f"mean {family.shown.result['scorer']['name']}" + (" in %" if scale.is_rate else "")
    measures = {
        "cost": ("Score and cost", "US dollars an example"),
        "p95": ("Score and latency", "95th percentile of latency, ms"),
    }
    columns = st.columns(2)
    for place, (measure, (title, axis)) in zip(columns, measures.items(), strict=True):
        with place:
            known = frame[frame[measure].notna() & frame["score"].notna()]
            if known.empty or (measure == "cost" and not known["cost"].any()):
                st.caption(_no_plot(measure, is_known=not known.empty))
                continue
            n_text = f"{title}, {len(known)} runs"
            plot = tradeoff(frame, measure, title=n_text, axis=axis, score=score, ink=ink())
            chart(plot, known, f"score-{measure}", alt_text=f"{n_text}: one point a run.")
    st.dataframe(
        frame.assign(run=frame["run"].map(visible)),
        hide_index=True,
        placeholder="unknown",
        column_config={
            "number": st.column_config.NumberColumn("No."),
            "run": "Run",
            "role": "Role",
            "score": st.column_config.NumberColumn(score, format="%.1f"),
            "low": st.column_config.NumberColumn("95 % CI from", format="%.1f"),
            "high": st.column_config.NumberColumn("to", format="%.1f"),
            "cost": st.column_config.NumberColumn("$ an example", format="%.6f"),
            "p50": st.column_config.NumberColumn("p50 ms", format="%.0f"),
            "p95": st.column_config.NumberColumn("p95 ms", format="%.0f"),
            "best": "Best trade-off",
        },
    )
    names = {"score": "score", "cost": "cost", "p95": "p95 latency"}
    held = ", ".join(names[name] for name in pareto_measures(frame))
    st.caption(
        f"Squares are baselines. Best trade-off: no other run is as good in {held} and better in "
        "one of them. What is not known of every run is left out of this."
    )


def _no_plot(measure: str, *, is_known: bool) -> str:
    if measure == "cost" and is_known:
        return "Nothing cost anything here, so there is no plot of cost."
    return f"{'The cost' if measure == 'cost' else 'The latency'} of these runs is not known."


def _sides(family: Family) -> None:
    frame = sides_frame(family.members)
    st.dataframe(frame.assign(run=frame["run"].map(visible)), hide_index=True)
    st.caption(
        "Cells are examples times repetitions. A cell without a score is counted where it ended "
        "and is never a 0; the difference rests on the examples that are scored on both sides."
    )
    if told := coverage_text(family.shown.result):
        st.markdown(f"Coverage: {escaped(told)}.")


def _facts(facts: Sequence[tuple[str, str]]) -> None:
    for name, text in facts:
        st.markdown(f"**{escaped(name)}**: {escaped(text)}")


def _gate(session: Session, family: Family) -> None:
    found: list[Decision] = []
    if family.experiment is not None:
        every = session.client.page(gates.decisions(family.experiment)).items
        wanted = family.shown.candidate_run_id
        found = [one for one in every if one.candidate_run_id == wanted]
    if not found:
        st.markdown(
            "No gate has decided on this candidate. Declare a plan in the experiment, then let "
            "`workbench gate` decide it, or go on with it by `workbench resume NUMBER --gate`."
        )
        return
    newest, *earlier = found
    st.markdown(f"**{escaped(decision_word(newest.decision).capitalize())}**")
    st.markdown(escaped(f"{DECISION_MEANINGS.get(newest.decision, '')}.".capitalize()))
    st.markdown(escaped(f"{standing_text(newest.evidence)}.".capitalize()))
    for reason in newest.evidence.get("reasons") or ():
        st.markdown(f"- {escaped(str(reason))}")
    checks = checks_frame(newest)
    st.dataframe(checks.map(visible), hide_index=True)
    told = f"Evidence {short_evidence(newest.evidence_hash)}"
    st.caption(
        f"{told}, made {shown_time(newest.created_at)} by {escaped(newest.created_by)}. "
        f"{len(earlier)} earlier decisions."
    )
