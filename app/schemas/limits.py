"""Limits of keys, users and aliases at the boundary."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.core.usage_limits import HolderKind, Limits, Span

__all__ = ["MAX_DOLLARS", "LimitValues", "LimitView", "WindowView"]

MAX_DOLLARS: Final = 900_000_000
"""The most that a limit of money can be: SQLite counts money in integers of 64 bits."""

_MOST = 2**31 - 1
Count = Annotated[int, Field(ge=1, le=_MOST)]
Dollars = Annotated[Decimal, Field(ge=0, le=Decimal(MAX_DOLLARS), max_digits=20, decimal_places=10)]


class LimitValues(BaseModel):
    """What a holder may use; a field that is absent is no limit.

    `on_reach` says whether requests beyond it are refused (`stop`) or served and told (`warn`).
    Without it, aliases in production warn and everything else stops.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"requests_per_minute": 60, "dollars_per_day": "5.00"}]},
    )

    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    dollars_per_day: Dollars | None = None
    dollars_per_month: Dollars | None = None
    on_reach: Literal["stop", "warn"] | None = None

    @property
    def says_nothing(self) -> bool:
        """Whether no limit is named."""
        return not any(
            value is not None
            for value in (
                self.requests_per_minute,
                self.tokens_per_minute,
                self.dollars_per_day,
                self.dollars_per_month,
            )
        )


class WindowView(BaseModel):
    """What was used in one window, and what calls under way may still use."""

    model_config = ConfigDict(frozen=True)

    span: Span
    starts_at: datetime
    requests: int
    tokens: int
    reserved_tokens: int
    spent: Decimal
    reserved: Decimal


class LimitView(BaseModel):
    """The limits of one key, user or alias, and its windows of now."""

    model_config = ConfigDict(frozen=True)

    holder_kind: HolderKind
    holder: str
    requests_per_minute: int | None
    tokens_per_minute: int | None
    dollars_per_day: Decimal | None
    dollars_per_month: Decimal | None
    on_reach: Literal["stop", "warn"]
    updated_at: datetime
    updated_by: str
    windows: tuple[WindowView, ...] = ()

    @property
    def limits(self) -> Limits:
        """What decides."""
        return Limits(
            self.requests_per_minute,
            self.tokens_per_minute,
            self.dollars_per_day,
            self.dollars_per_month,
            stops=self.on_reach == "stop",
        )
