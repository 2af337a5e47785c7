"""The filters of the list of generations; all of them stand in the address.

Times are written in a zone that stands in the address too, so that a link means the same moments
for whoever opens it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import streamlit as st

from workbench.client.calls import Parameter
from workbench.dashboard.elements import zone
from workbench.dashboard.frames.generations import PURPOSES
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped

__all__ = ["active_filters", "filters", "from_the_start"]

_STATUSES: Final = (
    "started",
    "completed",
    "failed",
    "refused",
    "incomplete",
    "cancelled",
    "abandoned",
)
_ENDINGS: Final = (
    "completed",
    "client_gone",
    "upstream_cut",
    "timeout",
    "refused",
    "failed",
    "abandoned",
)
_REVIEWS: Final = ("flagged", "ok", "none")
_TEXTS: Final = (
    ("prompt", "Prompt", "triage or triage@3"),
    ("model", "Model", "openai/gpt-4.1 or …@2"),
    ("provider", "Provider", "openai"),
    ("alias", "Alias", "support-bot@production"),
    ("run", "Run", "its name"),
    ("key", "Example key", "whole key"),
    ("error_code", "Error code", "rate_limited"),
    ("finish_reason", "Finish reason", "length"),
    ("subject", "End user", "whole subject"),
    ("request_id", "Request id", "x-request-id"),
    ("trace_id", "Trace id", "32 hex digits"),
)
_IDS: Final = (
    ("run_id", "Run id", "of a run"),
    ("conversation_id", "Conversation id", "of a chat"),
    ("reused_from_id", "Used the answer of", "id of a generation"),
    ("request_hash", "Request hash", "sha256:…"),
)
_AMOUNTS: Final = (
    ("min_cost", "Cost from ($)"),
    ("max_cost", "Cost to ($)"),
    ("min_latency_ms", "Latency from (ms)"),
    ("max_latency_ms", "Latency to (ms)"),
    ("min_tokens", "Tokens from"),
    ("max_tokens", "Tokens to"),
    ("min_score", "Score from"),
    ("max_score", "Score to"),
)
_TIMES: Final = ("since", "until")
_NAMES: Final = (
    "text",
    "purpose",
    "status",
    "review",
    "experiment",
    "ending",
    "scorer",
    *_TIMES,
    *(name for name, _, _ in (*_TEXTS, *_IDS)),
    *(name for name, _ in _AMOUNTS),
)


def active_filters() -> list[str]:
    """Return the names of the filters that the address has."""
    return [name for name in _NAMES if st.query_params.get(name)]


def from_the_start() -> None:
    """Another filter is another list: its first page is shown."""
    st.query_params.pop("after", None)


def filters(session: Session) -> dict[str, Parameter]:
    """Draw the filters and return what they ask the API for, by its names."""
    asked: dict[str, Any] = {}
    with st.container(horizontal=True, key="generation-filters"):
        asked["text"] = _text("text", "Search in texts", "input or output", width=240)
        asked["purpose"] = _several("purpose", "Wanted for", _purposes(session))
        asked["status"] = _several("status", "Status", _STATUSES)
        asked["review"] = _one("review", "Review", _REVIEWS)
        asked |= _times()
    more = [name for name in active_filters() if name not in asked]
    label = "More filters" if not more else f"More filters ({len(more)} set)"
    with st.expander(label, expanded=bool(more), icon=":material/filter_alt:"):
        asked |= _rest(session)
    return {name: value for name, value in asked.items() if value not in (None, "", [])}


def _rest(session: Session) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    with st.container(horizontal=True):
        asked["experiment"] = _number("experiment", "Experiment", whole=True)
        for name, label, hint in _TEXTS:
            asked[name] = _text(name, label, hint)
        if session.may("chat:read"):
            asked["ending"] = _several("ending", "Ending in production", _ENDINGS)
        for name, label, hint in _IDS:
            asked[name] = _text(name, label, hint)
    st.caption(
        "Costs, latencies, tokens and scores are looked for among at most 10,000 generations that "
        "the other filters let through, newest first."
    )
    with st.container(horizontal=True):
        asked["scorer"] = _text("scorer", "Scorer", "exact_match")
        for name, label in _AMOUNTS:
            asked[name] = _number(name, label)
    for name, label, _ in _IDS[:3]:
        asked[name] = _uuid(asked[name], label)
    return asked


def _purposes(session: Session) -> tuple[str, ...]:
    seen = {"experiment": "experiment:read", "chat": "chat:read"}
    return tuple(it for it in PURPOSES if it not in seen or session.may(seen[it]))


def _text(name: str, label: str, hint: str, *, width: int = 190) -> str:
    found = st.text_input(
        label,
        key=name,
        bind="query-params",
        placeholder=hint,
        on_change=from_the_start,
        width=width,
        max_chars=300,
    )
    return (found or "").strip()


def _several(name: str, label: str, options: tuple[str, ...]) -> list[str]:
    _read_names(name, options)
    return st.multiselect(
        label,
        options,
        key=name,
        bind="query-params",
        placeholder="any",
        format_func=_word,
        on_change=from_the_start,
        width=210,
    )


def _one(name: str, label: str, options: tuple[str, ...]) -> str | None:
    return st.selectbox(
        label,
        options,
        index=None,
        key=name,
        bind="query-params",
        placeholder="any",
        format_func=_word,
        on_change=from_the_start,
        width=140,
    )


def _read_names(name: str, options: tuple[str, ...]) -> None:
    """Take options from the address by their own names too: links have these, the widget words.

    Of an address with both, the widget takes the words alone; so only purposes have other words.
    """
    words = {_word(option): option for option in options}
    asked = st.query_params.get_all(name)
    if name not in st.session_state and not all(it in words for it in asked):
        named = (words.get(it, it) for it in asked)
        st.session_state[name] = [it for it in named if it in options]


def _word(option: str) -> str:
    return PURPOSES.get(option, option)


def _number(name: str, label: str, *, whole: bool = False) -> float | int | None:
    return st.number_input(
        label,
        min_value=1 if whole else None,
        value=None,
        step=1 if whole else 0.01,
        format=None if whole else "%g",
        key=name,
        bind="query-params",
        placeholder="any",
        on_change=from_the_start,
        width=150,
    )


def _uuid(text: str, label: str) -> str:
    """Return an id as it is; what is none is told, and asks for nothing."""
    try:
        return str(UUID(text)) if text else ""
    except ValueError:
        st.warning(f"{label}: {escaped(text)} is no id, so this filter is left out.")
        return ""


def _times() -> dict[str, datetime | None]:
    """Draw the times; the zone in which they were written stays with them."""
    used = _zone_of_address()
    found: dict[str, datetime | None] = {}
    for name in _TIMES:
        local = st.datetime_input(
            f"{name.capitalize()} ({used.key})",
            value=None,
            key=name,
            bind="query-params",
            format="YYYY-MM-DD",
            on_change=from_the_start,
            width=230,
        )
        found[name] = None if local is None else local.replace(tzinfo=used)
    if any(found.values()):
        st.query_params["zone"] = used.key
    else:
        st.query_params.pop("zone", None)
    return found


def _zone_of_address() -> ZoneInfo:
    named = st.query_params.get("zone")
    if not named:
        return zone()
    try:
        return ZoneInfo(named)
    except (LookupError, ValueError, OSError):
        return zone()
