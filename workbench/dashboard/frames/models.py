"""Models as the page shows them: the catalog, prices in effect, usage by day (pure).

Unknown stays unknown: a price that nobody recorded is a gap in the chart and a word in a table,
never 0. Money is US dollars.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

import pandas as pd

from workbench.client.models import Model, Parameter, Price, Usage, UsageRow
from workbench.dashboard.text import dollars, visible

__all__ = [
    "PRICE_KINDS",
    "PURPOSES",
    "UsageTotals",
    "bounds_text",
    "catalog_frame",
    "parameter_frame",
    "price_at",
    "price_frame",
    "price_table",
    "status_text",
    "usage_days",
    "usage_table",
    "usage_totals",
]

PRICE_KINDS: Final = ("input", "cached input", "output")
PURPOSES: Final = ("experiment", "judge", "chat")

_BEYOND_COUNTING: Final = 2**62
_RANK: Final = {"own": 0, "genai-prices": 1, "local": 2}
_SOURCES: Final = {
    "own": "recorded here",
    "genai-prices": "public price list",
    "local": "local model, no cost",
}
_FAILED: Final = frozenset({"failed", "incomplete", "abandoned"})


@dataclass(frozen=True, slots=True)
class UsageTotals:
    """Sums over a usage; `cost` and tokens are None if nothing of them is known."""

    generations: int
    failed: int
    input_tokens: int | None
    output_tokens: int | None
    cost: Decimal | None
    without_cost: int


def status_text(model: Model, now: datetime) -> str:
    """Return where a version stands in its life, with its end and what follows it."""
    parts = [model.status]
    if model.sunset_at is not None:
        verb = "ends" if model.sunset_at > now else "ended"
        parts.append(f"{verb} {model.sunset_at:%Y-%m-%d}")
    if model.successor is not None:
        parts.append(f"then {visible(model.successor)}")
    return ", ".join(parts)


def catalog_frame(models: Sequence[Model]) -> pd.DataFrame:
    """Return one line for each version; limits are tokens, prices US dollars per million."""
    return pd.DataFrame(
        [
            {
                "model": visible(model.reference),
                "status": model.status,
                "ends": None if model.sunset_at is None else model.sunset_at.date(),
                "successor": "" if model.successor is None else visible(model.successor),
                "context window": model.facts.context_window,
                "max output": model.facts.max_output_tokens,
                "input price": _plain(None if model.price is None else model.price.input),
                "output price": _plain(None if model.price is None else model.price.output),
                "name is": _kind(model),
            }
            for model in models
        ],
        columns=[
            "model",
            "status",
            "ends",
            "successor",
            "context window",
            "max output",
            "input price",
            "output price",
            "name is",
        ],
    ).astype({"context window": "Int64", "max output": "Int64"})


def _kind(model: Model) -> str:
    name = "floating" if model.floating else "pinned"
    return f"{name}, simulated" if model.provider == "simulated" else name


def parameter_frame(parameters: Sequence[Parameter]) -> pd.DataFrame:
    """Return one line for each parameter: what may be asked for, and what is sent otherwise."""
    return pd.DataFrame(
        [
            {
                "parameter": parameter.name,
                "accepted": bounds_text(parameter),
                "when nobody asks": _default_text(parameter),
                "sent as": "never" if parameter.unsupported else visible(parameter.sent_as),
                "never together with": ", ".join(parameter.exclusive),
            }
            for parameter in parameters
        ]
    )


def bounds_text(parameter: Parameter) -> str:
    """Return which values a version takes: `0 to 2`, `only 1`, `not supported`, `any`."""
    if parameter.unsupported:
        return "not supported"
    if parameter.fixed is not None:
        return f"only {visible(str(parameter.fixed))}"
    if parameter.minimum is None or parameter.maximum is None:
        return "any"
    if parameter.maximum >= _BEYOND_COUNTING:
        return "any whole number"
    return f"{_number(parameter.minimum)} to {_number(parameter.maximum)}"


def _default_text(parameter: Parameter) -> str:
    if parameter.default is None:
        return "left to the provider"
    value = visible(str(parameter.default))
    if parameter.left_out is not None:
        return f"nothing: {visible(parameter.left_out)}"
    return f"{value} ({parameter.default_from} default)"


def price_at(prices: Iterable[Price], at: datetime) -> Price | None:
    """Return the price that counts at a time: one's own before the list's; None if unknown."""
    valid = [
        price
        for price in prices
        if price.valid_from <= at and (price.valid_to is None or at < price.valid_to)
    ]
    valid.sort(key=lambda price: price.valid_from, reverse=True)
    return min(valid, key=lambda price: _RANK.get(price.source, len(_RANK)), default=None)


def price_frame(prices: Sequence[Price], now: datetime) -> pd.DataFrame:
    """Return the prices in effect from each change on until now, one line for each kind.

    `dollars` is per million tokens and missing where no price is known, so that a step chart has
    a gap there.
    """
    changes = {price.valid_from for price in prices} | {
        price.valid_to for price in prices if price.valid_to is not None
    }
    moments = sorted(moment for moment in changes if moment <= now)
    rows = []
    for moment in [*moments, now] if moments else []:
        counts = price_at(prices, moment)
        for kind in PRICE_KINDS:
            amount = None if counts is None else _amount(counts, kind)
            rows.append(
                {
                    "from": moment,
                    "price": kind,
                    "dollars": _plain(amount),
                    "source": "" if counts is None else _SOURCES.get(counts.source, counts.source),
                }
            )
    frame = pd.DataFrame(rows, columns=["from", "price", "dollars", "source"])
    known = set(frame.loc[frame["dollars"].notna(), "price"])
    return frame[frame["price"].isin(known)].reset_index(drop=True)


def price_table(prices: Sequence[Price], now: datetime) -> pd.DataFrame:
    """Return every price ever recorded, newest first; times are UTC."""
    counts = price_at(prices, now)
    return pd.DataFrame(
        [
            {
                "from (UTC)": f"{price.valid_from.astimezone(UTC):%Y-%m-%d %H:%M}",
                "until (UTC)": "further notice"
                if price.valid_to is None
                else f"{price.valid_to.astimezone(UTC):%Y-%m-%d %H:%M}",
                "input": dollars(price.input),
                "cached input": dollars(price.cached_input),
                "output": dollars(price.output),
                "source": _SOURCES.get(price.source, visible(price.source)),
                "counts now": price is counts,
            }
            for price in sorted(prices, key=lambda price: price.valid_from, reverse=True)
        ]
    )


def usage_totals(rows: Sequence[UsageRow]) -> UsageTotals:
    """Return the sums over rows of a usage."""
    costs = [row.cost for row in rows if row.cost is not None]
    return UsageTotals(
        generations=sum(row.generations for row in rows),
        failed=sum(row.generations for row in rows if row.status in _FAILED),
        input_tokens=_sum(row.input_tokens for row in rows),
        output_tokens=_sum(row.output_tokens for row in rows),
        cost=sum(costs, Decimal(0)) if costs else None,
        without_cost=sum(row.without_cost for row in rows),
    )


def usage_days(usage: Usage) -> pd.DataFrame:
    """Return the generations of every day and purpose, days without any included."""
    found: dict[tuple[date, str], int] = {}
    for row in usage.rows:
        place = (row.day, row.purpose)
        found[place] = found.get(place, 0) + row.generations
    first = usage.since.astimezone(UTC).date()
    last = usage.until.astimezone(UTC).date()
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return pd.DataFrame(
        [
            {
                "day": pd.Timestamp(day),
                "purpose": purpose,
                "generations": found.get((day, purpose), 0),
            }
            for day in days
            for purpose in usage.purposes
        ],
        columns=["day", "purpose", "generations"],
    )


def usage_table(usage: Usage) -> pd.DataFrame:
    """Return one line for each purpose and status."""
    groups: dict[tuple[str, str], list[UsageRow]] = {}
    for row in usage.rows:
        groups.setdefault((row.purpose, row.status), []).append(row)
    return pd.DataFrame(
        [
            {
                "purpose": purpose,
                "status": status,
                "generations": totals.generations,
                "input tokens": totals.input_tokens,
                "output tokens": totals.output_tokens,
                "cost": dollars(totals.cost),
                "cost unknown": totals.without_cost,
            }
            for (purpose, status), rows in sorted(groups.items())
            for totals in [usage_totals(rows)]
        ]
    )


def _amount(price: Price, kind: str) -> Decimal | None:
    if kind == "input":
        return price.input
    return price.output if kind == "output" else price.cached_input


def _plain(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)


def _number(value: float) -> str:
    return f"{int(value):,}" if float(value).is_integer() else f"{value:g}"


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
