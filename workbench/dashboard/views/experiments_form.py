"""The form that starts an experiment, with what it will cost before it starts.

The address may fill it in: `?new=1&dataset=triage@1&prompt=triage@1&prompt=triage@2&model=...`, or
`copy=<job>` for something like what was asked before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

import streamlit as st

from workbench.client import APIError, Conflict, Invalid, NotFound, experiments, jobs
from workbench.client import datasets as dataset_calls
from workbench.client import models as model_calls
from workbench.client import prompts as prompt_calls
from workbench.client.experiments import ExperimentEstimate
from workbench.dashboard.elements import link, margin_input
from workbench.dashboard.frames.experiment_questions import (
    SCORERS,
    Draft,
    FieldError,
    dataset_options,
    draft_of,
    field_of,
    missing,
    model_options,
    priced_part,
    prompt_options,
    question,
    scorer_label,
    verdict_remark,
)
from workbench.dashboard.frames.experiments import (
    dollars_between,
    duration_between,
    estimate_frame,
    estimate_remarks,
    job_error,
)
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped

__all__ = ["show_form"]

_OFFERED: Final = 200  # of each noun
_ESTIMATED: Final = "experiment-estimate"
_KEY: Final = "experiment-start-key"
_ERRORS: Final = "experiment-errors"


def show_form(session: Session) -> None:
    """Draw the form, the estimate of what stands in it, and the button that starts it."""
    link(session, "experiments", "All experiments", icon=":material/arrow_back:")
    st.header("New experiment", anchor=False)
    st.markdown(
        "Every example of a dataset is asked of every prompt version on every model version; the "
        "answers are scored, and each candidate is compared with the baseline."
    )
    start = _start_of(session)
    form = _Form(session, start, _told_errors())
    draft = form.draw()
    body, errors = question(draft)
    errors = [*missing(draft), *errors]
    if errors:
        st.info(" ".join(escaped(error.message) for error in errors), icon=":material/edit_note:")
        st.button("Start experiment", type="primary", disabled=True, icon=":material/play_arrow:")
        return
    if remark := verdict_remark(draft):
        st.caption(remark)
    found = _estimate(session, body)
    if found is not None:
        _show_estimate(found, draft.budget)
    if st.button("Start experiment", type="primary", icon=":material/play_arrow:"):
        _ask(session, body)


def _told_errors() -> Mapping[str | None, str]:
    """Return what the API said of the form as it stood, by field."""
    told: list[FieldError] = st.session_state.get(_ERRORS, [])
    return {error.field: error.message for error in told}


def _start_of(session: Session) -> Draft:
    """Return what the form begins with: what the address says, or what a job was asked."""
    copied = st.query_params.get("copy")
    if copied is None:
        several = {name: st.query_params.get_all(name) for name in ("prompt", "model", "scorer")}
        return Draft(
            dataset=st.query_params.get("dataset"),
            prompts=several["prompt"],
            models=several["model"],
            scorers=several["scorer"],
        )
    job = session.client.send(jobs.progress(copied)).job
    error = job_error(job)
    if error is not None and _ERRORS not in st.session_state:
        st.session_state[_ERRORS] = [FieldError(error[0], field_of(error[1]))]
    return draft_of(job.asked or {})


class _Form:
    """The form's widgets, each with what the API said about its field below it."""

    def __init__(self, session: Session, start: Draft, errors: Mapping[str | None, str]) -> None:
        self._session = session
        self._start = start
        self._errors = errors

    def draw(self) -> Draft:
        """Draw every field and return what stands in them."""
        self._error(None)
        asked = self._question()
        judged = self._judgement(asked.prompts)
        spent = self._spending()
        more = self._more()
        return Draft(
            name=more.name,
            dataset=asked.dataset,
            prompts=asked.prompts,
            models=asked.models,
            scorers=judged.scorers,
            baseline=judged.baseline,
            margin=judged.margin,
            goal=more.goal,
            sequential=more.sequential,
            planned=more.planned,
            repetitions=spent.repetitions,
            limit=spent.limit,
            budget=spent.budget,
            parameters=more.parameters,
            other=more.other,
            mapping=more.mapping,
            cache=more.cache,
        )

    def _error(self, field: str | None) -> None:
        if field in self._errors:
            st.error(escaped(self._errors[field]), icon=":material/error:")

    def _question(self) -> Draft:
        client, start = self._session.client, self._start
        datasets = dataset_options(client.page(dataset_calls.listing(), limit=_OFFERED).items)
        prompts = prompt_options(client.page(prompt_calls.listing(), limit=_OFFERED).items)
        models = model_options(client.page(model_calls.listing(), limit=_OFFERED).items)
        options = _with(datasets, [start.dataset] if start.dataset else [])
        dataset = st.selectbox(
            "Dataset version",
            options,
            index=options.index(start.dataset) if start.dataset else None,
            placeholder="Choose one",
            key="form-dataset",
        )
        self._error("dataset")
        chosen_prompts = st.multiselect(
            "Prompt versions",
            _with(prompts, start.prompts),
            default=list(start.prompts),
            placeholder="Choose one or more",
            key="form-prompts",
        )
        self._error("prompts")
        chosen_models = st.multiselect(
            "Model versions",
            _with(models, start.models),
            default=list(start.models),
            placeholder="Choose one or more",
            key="form-models",
        )
        self._error("models")
        return Draft(dataset=dataset, prompts=chosen_prompts, models=chosen_models)

    def _judgement(self, prompts: Sequence[str]) -> Draft:
        start = self._start
        scorers = st.multiselect(
            "Scorers",
            _with(list(SCORERS), start.scorers),
            default=list(start.scorers),
            format_func=scorer_label,
            accept_new_options=True,
            placeholder="Choose, or write one such as length:max=50",
            help="The first one decides. `workbench scorers list` has all of them.",
            key="form-scorers",
        )
        self._error("scorers")
        left, right = st.columns(2)
        with left:
            known = _with(list(prompts), [start.baseline] if start.baseline else [])
            baseline = st.selectbox(
                "Baseline",
                known,
                index=known.index(start.baseline) if start.baseline else None,
                placeholder="the first prompt version",
                accept_new_options=True,
                help="A prompt version, a stored run, or an alias such as bot@production.",
                key="form-baseline",
            )
            self._error("baseline")
        with right:
            margin = margin_input(start.margin, key="form-margin")
            self._error("margin")
        return Draft(scorers=scorers, baseline=baseline, margin=margin)

    def _spending(self) -> Draft:
        start = self._start
        first, second, third = st.columns(3)
        with first:
            repetitions = st.number_input(
                "Repetitions",
                min_value=1,
                max_value=1000,
                value=start.repetitions,
                help="How often each example is asked of each variant.",
                key="form-repetitions",
            )
            self._error("repetitions")
        with second:
            limit = st.number_input(
                "First examples only",
                min_value=1,
                value=start.limit,
                placeholder="all",
                key="form-limit",
            )
            self._error("limit")
        budget = None
        with third:
            if self._session.may("budget:write"):
                budget = st.number_input(
                    "Budget in US dollars",
                    min_value=0.0,
                    value=start.budget,
                    step=1.0,
                    placeholder="none",
                    help="Never spent beyond, judges included.",
                    key="form-budget",
                )
            self._error("budget")
        return Draft(repetitions=repetitions, limit=limit, budget=budget or None)

    def _more(self) -> Draft:
        start = self._start
        is_needed = any(field in self._errors for field in ("name", "parameters", "map", "plan"))
        with st.expander("Name, parameters and plan", expanded=is_needed):
            name = st.text_input("Name", value=start.name, max_chars=200, key="form-name")
            self._error("name")
            parameters = self._parameters()
            other = st.text_input(
                "Other parameters",
                value=start.other,
                placeholder='{"seed": 7}',
                help="A JSON object.",
                key="form-other",
            )
            self._error("parameters")
            mapping = st.text_area(
                "Columns for variables",
                value=start.mapping,
                placeholder="variable=column",
                help="One a line, where names differ.",
                height=80,
                key="form-map",
            )
            self._error("map")
            goal = st.selectbox(
                "What a candidate has to show",
                ["non_inferiority", "superiority"],
                index=int(start.goal == "superiority"),
                format_func=lambda it: it.replace("_", " "),
                key="form-goal",
            )
            plan = st.radio(
                "Plan",
                ["fixed", "sequential"],
                index=int(start.sequential),
                captions=["One look at the end.", "Stops early when the verdict is clear."],
                key="form-plan",
            )
            planned = st.number_input(
                "Planned examples",
                min_value=1,
                value=start.planned,
                placeholder="all in use",
                key="form-planned",
            )
            self._error("plan")
            cache = st.checkbox(
                "Use stored answers to equal requests", value=start.cache, key="form-cache"
            )
        return Draft(
            name=name.strip(),
            parameters=parameters,
            other=other,
            mapping=mapping,
            goal=goal,
            sequential=plan == "sequential",
            planned=planned,
            cache=cache,
        )

    def _parameters(self) -> Mapping[str, float | int | None]:
        start = self._start.parameters
        columns = st.columns(3)
        with columns[0]:
            temperature = st.number_input(
                "Temperature",
                value=_number(start.get("temperature")),
                step=0.1,
                placeholder="default",
                key="form-temperature",
            )
        with columns[1]:
            top_p = st.number_input(
                "Top p",
                value=_number(start.get("top_p")),
                step=0.1,
                placeholder="default",
                key="form-top-p",
            )
        with columns[2]:
            most = start.get("max_tokens")
            max_tokens = st.number_input(
                "Max tokens",
                min_value=1,
                value=None if most is None else int(most),
                placeholder="default",
                key="form-max-tokens",
            )
        return {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}


def _number(value: float | int | None) -> float | None:
    return None if value is None else float(value)


def _with(options: list[str], chosen: Sequence[str]) -> list[str]:
    """Return the options with those that are chosen already, whether they are offered or not."""
    return list(dict.fromkeys([*options, *chosen]))


def _estimate(session: Session, body: Mapping[str, Any]) -> ExperimentEstimate | None:
    """Return what the question costs, asked once for as long as it stays the same; what the API
    says against it stands in the form from then on."""
    asked = priced_part(body)
    kept: tuple[str, ExperimentEstimate | None] | None = st.session_state.get(_ESTIMATED)
    if kept is not None and kept[0] == asked:
        return kept[1]
    found: ExperimentEstimate | None = None
    errors: list[FieldError] = []
    with st.spinner("Estimating…"):
        try:
            found = session.client.send(experiments.estimate(body))
        except (Conflict, Invalid, NotFound) as error:
            errors = [FieldError(error.detail, field_of(error.path))]
    st.session_state[_ESTIMATED] = (asked, found)
    if errors or (kept is not None and st.session_state.get(_ERRORS)):
        st.session_state[_ERRORS] = errors
        st.rerun()
    return found


def _show_estimate(found: ExperimentEstimate, budget: float | None) -> None:
    with st.container(border=True, key="experiment-estimate"):
        st.markdown("**Estimate**")
        with st.container(horizontal=True):
            st.metric("Calls", f"{found.calls:,}", width="content")
            cost = "unknown"
            if found.cost is not None:
                cost = dollars_between(found.cost.low, found.cost.high)
            st.metric("Cost", escaped(cost), width="content")
            tokens = (
                found.input_tokens.low + found.output_tokens.low,
                found.input_tokens.high + found.output_tokens.high,
            )
            st.metric("Tokens", f"{tokens[0]:,.0f} to {tokens[1]:,.0f}", width="content")
            time = "unknown"
            if found.seconds is not None:
                time = duration_between(found.seconds.low, found.seconds.high)
            st.metric("Time", time, width="content")
            st.metric("Answers used again", f"{found.reused:,}", width="content")
        if budget is not None and found.cost is not None and found.cost.high > budget:
            st.warning(
                "The budget is below what is possible: the experiment stops when it is reached, "
                "and can be resumed with a higher one.",
                icon=":material/warning:",
            )
        for line in estimate_remarks(found):
            st.caption(escaped(line))
        with st.expander("By variant"):
            st.dataframe(estimate_frame(found), hide_index=True, alt="The estimate by variant.")


def _ask(session: Session, body: Mapping[str, Any]) -> None:
    """Start the experiment, once however often the button is pressed, and go to it."""
    key = st.session_state.setdefault(_KEY, str(uuid4()))
    try:
        job = session.client.send(experiments.start(body, key=key))
    except (Conflict, Invalid, NotFound) as error:
        st.session_state.pop(_KEY, None)
        st.session_state[_ERRORS] = [_error_of(error)]
        st.rerun()
    for kept in (_KEY, _ERRORS, _ESTIMATED):
        st.session_state.pop(kept, None)
    st.query_params.from_dict({"job": str(job.id)})
    st.rerun()


def _error_of(error: APIError) -> FieldError:
    return FieldError(error.detail, field_of(error.path))
