"""Whether a call fits the limits of whoever it is made for. Pure: rows in, decisions out.

A holder (key, user or alias) may have limits of requests and tokens a minute and of dollars a day
and month. Windows are those of the calendar in UTC. What a call may use at worst is reserved in
all its windows before it is sent and replaced by what it used when it has ended, in the very
windows in which it was reserved: neither the time nor a limit that is set meanwhile changes them.
So at any moment used + reserved <= limit for every limit that stops.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal, NamedTuple

__all__ = [
    "Claim",
    "Decision",
    "Holder",
    "HolderKind",
    "Limits",
    "Remaining",
    "Settlement",
    "Span",
    "Window",
    "WindowKey",
    "decide",
    "settle",
    "window_end",
    "window_keys",
    "window_start",
]

HolderKind = Literal["key", "user", "alias"]
Span = Literal["minute", "day", "month"]

_ZERO: Final = Decimal(0)
_SOON_S = 1.0
"""How long a call should wait that only calls under way stand against."""


class Holder(NamedTuple):
    """Whose limit it is: a key, a user or an alias by its name."""

    kind: HolderKind
    name: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What a holder may use; None is no limit. With `stops` false, more is only told."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    dollars_per_day: Decimal | None = None
    dollars_per_month: Decimal | None = None
    stops: bool = True

    def spans(self) -> Iterator[Span]:
        """Return the windows that have to be counted."""
        if self.requests_per_minute is not None or self.tokens_per_minute is not None:
            yield "minute"
        if self.dollars_per_day is not None:
            yield "day"
        if self.dollars_per_month is not None:
            yield "month"

    def dollars(self, span: Span) -> Decimal | None:
        """Return the limit of money in a day or a month."""
        if span == "minute":
            return None
        return self.dollars_per_day if span == "day" else self.dollars_per_month


class WindowKey(NamedTuple):
    """One window of one holder; sorted, they are the order in which rows are locked."""

    kind: HolderKind
    name: str
    span: Span
    starts_at: datetime


@dataclass(slots=True)
class Window:
    """What was used in a window, and what calls under way may still use."""

    requests: int = 0
    tokens: int = 0
    reserved_tokens: int = 0
    spent: Decimal = _ZERO
    reserved: Decimal = _ZERO


@dataclass(frozen=True, slots=True)
class Claim:
    """What one call may use at worst; `dollars` None if nothing bounds it."""

    holders: tuple[Holder, ...]
    tokens: int
    dollars: Decimal | None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a call has used of what was reserved for it in `windows`."""

    windows: tuple[WindowKey, ...]
    reserved_tokens: int
    reserved_dollars: Decimal
    tokens: int
    dollars: Decimal


@dataclass(frozen=True, slots=True)
class Remaining:
    """The tightest limit of a minute, for the `x-ratelimit-*` headers; `reset_s` until it ends."""

    limit: int
    remaining: int
    reset_s: float


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a call may be sent.

    If not, `refused_by` is whose limit is reached, `reason` is a sentence, `retry_after_s` says
    when to try again, and `budget_spent` that money is gone and not only reserved: trying again
    before then is in vain. `warnings` tell the limits that it passed although they are reached.
    """

    admitted: bool
    reason: str = ""
    retry_after_s: float = 0.0
    budget_spent: bool = False
    refused_by: Holder | None = None
    warnings: tuple[str, ...] = ()
    requests: Remaining | None = None
    tokens: Remaining | None = None
    reserved: tuple[WindowKey, ...] = ()
    """The windows in which the call is counted, and its worst case reserved."""


class _Refusal(NamedTuple):
    reason: str
    retry_after_s: float
    budget_spent: bool = False


def window_start(span: Span, now: datetime) -> datetime:
    """Return the beginning of the minute, day or month that a time lies in."""
    minute = now.replace(second=0, microsecond=0)
    if span == "minute":
        return minute
    day = minute.replace(hour=0, minute=0)
    return day if span == "day" else day.replace(day=1)


def window_end(span: Span, now: datetime) -> datetime:
    """Return the beginning of the next minute, day or month."""
    start = window_start(span, now)
    if span == "minute":
        return start + timedelta(minutes=1)
    if span == "day":
        return start + timedelta(days=1)
    return (start + timedelta(days=32)).replace(day=1)


def window_keys(
    holders: Sequence[Holder], limits: Mapping[Holder, Limits], at: datetime
) -> Iterator[WindowKey]:
    """Return the windows in which a call of these holders is counted."""
    for holder in holders:
        found = limits.get(holder)
        if found is not None:
            for span in found.spans():
                yield WindowKey(*holder, span, window_start(span, at))


def decide(
    claim: Claim,
    limits: Mapping[Holder, Limits],
    windows: Mapping[WindowKey, Window],
    now: datetime,
) -> Decision:
    """Admit a call, which reserves its worst case in `windows`, or refuse it and change nothing."""
    warnings: list[str] = []
    for holder in claim.holders:
        found = limits.get(holder)
        if found is None:
            continue
        for refusal in _refusals(claim, holder, found, windows, now):
            if found.stops:
                return Decision(
                    False,
                    refusal.reason,
                    refusal.retry_after_s,
                    refusal.budget_spent,
                    holder,
                    requests=_remaining("requests", claim.holders, limits, windows, now),
                    tokens=_remaining("tokens", claim.holders, limits, windows, now),
                )
            warnings.append(refusal.reason)
    reserved = tuple(window_keys(claim.holders, limits, now))
    for key in reserved:
        window = windows[key]
        window.requests += 1
        window.reserved_tokens += claim.tokens
        window.reserved += claim.dollars or _ZERO
    return Decision(
        True,
        warnings=tuple(warnings),
        requests=_remaining("requests", claim.holders, limits, windows, now),
        tokens=_remaining("tokens", claim.holders, limits, windows, now),
        reserved=reserved,
    )


def settle(settlement: Settlement, windows: Mapping[WindowKey, Window]) -> None:
    """Replace what was reserved by what was used, in those of the call's windows that are there."""
    for key in settlement.windows:
        window = windows.get(key)
        if window is None:  # so old that it was purged
            continue
        window.reserved_tokens -= settlement.reserved_tokens
        window.reserved -= settlement.reserved_dollars
        window.tokens += settlement.tokens
        window.spent += settlement.dollars


def _refusals(
    claim: Claim,
    holder: Holder,
    limits: Limits,
    windows: Mapping[WindowKey, Window],
    now: datetime,
) -> Iterator[_Refusal]:
    for span in limits.spans():
        window = windows[WindowKey(*holder, span, window_start(span, now))]
        until_s = (window_end(span, now) - now).total_seconds()
        if span == "minute":
            yield from _of_minute(claim, holder, limits, window, until_s)
        else:
            yield from _of_money(
                claim, holder, limits.dollars(span) or _ZERO, window, span, until_s
            )


def _of_minute(
    claim: Claim, holder: Holder, limits: Limits, window: Window, until_s: float
) -> Iterator[_Refusal]:
    allowed = limits.requests_per_minute
    if allowed is not None and window.requests + 1 > allowed:
        yield _Refusal(f"{_told(holder)} may make {allowed:,} requests a minute.", until_s)
    allowed = limits.tokens_per_minute
    if allowed is None:
        return
    if claim.tokens > allowed:
        yield _Refusal(
            f"The request may take {claim.tokens:,} tokens, and {_told(holder, middle=True)} may "
            f"use {allowed:,} a minute: it can never fit. Ask for fewer with max_tokens.",
            until_s,
            budget_spent=True,
        )
    elif window.tokens + window.reserved_tokens + claim.tokens > allowed:
        only_reserved = window.tokens + claim.tokens <= allowed
        yield _Refusal(
            f"{_told(holder)} may use {allowed:,} tokens a minute.",
            min(_SOON_S, until_s) if only_reserved else until_s,
        )


def _of_money(
    claim: Claim, holder: Holder, allowed: Decimal, window: Window, span: Span, until_s: float
) -> Iterator[_Refusal]:
    if claim.dollars is None:
        yield _Refusal(
            f"{_told(holder)} may spend ${allowed:f} a {span}, and nothing bounds what this "
            "request costs: the model needs a price, the request max_tokens and no images.",
            until_s,
            budget_spent=True,
        )
    elif not claim.dollars:
        return  # a local model costs nothing, also when all money is gone
    elif window.spent + claim.dollars > allowed:
        yield _Refusal(
            f"{_told(holder)} may spend ${allowed:f} a {span}: ${window.spent:.4f} is spent, and "
            f"this request may cost ${claim.dollars:.4f}.",
            until_s,
            budget_spent=True,
        )
    elif window.spent + window.reserved + claim.dollars > allowed:
        yield _Refusal(
            f"{_told(holder)} may spend ${allowed:f} a {span}, and requests under way may use what "
            "is left of it.",
            min(_SOON_S, until_s),
        )


def _remaining(
    what: Literal["requests", "tokens"],
    holders: Sequence[Holder],
    limits: Mapping[Holder, Limits],
    windows: Mapping[WindowKey, Window],
    now: datetime,
) -> Remaining | None:
    """Return the limit of a minute that has least left; None if there is none."""
    found: list[Remaining] = []
    reset_s = (window_end("minute", now) - now).total_seconds()
    for holder in holders:
        limit = limits.get(holder)
        allowed = None if limit is None else getattr(limit, f"{what}_per_minute")
        if allowed is None:
            continue
        window = windows[WindowKey(*holder, "minute", window_start("minute", now))]
        used = window.requests if what == "requests" else window.tokens + window.reserved_tokens
        found.append(Remaining(allowed, max(0, allowed - used), reset_s))
    return min(found, key=lambda it: it.remaining, default=None)


def _told(holder: Holder, *, middle: bool = False) -> str:
    article = "the" if middle else "The"
    return f"{article} {holder.kind} {holder.name}"
