"""How the catalog is told to people, and its JSON (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.core.hashing import JSON
from app.core.parameters import ASSUMED_MAX_OUTPUT_TOKENS, ModelFacts, ParameterFact
from app.schemas.models import ModelVersionView, PriceView
from app.services.models import Declared

__all__ = [
    "change_lines",
    "fact_rows",
    "limit_text",
    "model_json",
    "overview_rows",
    "price_rows",
    "price_text",
    "remark",
]


def model_json(version: ModelVersionView) -> dict[str, Any]:
    """Return a version as JSON; money is a text, so that it stays exact."""
    return {"reference": version.reference, **version.model_dump(mode="json")}


def limit_text(tokens: int | None) -> str:
    """`32,768`, or what is assumed where nothing is known."""
    return f"{tokens:,}" if tokens else f"assumed {ASSUMED_MAX_OUTPUT_TOKENS:,}"


def price_text(dollars: Decimal | None) -> str:
    """`0.075`, or `unknown`; never 0 for what is not known."""
    return "unknown" if dollars is None else f"{dollars.normalize():f}"


def remark(version: ModelVersionView) -> str:
    """What is out of the ordinary about a version, in a few words."""
    told = []
    if version.status != "active":
        until = f" {_day(version.sunset_at)}" if version.sunset_at else ""
        word = " until" if version.status == "deprecated" and until else ""
        told.append(f"{version.status}{word}{until}")
    if version.provider == "simulated":
        told.append("simulated")
    if version.floating:
        told.append("floating")
    if version.endpoint != version.provider:
        told.append(f"at {version.endpoint}")
    return ", ".join(told)


def overview_rows(version: ModelVersionView) -> list[tuple[str, str]]:
    """What a version is, as (name, text)."""
    price = version.price
    return [
        ("calls", f"{version.provider_model} at endpoint {version.endpoint}"),
        ("snapshot", _snapshot(version)),
        ("status", _status(version)),
        ("context window", _tokens(version.facts.context_window, "unknown")),
        (
            "most output",
            _tokens(
                version.facts.max_output_tokens,
                f"unknown, {ASSUMED_MAX_OUTPUT_TOKENS:,} tokens assumed",
            ),
        ),
        (
            "price now",
            "unknown"
            if price is None
            else f"${price_text(price.input)} in, ${price_text(price.output)} out per million "
            f"tokens ({_SOURCES[price.source]})",
        ),
        ("added", f"{version.created_at:%Y-%m-%d %H:%M} UTC by {version.created_by}"),
    ]


_SOURCES = {"own": "your own", "genai-prices": "list price", "local": "runs on your machines"}


def _snapshot(version: ModelVersionView) -> str:
    if version.floating:
        return "no: floating, the provider may put another model behind this name"
    return f"yes, digest {version.digest}" if version.digest else "yes"


def _status(version: ModelVersionView) -> str:
    until = f", sunset {_day(version.sunset_at)}" if version.sunset_at else ""
    successor = f", successor {version.successor}" if version.successor else ""
    return f"{version.status}{until}{successor}"


def _tokens(tokens: int | None, unknown: str) -> str:
    return f"{tokens:,} tokens" if tokens else unknown


def fact_rows(facts: ModelFacts) -> list[tuple[str, str]]:
    """What is known of each parameter, as (name, text)."""
    rows = [(name, _fact(fact)) for name, fact in sorted(facts.parameters.items())]
    return rows or [("(nothing known)", "")]


def _fact(fact: ParameterFact) -> str:
    told = []
    if fact.unsupported:
        told.append("not supported")
    if fact.fixed is not None:
        told.append(f"only {_plain(fact.fixed)}")
    if fact.minimum is not None:
        told.append(f"at least {_plain(fact.minimum)}")
    if fact.maximum is not None:
        told.append(f"at most {_plain(fact.maximum)}")
    if fact.default is not None:
        told.append(f"{_plain(fact.default)} unless asked otherwise")
    if fact.exclusive:
        told.append(f"never together with {', '.join(fact.exclusive)}")
    if fact.wire:
        told.append(f"sent as {fact.wire}")
    return "; ".join(told) or "supported"


def _plain(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"{value:,}" if type(value) is int else str(value)


def price_rows(
    prices: Iterable[PriceView], current: PriceView | None
) -> list[tuple[str, str, str, str, str, str]]:
    """The rows of the table of prices; the one that counts now is marked."""
    return [
        (
            _moment(price.valid_from),
            _moment(price.valid_to) if price.valid_to else "",
            price_text(price.input),
            "" if price.cached_input is None else price_text(price.cached_input),
            price_text(price.output),
            _SOURCES[price.source] + (" (now)" if current and price.id == current.id else ""),
        )
        for price in prices
    ]


def change_lines(declared: Declared) -> list[str]:
    """What became of a change, one line and one for each field."""
    version = declared.version
    if declared.change == "unchanged":
        return [f"{version.reference}: unchanged"]
    lines = [f"{version.reference}: {declared.change}"]
    if declared.change == "updated":
        return lines + [
            f"  {name}: {_value(name, old)} -> {_value(name, new)}"
            for name, (old, new) in declared.changes.items()
        ]
    price = version.price
    amounts = (
        "unknown"
        if price is None
        else f"{price_text(price.input)} in, {price_text(price.output)} out"
    )
    return [
        *lines,
        f"  calls {version.provider_model} at endpoint {version.endpoint}"
        + (", floating" if version.floating else ""),
        f"  most output {limit_text(version.facts.max_output_tokens)} tokens; "
        f"price per million tokens {amounts}",
    ]


def _value(name: str, value: JSON) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        if name.startswith("parameters."):
            return _fact(ParameterFact.model_validate(value))
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def _moment(at: datetime) -> str:
    midnight = (at.hour, at.minute, at.second) == (0, 0, 0)
    return _day(at) if midnight else f"{at:%Y-%m-%d %H:%M}"
