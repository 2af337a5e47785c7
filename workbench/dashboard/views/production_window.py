"""Which time production is looked at, and which part of it; both stand in the address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

import streamlit as st

from workbench.client.calls import Call
from workbench.client.traffic import Grouping, Traffic, view
from workbench.dashboard.elements import zone

__all__ = ["Look", "Window", "choose_filters", "choose_window"]

_LENGTHS: Final[Mapping[str, timedelta]] = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}
_OWN: Final = "own"
_TEXTS: Final = (
    ("alias", "Alias", "support-bot@production"),
    ("prompt", "Prompt", "triage or triage@3"),
    ("model", "Model", "openai/gpt-4.1 or …@2"),
)


@dataclass(frozen=True)
class Window:
    """A length of time that ends now, or one between two moments."""

    length: timedelta | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def moves(self) -> bool:
        """Whether it ends now, whenever that is."""
        return self.length is not None

    def bounds(self) -> tuple[datetime, datetime]:
        """Return its beginning and its end."""
        if self.length is not None:
            now = datetime.now(UTC)
            return now - self.length, now
        if self.since is None or self.until is None:
            raise ValueError("A window has a length, or a beginning and an end.")
        return self.since, self.until


@dataclass(frozen=True)
class Look:
    """A window and what of it is looked at; None lets everything through."""

    window: Window
    alias: str | None = None
    prompt: str | None = None
    model: str | None = None

    @property
    def filters(self) -> dict[str, str]:
        """The filters that are set, by the API's names."""
        named = {"alias": self.alias, "prompt": self.prompt, "model": self.model}
        return {name: text for name, text in named.items() if text}

    def call(
        self,
        since: datetime,
        until: datetime,
        *,
        group_by: Grouping | None = None,
        step: Literal["auto", "whole"] = "auto",
    ) -> Call[Traffic]:
        """Return the request for what these filters let through of a time."""
        return view(
            since,
            until,
            alias=self.alias,
            prompt=self.prompt,
            model=self.model,
            group_by=group_by,
            step=step,
        )


def choose_window() -> Window | None:
    """Draw the choice of a window; None if an own one is not chosen yet, or ends before it
    begins."""
    chosen = st.segmented_control(
        "Window",
        [*_LENGTHS, _OWN],
        default="24h",
        required=True,
        key="window",
        bind="query-params",
    )
    if chosen != _OWN:
        return Window(_LENGTHS[chosen or "24h"])
    used = _zone_of_address()
    since, until = (_moment(name, used) for name in ("since", "until"))
    if since is None or until is None:
        return None
    if until <= since:
        st.warning("The window ends before it begins.", icon=":material/calendar_month:")
        return None
    return Window(since=since, until=until)


def choose_filters() -> dict[str, str]:
    """Draw the filters and return those that are set, by the API's names."""
    found: dict[str, str] = {}
    with st.container(horizontal=True):
        for name, label, hint in _TEXTS:
            text = st.text_input(
                label, key=name, bind="query-params", placeholder=hint, width=230, max_chars=300
            )
            if text and text.strip():
                found[name] = text.strip()
    return found


def _moment(name: str, used: ZoneInfo) -> datetime | None:
    """Draw one end of an own window; its zone stays in the address with it."""
    local = st.datetime_input(
        f"{name.capitalize()} ({used.key})",
        value=None,
        key=name,
        bind="query-params",
        format="YYYY-MM-DD",
        width=230,
    )
    if local is None:
        return None
    st.query_params["zone"] = used.key
    return local.replace(tzinfo=used)


def _zone_of_address() -> ZoneInfo:
    try:
        return ZoneInfo(st.query_params.get("zone") or zone().key)
    except (LookupError, ValueError, OSError):
        return zone()
