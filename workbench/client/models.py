"""Model versions: what is known of them, what they cost, what they are used for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from pydantic import JsonValue

from workbench.client.calls import Answer, Call, Listing, quoted

__all__ = [
    "AliasBinding",
    "Bindings",
    "ExperimentBinding",
    "Facts",
    "Model",
    "Parameter",
    "Price",
    "Usage",
    "UsageRow",
    "add_price",
    "bindings",
    "change_facts",
    "declare",
    "listing",
    "parameters",
    "prices",
    "retire",
    "usage",
    "version",
]


class Price(Answer):
    """US dollars per million tokens, from a time until another (None: until further notice)."""

    SCHEMA: ClassVar[str] = "PriceView"

    id: UUID
    input: Decimal
    cached_input: Decimal | None
    output: Decimal
    source: str
    valid_from: datetime
    valid_to: datetime | None


class Facts(Answer):
    """Limits of one version in tokens; None is unknown."""

    SCHEMA: ClassVar[str] = "ModelFacts"

    context_window: int | None = None
    max_output_tokens: int | None = None


class Model(Answer):
    """One model version; `price` is the one that counted when it was read, None if unknown."""

    SCHEMA: ClassVar[str] = "ModelVersionView"

    id: UUID
    provider: str
    name: str
    number: int
    provider_model: str
    endpoint: str
    digest: str | None
    floating: bool
    facts: Facts
    status: str
    sunset_at: datetime | None
    successor: str | None
    price: Price | None = None
    created_at: datetime
    created_by: str

    @property
    def reference(self) -> str:
        """`openai/gpt-4.1@1`."""
        return f"{self.provider}/{self.name}@{self.number}"


class Parameter(Answer):
    """One generation parameter at one version, and what becomes of it when nobody asks for it."""

    SCHEMA: ClassVar[str] = "ParameterView"

    name: str
    minimum: float | None
    maximum: float | None
    default: JsonValue
    default_from: str | None
    fixed: JsonValue
    unsupported: bool
    exclusive: tuple[str, ...]
    sent_as: str
    left_out: str | None


class UsageRow(Answer):
    """The generations of one day, purpose and status; a sum is None if nothing of it is known."""

    SCHEMA: ClassVar[str] = "UsageRow"

    day: date
    purpose: str
    status: str
    generations: int
    input_tokens: int | None
    output_tokens: int | None
    cost: Decimal | None
    without_cost: int


class Usage(Answer):
    """What a version was called for, of the purposes that one may see."""

    SCHEMA: ClassVar[str] = "ModelUsage"

    model: str
    since: datetime
    until: datetime
    purposes: tuple[str, ...]
    rows: tuple[UsageRow, ...]
    last_used_at: datetime | None


class AliasBinding(Answer):
    """One alias whose current deployment calls the version."""

    SCHEMA: ClassVar[str] = "AliasBinding"

    alias: str
    deployment: int
    since: datetime
    role: str
    weight: float
    prompt: str
    variant_hash: str


class ExperimentBinding(Answer):
    """One open experiment that measures the version."""

    SCHEMA: ClassVar[str] = "ExperimentBinding"

    number: int
    name: str
    dataset: str
    created_at: datetime
    created_by: str


class Bindings(Answer):
    """What stands on a version now."""

    SCHEMA: ClassVar[str] = "ModelBindings"

    model: str
    aliases: tuple[AliasBinding, ...]
    more_aliases: bool
    experiments: tuple[ExperimentBinding, ...]
    more_experiments: bool


def listing(
    *, provider: str | None = None, status: str | None = None, search: str = ""
) -> Listing[Model]:
    """The model versions by provider, name and number; `search` is part of the name."""
    wanted = {"provider": provider, "status": status, "search": search or None}
    return Listing("/api/models", Model, wanted)


def version(reference: str) -> Call[Model]:
    """A version: `openai/gpt-4.1@2`, or without a number the latest."""
    return Call("GET", _path(reference), Model)


def parameters(reference: str) -> Call[list[Parameter]]:
    """Every generation parameter with its bounds at a version."""
    return Call("GET", f"{_path(reference)}/parameters", list[Parameter])


def prices(reference: str) -> Call[list[Price]]:
    """Every price of a version, by time."""
    return Call("GET", f"{_path(reference)}/prices", list[Price])


def usage(reference: str, *, days: int = 30) -> Call[Usage]:
    """What a version was called for in the last days, today included."""
    return Call("GET", f"{_path(reference)}/usage", Usage, {"days": days})


def bindings(reference: str) -> Call[Bindings]:
    """The aliases that serve a version, and the open experiments that measure it."""
    return Call("GET", f"{_path(reference)}/bindings", Bindings)


def declare(declaration: Mapping[str, Any]) -> Call[Model]:
    """Say what is known of a model: `{"model": "openai/gpt-4.1", ...}`; what is left out stays."""
    return Call("POST", "/api/models", Model, body=declaration)


def add_price(reference: str, price: Mapping[str, Any]) -> Call[Model]:
    """Record a price: `{"from": "2026-01-01", "input": "2", "output": "8"}`."""
    return Call("POST", f"{_path(reference)}/prices", Model, body=price)


def retire(
    reference: str, *, sunset: str | None = None, successor: str | None = None
) -> Call[Model]:
    """Retire a version now, or deprecate it until a date that is still to come."""
    body = {"sunset": sunset, "successor": successor}
    return Call("POST", f"{_path(reference)}/retirement", Model, body=body)


def change_facts(reference: str, changes: Mapping[str, Any]) -> Call[Model]:
    """Change what is known of a version: `{"parameters": ["temperature=unsupported"]}`."""
    return Call("PATCH", _path(reference), Model, body=changes)


def _path(reference: str) -> str:
    return f"/api/models/{quoted(reference)}"
