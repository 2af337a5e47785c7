"""One model version: its limits and parameters, prices, use, and what stands on it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Literal

import streamlit as st

from workbench.client import models
from workbench.client.models import AliasBinding, Bindings, Model, Usage
from workbench.dashboard.charts.models import price_chart, usage_chart
from workbench.dashboard.elements import chart, empty_state, link, marks_badges, shown_time
from workbench.dashboard.frames.models import (
    parameter_frame,
    price_frame,
    price_table,
    status_text,
    usage_days,
    usage_table,
    usage_totals,
)
from workbench.dashboard.session import Session
from workbench.dashboard.text import dollars, escaped
from workbench.dashboard.views import models_changes

__all__ = ["show"]

_PARAMETERS, _PRICES, _USAGE, _BINDINGS, _CHANGE = (
    "Parameters",
    "Prices",
    "Usage",
    "In use by",
    "Change",
)
_MOST_SIBLINGS: Final = 50
_DAYS: Final = 30
_COLOURS: Final[dict[str, Literal["green", "orange", "red", "gray"]]] = {
    "active": "green",
    "deprecated": "orange",
    "retired": "red",
}


def show(session: Session, reference: str) -> None:
    """Draw one version: that of the reference, or without a number the latest."""
    link(session, "models", "All models", icon=":material/arrow_back:")
    model = session.client.send(models.version(reference))
    models_changes.tell_done()
    _show_head(session, model)
    views = [_PARAMETERS, _PRICES, _USAGE, _BINDINGS]
    if session.may("model:write"):
        views.append(_CHANGE)
    view = st.segmented_control(
        "View",
        views,
        default=_PARAMETERS,
        required=True,
        key="view",
        bind="query-params",
        label_visibility="collapsed",
    )
    if view == _PRICES:
        _show_prices(session, model)
    elif view == _USAGE:
        _show_usage(session, model)
    elif view == _BINDINGS:
        _show_bindings(session, model)
    elif view == _CHANGE and session.may("model:write"):
        models_changes.show(session, model)
    else:
        _show_parameters(session, model)


def _show_head(session: Session, model: Model) -> None:
    st.header(escaped(model.reference), anchor=False)
    with st.container(horizontal=True):
        st.badge(escaped(model.status), color=_COLOURS.get(model.status, "gray"))
        if model.floating:
            st.badge(
                "floating name",
                icon=":material/sync:",
                color="orange",
                help="The provider may change what stands behind this name at any time.",
            )
        else:
            st.badge("pinned", icon=":material/push_pin:", color="blue", help="One snapshot.")
        if model.provider == "simulated":
            marks_badges(["simulated"])
    _show_end(session, model)
    known = {
        "Context window": _tokens(model.facts.context_window),
        "Longest output": _tokens(model.facts.max_output_tokens),
        "Input now": _now(model, output=False),
        "Output now": _now(model, output=True),
    }
    with st.container(horizontal=True):
        for label, value in known.items():
            st.metric(label, value, width="content", border=True)
    st.caption(
        f"Sent as {escaped(model.provider_model)} to endpoint {escaped(model.endpoint)}"
        f"{'' if model.digest is None else ', digest ' + escaped(model.digest)}. Declared by "
        f"{escaped(model.created_by)} on {escaped(shown_time(model.created_at))}. "
        "Prices are US dollars per million tokens."
    )
    _show_siblings(session, model)


def _show_end(session: Session, model: Model) -> None:
    """Say when a version ends and what follows it, if it does."""
    if model.status not in ("deprecated", "retired"):
        return
    st.warning(
        f"This version is {escaped(status_text(model, datetime.now(UTC)))}.",
        icon=":material/event_busy:",
    )
    if model.successor is not None:
        link(session, "models", f"Go to {model.successor}", model=model.successor)


def _show_siblings(session: Session, model: Model) -> None:
    """Link to the other versions of the same model."""
    listing = models.listing(provider=model.provider, search=model.name)
    page = session.client.page(listing, None, _MOST_SIBLINGS)
    others = [one for one in page.items if one.name == model.name and one.number != model.number]
    if others:
        with st.container(horizontal=True):
            st.caption("Other versions:", width="content")
            for one in others:
                link(session, "models", f"{one.number} ({one.status})", model=one.reference)


def _tokens(count: int | None) -> str:
    return "unknown" if count is None else f"{count:,}"


def _now(model: Model, *, output: bool) -> str:
    if model.price is None:
        return "unknown"
    return escaped(dollars(model.price.output if output else model.price.input))


def _show_parameters(session: Session, model: Model) -> None:
    found = session.client.send(models.parameters(model.reference))
    st.caption(
        "What may be asked of this version, and what is sent if neither the request nor the prompt "
        "asks for a value. A value out of bounds is refused, never moved."
    )
    st.dataframe(
        parameter_frame(found),
        hide_index=True,
        height="content",
        alt="Parameters with bounds and defaults",
        column_config={"accepted": st.column_config.TextColumn(width=130)},
    )


def _show_prices(session: Session, model: Model) -> None:
    prices = session.client.send(models.prices(model.reference))
    if not prices:
        empty_state(
            "No price is known.",
            "Budgets refuse a model without a price. Record one under **Change**, or with "
            "`workbench models price`.",
        )
        return
    now = datetime.now(UTC)
    frame = price_frame(prices, now)
    chart(
        price_chart(frame),
        frame,
        f"prices-{model.provider}-{model.number}",
        alt_text="Prices per million tokens over time, as steps",
    )
    st.dataframe(price_table(prices, now), hide_index=True, alt="All prices, newest first")


def _show_usage(session: Session, model: Model) -> None:
    usage = session.client.send(models.usage(model.reference, days=_DAYS))
    if not usage.purposes:
        empty_state(
            "Usage is not shown to you.",
            "It counts the work of all teams: your roles hold for some names only.",
        )
        return
    _show_seen(usage)
    if not usage.rows:
        last = "never" if usage.last_used_at is None else shown_time(usage.last_used_at)
        empty_state(
            f"Nothing was asked of it in the last {_DAYS} days.",
            f"Last used: {last}. Run an experiment with it, or let an alias serve it.",
        )
        return
    totals = usage_totals(usage.rows)
    with st.container(horizontal=True):
        for label, value in {
            "Generations": f"{totals.generations:,}",
            "Failed": f"{totals.failed:,} ({totals.failed / totals.generations:.1%})",
            "Input tokens": _tokens(totals.input_tokens),
            "Output tokens": _tokens(totals.output_tokens),
            "Cost": escaped(dollars(totals.cost)),
        }.items():
            st.metric(label, value, width="content", border=True)
    unpriced = f" {totals.without_cost:,} have no known cost." if totals.without_cost else ""
    st.caption(f"Last used {escaped(shown_time(usage.last_used_at))}.{unpriced}")
    days = usage_days(usage)
    chart(
        usage_chart(days),
        days,
        f"usage-{model.provider}-{model.number}",
        alt_text="Generations by day, stacked by purpose",
    )
    st.dataframe(usage_table(usage), hide_index=True, alt="Usage by purpose and status")


def _show_seen(usage: Usage) -> None:
    seen = " and ".join(filter(None, [", ".join(usage.purposes[:-1]), usage.purposes[-1]]))
    st.caption(
        f"The last {_DAYS} days, today included, in days of UTC; generations of purpose {seen}. "
        "Answers used again are not counted: no call was made for them."
    )


def _show_bindings(session: Session, model: Model) -> None:
    bound = session.client.send(models.bindings(model.reference))
    if not bound.aliases and not bound.experiments:
        empty_state(
            "Nothing that you may see stands on this version now.",
            "No alias serves it, and no open experiment measures it.",
        )
        return
    st.subheader("Aliases that serve it now", anchor=False)
    for alias in bound.aliases:
        _show_alias(session, alias)
    if not bound.aliases:
        st.caption("None.")
    _show_experiments(session, bound)
    if bound.more_aliases or bound.more_experiments:
        st.caption("There are more than are shown.")


def _show_alias(session: Session, alias: AliasBinding) -> None:
    share = "" if alias.role == "fallback" else f", weight {alias.weight:g}"
    with st.container(border=True, gap="xsmall"):
        link(session, "production", alias.alias, icon=":material/monitoring:", alias=alias.alias)
        st.caption(
            f"{escaped(alias.role)}{escaped(share)}, with prompt {escaped(alias.prompt)}; "
            f"deployment {alias.deployment} since {escaped(shown_time(alias.since))}"
        )


def _show_experiments(session: Session, bound: Bindings) -> None:
    st.subheader("Open experiments", anchor=False)
    for experiment in bound.experiments:
        with st.container(border=True, gap="xsmall"):
            name = f"Experiment {experiment.number}: {experiment.name or experiment.dataset}"
            link(
                session,
                "experiments",
                name,
                icon=":material/science:",
                number=str(experiment.number),
            )
            st.caption(
                f"on {escaped(experiment.dataset)}, by {escaped(experiment.created_by)} since "
                f"{escaped(shown_time(experiment.created_at))}"
            )
    if not bound.experiments:
        st.caption("None.")
