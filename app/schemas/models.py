"""The model catalog at the boundary: references, declarations, versions, prices."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import pairwise, zip_longest
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    model_validator,
)

from app.core.errors import Invalid
from app.core.model_families import PROVIDERS
from app.core.parameters import ModelFacts, ParameterFact, ParameterName

__all__ = [
    "FactChanges",
    "ModelDeclaration",
    "ModelReference",
    "ModelStatus",
    "ModelVersionView",
    "Money",
    "ParameterView",
    "PriceDeclaration",
    "PriceView",
    "Retirement",
    "parse_model_reference",
    "price_at",
    "read_time",
    "within_years",
]

PriceSource = Literal["own", "genai-prices", "local"]
ModelStatus = Literal["draft", "active", "deprecated", "retired"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}")
_SOURCE_RANK: Final = {"own": 0, "genai-prices": 1, "local": 2}


@dataclass(frozen=True)
class ModelReference:
    """`openai/gpt-4.1` or, with a version's number, `openai/gpt-4.1@2`."""

    provider: str
    name: str
    number: int | None = None

    def __str__(self) -> str:
        return self.model if self.number is None else f"{self.model}@{self.number}"

    @property
    def model(self) -> str:
        """The reference without a number."""
        return f"{self.provider}/{self.name}"


def parse_model_reference(text: str) -> ModelReference:
    """Read `provider/name`, `provider/name@2`, `...@v2` or `...@latest` (no number)."""
    provider, slash, rest = text.partition("/")
    name, at, tail = rest.partition("@")
    if not slash or provider not in PROVIDERS:
        raise Invalid(
            f"{text!r} is no model: write provider/name, as in openai/gpt-4.1; "
            f"providers are {', '.join(PROVIDERS)}.",
            path="model",
            hint=_compatible_hint(text),
        )
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"{text!r} is no model: after {provider}/ stands the provider's name of it, of "
            f"letters, digits and '.', '_', ':', '/' and '-'.",
            path="model",
        )
    if not at or tail == "latest":
        return ModelReference(provider, name)
    if match := re.fullmatch(r"v?([1-9][0-9]{0,8})", tail):
        return ModelReference(provider, name, int(match[1]))
    raise Invalid(
        f"{text!r}: after @ stands a version number, as in {provider}/{name}@1.", path="model"
    )


def _compatible_hint(text: str) -> str | None:
    if "/" not in text:
        return None
    return (
        "A server that speaks OpenAI's protocol (Azure, vLLM, llama.cpp and others) is an endpoint "
        "of provider openai: name it under endpoints in workbench.yaml and in models.yaml."
    )


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def read_time(value: object) -> object:
    """Return a date or time as a point in time; without a zone it is UTC, a date is its midnight.

    Raises `ValueError` for a text that is neither, and for a time whose year in UTC is none of 1
    to 9999; other types are returned as they are.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(
                f"{value!r} is no date: write 2026-01-31 or 2026-01-31T12:00:00Z"
            ) from None
    if isinstance(value, datetime):
        return within_years(value if value.tzinfo is not None else value.replace(tzinfo=UTC))
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    return value


def within_years(value: datetime) -> datetime:
    """Return a time as it is; `ValueError` if it has no zone or its year in UTC is none of 1 to
    9999."""
    if value.tzinfo is None:
        raise ValueError("the time needs a zone")
    try:
        value.astimezone(UTC)
    except OverflowError:
        raise ValueError("in UTC the year is none of 1 to 9999") from None
    return value


PointInTime = Annotated[datetime, BeforeValidator(read_time)]
Dollars = Annotated[
    Decimal,
    Field(
        ge=0,
        max_digits=20,
        decimal_places=10,
        allow_inf_nan=False,
        description="US dollars per million tokens, exact to 1e-10",
    ),
]


class PriceDeclaration(_Strict):
    """A price of one's own, from a time until another (exclusive; None: until further notice)."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    valid_from: PointInTime = Field(alias="from")
    valid_to: PointInTime | None = Field(default=None, alias="to")
    input: Dollars
    cached_input: Dollars | None = None
    output: Dollars

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> PriceDeclaration:
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError("'to' must be later than 'from'")
        return self


def _plain(dollars: Decimal) -> str:
    return f"{dollars.normalize():f}"


Money = Annotated[Decimal, PlainSerializer(_plain, when_used="json")]


class PriceView(_Strict):
    """One price row. Money is US dollars per million tokens; in JSON a text, which is exact."""

    id: UUID
    input: Money
    cached_input: Money | None
    output: Money
    source: PriceSource
    valid_from: datetime
    valid_to: datetime | None

    def covers(self, at: datetime) -> bool:
        """Whether the price is valid at a time."""
        return self.valid_from <= at and (self.valid_to is None or at < self.valid_to)


def price_at(prices: Iterable[PriceView], at: datetime) -> PriceView | None:
    """Return the price that counts at a time: one's own, else the list's, else the local zero.

    None if no row covers the time: the price is unknown, which is not 0.
    """
    valid = [price for price in prices if price.covers(at)]
    valid.sort(key=lambda price: price.valid_from, reverse=True)
    return min(valid, key=lambda price: _SOURCE_RANK[price.source], default=None)


def _without_number(text: str) -> str:
    reference = _reference(text)
    if reference.number is not None:
        raise ValueError(f"leave out @{reference.number}: the catalog gives the numbers")
    return reference.model


def _reference(text: str) -> ModelReference:
    try:
        return parse_model_reference(text)
    except Invalid as error:
        raise ValueError(error.message.rstrip(".")) from None


def _follow_each_other(prices: tuple[PriceDeclaration, ...]) -> tuple[PriceDeclaration, ...]:
    ordered = sorted(prices, key=lambda price: price.valid_from)
    for earlier, later in pairwise(ordered):
        end = earlier.valid_to or later.valid_from
        if end > later.valid_from or earlier.valid_from == later.valid_from:
            day = f"{later.valid_from:%Y-%m-%d}"
            raise ValueError(f"two prices are valid on {day}: end the earlier one with 'to: {day}'")
    return prices


ModelName = Annotated[str, AfterValidator(_without_number)]
SuccessorName = Annotated[
    str, AfterValidator(lambda text: str(_reference(text))), Field(max_length=300)
]


class ModelDeclaration(_Strict):
    """What someone says about a model; what is left out says nothing and changes nothing.

    `provider_model` (default: the name) is what is sent, `endpoint` (default: the
    provider's own) is where to; with `digest` these three identify a version.
    """

    model: ModelName = Field(description="provider/name")
    provider_model: str | None = Field(default=None, min_length=1, max_length=200)
    endpoint: str | None = Field(default=None, min_length=1, max_length=100)
    digest: str | None = Field(default=None, min_length=1, max_length=200)
    context_window: int | None = Field(default=None, ge=1, le=2**31 - 1)
    max_output_tokens: int | None = Field(default=None, ge=1, le=2**31 - 1)
    parameters: dict[ParameterName, ParameterFact] = Field(default_factory=dict)
    prices: Annotated[tuple[PriceDeclaration, ...], AfterValidator(_follow_each_other)] = ()
    status: ModelStatus | None = None
    sunset: PointInTime | None = None
    successor: SuccessorName | None = None

    @property
    def reference(self) -> ModelReference:
        return parse_model_reference(self.model)

    @property
    def price_history(self) -> list[PriceDeclaration]:
        """The prices by time; one without an end ends where the next begins."""
        ordered = sorted(self.prices, key=lambda price: price.valid_from)
        ends = [later.valid_from for later in ordered[1:]]
        return [
            price.model_copy(update={"valid_to": price.valid_to or end})
            for price, end in zip_longest(ordered, ends)
        ]


class FactChanges(_Strict):
    """What is to be changed of the facts of one version; what is left out stays."""

    parameters: tuple[str, ...] = Field(
        default=(),
        max_length=50,
        description="one change each, as temperature=unsupported, temperature=max:1 or "
        "max_tokens=wire:max_completion_tokens",
    )
    context_window: int | None = Field(default=None, ge=1, le=2**31 - 1)
    max_output_tokens: int | None = Field(default=None, ge=1, le=2**31 - 1)


class Retirement(_Strict):
    """The end of a version: now, or at a sunset that is still to come."""

    sunset: PointInTime | None = None
    successor: SuccessorName | None = None


class ParameterView(_Strict):
    """One parameter at one model version, and what becomes of it when nobody asks for a value."""

    name: str
    minimum: float | None = Field(description="None for what is no number")
    maximum: float | None
    default: JsonValue = Field(description="the value when nobody asks for another; None for none")
    default_from: Literal["model", "house"] | None
    fixed: JsonValue = Field(description="the only value that the model accepts; None for any")
    unsupported: bool
    exclusive: tuple[str, ...] = Field(description="parameters that it is never sent together with")
    sent_as: str = Field(description="the name that the provider expects")
    left_out: str | None = Field(description="why the default is not sent; None if it is")


class ModelVersionView(_Strict):
    """One version as it is read back; `price` is the one that counted when it was read."""

    id: UUID
    language_model_id: UUID
    provider: str
    name: str
    number: int
    provider_model: str
    endpoint: str
    digest: str | None
    floating: bool
    facts: ModelFacts
    status: ModelStatus
    sunset_at: datetime | None
    successor: str | None
    price: PriceView | None = None
    created_at: datetime
    created_by: str

    @property
    def model(self) -> str:
        """`openai/gpt-4.1`."""
        return f"{self.provider}/{self.name}"

    @property
    def reference(self) -> str:
        """`openai/gpt-4.1@1`."""
        return f"{self.model}@{self.number}"
