"""Users, roles, keys and limits as tables and figures (pure).

Times are UTC where no zone is given; a share is of a limit, from 0 to 1. Money is in US dollars.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from workbench.client.keys import Key, KeyScope
from workbench.client.limits import Limit, Window
from workbench.client.users import Grant, RoleMeaning, User
from workbench.dashboard.text import dollars

__all__ = [
    "Bar",
    "bars",
    "grant_text",
    "key_frame",
    "key_state",
    "limit_frame",
    "limit_values",
    "names_of",
    "prefix_of",
    "role_frame",
    "scope_text",
    "user_frame",
    "user_state",
]

Told = Callable[[datetime | None], str]
"""Says a time in the person's zone; a dash for none."""


@dataclass(frozen=True, slots=True)
class Bar:
    """How much of one limit is used, in words and as a share."""

    text: str
    share: float


def grant_text(grant: Grant) -> str:
    """`admin` for all names, `researcher for payments/*` for those of one team."""
    return f"{grant.role} for {grant.prefix}*" if grant.prefix else grant.role


def prefix_of(text: str) -> str:
    """Return a team as the API takes it: `payments` and `payments/*` are `payments/`."""
    name = text.strip().removesuffix("*").removesuffix("/")
    return f"{name}/" if name else ""


def names_of(text: str) -> tuple[str, ...]:
    """Read names that are parted by commas, spaces or lines."""
    return tuple(dict.fromkeys(text.replace(",", " ").split()))


def user_state(user: User) -> str:
    return "active" if user.deactivated_at is None else "deactivated"


def user_frame(users: Iterable[User], told: Told) -> pd.DataFrame:
    """Return one row a user."""
    rows = [
        (
            it.name,
            ", ".join(map(grant_text, it.grants)) or "none yet",
            it.external_id,
            user_state(it),
            told(it.created_at),
            it.created_by,
        )
        for it in users
    ]
    columns = ["name", "roles", "external id", "state", "admitted", "by"]
    return pd.DataFrame(rows, columns=columns)


def role_frame(roles: Sequence[RoleMeaning]) -> pd.DataFrame:
    """Return one row a permission and one column a role: `yes`, or nothing."""
    permissions = sorted({permission for role in roles for permission in role.permissions})
    columns = {
        role.role: ["yes" if it in role.permissions else "" for it in permissions] for role in roles
    }
    return pd.DataFrame({"permission": permissions, **columns})


def key_state(key: Key, now: datetime) -> str:
    """Say whether a key signs in, and if not, why."""
    if key.works_at(now):
        return "works"
    if key.revoked_at is not None:
        return "revoked"
    return "user deactivated" if key.user_deactivated_at is not None else "expired"


def scope_text(scope: KeyScope) -> str:
    """Say what a key may do at most."""
    parts = []
    if scope.permissions is not None:
        parts.append(", ".join(scope.permissions) or "nothing")
    if scope.prefix:
        parts.append(f"only {scope.prefix}*")
    if scope.aliases is not None:
        parts.append(f"only the aliases {', '.join(scope.aliases)}")
    return "; ".join(parts) or "all that its user may"


def key_frame(keys: Iterable[Key], now: datetime, told: Told) -> pd.DataFrame:
    """Return one row a key, without any secret."""
    rows = [
        (
            it.name,
            it.user or "a service",
            key_state(it, now),
            scope_text(it.scope),
            told(it.expires_at),
            told(it.last_used_at),
            f"{it.prefix}…",
        )
        for it in keys
    ]
    columns = ["name", "owner", "state", "may do", "expires", "last used", "begins with"]
    return pd.DataFrame(rows, columns=columns)


def bars(limit: Limit) -> Iterator[Bar]:
    """Yield how far each limit of a holder is used in the window of now."""
    windows = {it.span: it for it in limit.windows}
    minute = windows.get("minute")
    if limit.requests_per_minute is not None:
        used = 0 if minute is None else minute.requests
        yield _count_bar("requests", used, limit.requests_per_minute)
    if limit.tokens_per_minute is not None:
        used = 0 if minute is None else minute.tokens + minute.reserved_tokens
        yield _count_bar("tokens", used, limit.tokens_per_minute)
    if limit.dollars_per_day is not None:
        yield _money_bar("day", windows.get("day"), limit.dollars_per_day)
    if limit.dollars_per_month is not None:
        yield _money_bar("month", windows.get("month"), limit.dollars_per_month)


def _count_bar(what: str, used: int, allowed: int) -> Bar:
    return Bar(f"{used:,} of {allowed:,} {what} this minute", _share(used, allowed))


def _money_bar(span: str, window: Window | None, allowed: float) -> Bar:
    spent, reserved = (0.0, 0.0) if window is None else (window.spent, window.reserved)
    held = f", {dollars(reserved)} reserved" if reserved else ""
    text = f"{dollars(spent)} of {dollars(allowed)} this {span}{held}"
    return Bar(text, _share(spent + reserved, allowed))


def _share(used: float, allowed: float) -> float:
    """Return the share that is used; of a limit of nothing all."""
    return min(1.0, used / allowed) if allowed > 0 else 1.0


def limit_frame(limits: Iterable[Limit]) -> pd.DataFrame:
    """Return one row a holder; missing is no limit."""
    rows = [
        (
            it.holder_kind,
            it.holder,
            it.requests_per_minute,
            it.tokens_per_minute,
            it.dollars_per_day,
            it.dollars_per_month,
            it.on_reach,
        )
        for it in limits
    ]
    columns = [
        "kind",
        "holder",
        "requests a minute",
        "tokens a minute",
        "dollars a day",
        "dollars a month",
        "when reached",
    ]
    return pd.DataFrame(rows, columns=columns)


def limit_values(
    requests: int | None,
    tokens: int | None,
    day: float | None,
    month: float | None,
    on_reach: str | None,
) -> dict[str, int | str]:
    """Return the limits that are named, as the API takes them."""
    given = {
        "requests_per_minute": requests,
        "tokens_per_minute": tokens,
        "dollars_per_day": None if day is None else f"{day:.4f}",
        "dollars_per_month": None if month is None else f"{month:.4f}",
        "on_reach": on_reach,
    }
    return {name: value for name, value in given.items() if value is not None}
