"""Changing the catalog: a model declared, a price recorded, a version deprecated or retired.

What the API refuses is told beside the form, and what was typed stays there.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Final

import streamlit as st

from workbench.client import APIError, Call, Forbidden, Unauthenticated, models
from workbench.client.models import Model
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped

__all__ = ["offer_declaration", "show", "tell_done"]

_DONE: Final = "models-done"


def tell_done() -> None:
    """Say once what was changed on the page before."""
    if done := st.session_state.pop(_DONE, None):
        st.success(escaped(done), icon=":material/check:")


def offer_declaration(session: Session) -> None:
    """Offer to add a model to the catalog."""
    with (
        st.popover("Declare a model", icon=":material/add:"),
        st.form("declare", border=False, enter_to_submit=False),
    ):
        st.caption(
            "What is left empty stays as it is known. Another provider model or digest is a new "
            "version."
        )
        name = st.text_input("Model", placeholder="openai/gpt-4.1", key="declare-model")
        provider_model = st.text_input(
            "Name at the provider", placeholder="as the model", key="declare-provider-model"
        )
        digest = st.text_input("Digest", key="declare-digest")
        window = st.number_input(
            "Context window (tokens)", min_value=1, value=None, step=1, key="declare-window"
        )
        output = st.number_input(
            "Longest output (tokens)", min_value=1, value=None, step=1, key="declare-output"
        )
        if st.form_submit_button("Declare", type="primary"):
            wanted = {
                "model": name.strip(),
                "provider_model": provider_model.strip() or None,
                "digest": digest.strip() or None,
                "context_window": window,
                "max_output_tokens": output,
            }
            body = {field: value for field, value in wanted.items() if value is not None}
            _send(session, models.declare(body), "Declared")


def show(session: Session, model: Model) -> None:
    """Draw the forms that change one version."""
    prices, facts = st.columns(2, gap="large")
    with prices:
        _offer_price(session, model)
    with facts:
        _offer_facts(session, model)
    _offer_end(session, model)


def _offer_price(session: Session, model: Model) -> None:
    with st.form("price"):
        st.markdown("**Record a price**")
        st.caption("US dollars per million tokens. It ends the open one and overrides the list's.")
        since = st.date_input("From (midnight UTC)", value="today", key="price-from")
        amounts = {
            "input": st.text_input("Input", placeholder="2.00", key="price-input"),
            "cached_input": st.text_input(
                "Cached input", placeholder="leave empty if unknown", key="price-cached"
            ),
            "output": st.text_input("Output", placeholder="8.00", key="price-output"),
        }
        if st.form_submit_button("Record price", type="primary"):
            given = {name: text.strip() for name, text in amounts.items() if text.strip()}
            body = {"from": _iso(since), **given}
            _send(session, models.add_price(model.reference, body), "Price recorded for")


def _offer_facts(session: Session, model: Model) -> None:
    with st.form("facts"):
        st.markdown("**Change what is known**")
        window = st.number_input(
            "Context window (tokens)",
            min_value=1,
            step=1,
            value=model.facts.context_window,
            key="facts-window",
        )
        output = st.number_input(
            "Longest output (tokens)",
            min_value=1,
            step=1,
            value=model.facts.max_output_tokens,
            key="facts-output",
        )
        settings = st.text_area(
            "Parameters, one a line",
            placeholder="temperature=unsupported\ntop_p=max:0.9\nmax_tokens=wire:max_new_tokens",
            key="facts-parameters",
            help="name= followed by unsupported, supported, fixed:1, min:0, max:1, default:0.7, "
            "exclusive:other or wire:name",
        )
        if st.form_submit_button("Change"):
            changes: dict[str, Any] = {
                "parameters": [line.strip() for line in settings.splitlines() if line.strip()],
                "context_window": window,
                "max_output_tokens": output,
            }
            _send(session, models.change_facts(model.reference, changes), "Changed")


def _offer_end(session: Session, model: Model) -> None:
    with st.popover("Deprecate or retire", icon=":material/event_busy:"):
        st.markdown(
            "With a day to come the version is **deprecated** until then. Without one it is "
            "**retired now**: nothing new can be asked of it, by no alias and no experiment."
        )
        sunset = st.date_input("Last day (UTC)", value=None, key="end-sunset")
        successor = st.text_input("Successor", placeholder="openai/gpt-5", key="end-successor")
        label = f"Retire {model.reference} now" if sunset is None else f"Deprecate until {sunset}"
        if st.button(escaped(label), type="primary", key="end-now"):
            call = models.retire(
                model.reference,
                sunset=None if sunset is None else _iso(sunset),
                successor=successor.strip() or None,
            )
            _send(session, call, "Retired" if sunset is None else "Deprecated")


def _send(session: Session, call: Call[Model], done: str) -> None:
    """Make a change and show the version that it left; a refusal is told here."""
    try:
        model = session.client.send(call)
    except (Forbidden, Unauthenticated):
        raise
    except APIError as error:
        if error.status >= 500:
            raise
        st.error(escaped(error.detail), icon=":material/error:")
        return
    st.session_state[_DONE] = f"{done} {model.reference}."
    st.query_params.clear()
    st.query_params["model"] = model.reference
    st.rerun()


def _iso(day: object) -> str:
    """Return a chosen day as the API reads it: its midnight in UTC."""
    if not isinstance(day, date):
        raise TypeError(f"{day!r} is no day")
    return day.isoformat()
