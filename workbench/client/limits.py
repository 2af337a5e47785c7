"""Limits of keys, users and aliases, with what was used of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from workbench.client.calls import Answer, Call, quoted

__all__ = ["Limit", "Window", "listing", "put", "remove"]


class Window(Answer):
    """What was used in one minute, day or month (UTC); `reserved` is what calls under way may
    still use. Money is in US dollars."""

    SCHEMA: ClassVar[str] = "WindowView"

    span: str
    starts_at: datetime
    requests: int
    tokens: int
    reserved_tokens: int
    spent: float
    reserved: float


class Limit(Answer):
    """The limits of one holder; None is no limit. `on_reach` is `stop` or `warn`."""

    SCHEMA: ClassVar[str] = "LimitView"

    holder_kind: str
    holder: str
    requests_per_minute: int | None
    tokens_per_minute: int | None
    dollars_per_day: float | None
    dollars_per_month: float | None
    on_reach: str
    updated_at: datetime
    updated_by: str
    windows: tuple[Window, ...] = ()


def listing(*, used: bool = False) -> Call[list[Limit]]:
    """Every limit by kind and name of its holder, with what was used if that is wanted."""
    return Call("GET", "/api/limits", list[Limit], {"used": used})


def put(kind: str, holder: str, values: Mapping[str, Any]) -> Call[Limit]:
    """Give a holder limits in place of those it had."""
    return Call("PUT", f"/api/limits/{kind}/{quoted(holder)}", Limit, body=values)


def remove(kind: str, holder: str) -> Call[None]:
    """Take a holder's limits away."""
    return Call("DELETE", f"/api/limits/{kind}/{quoted(holder)}", type(None))
