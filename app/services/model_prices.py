"""How price rows grow: they are closed and followed, never rewritten (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from app.core.errors import Conflict
from app.schemas.models import PriceDeclaration, PriceView

__all__ = ["PriceChanges", "own_price_changes"]


@dataclass
class PriceChanges:
    """Rows to close, with the time at which each ends, and prices to add."""

    close: dict[UUID, datetime] = field(default_factory=dict)
    add: list[PriceDeclaration] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.close or self.add)


def own_price_changes(
    recorded: Sequence[PriceView], declared: Sequence[PriceDeclaration]
) -> PriceChanges:
    """Return what has to change so that the declared prices are recorded.

    `recorded` are one's own rows, `declared` is ordered by time. A declared price that is
    recorded already changes nothing; a later one ends the open row. Raises `Conflict` for
    a price that contradicts a recorded one or lies within or before it.
    """
    changes = PriceChanges()
    for price in declared:
        same = next((row for row in recorded if row.valid_from == price.valid_from), None)
        if same is None:
            _follow(recorded, price, changes)
        else:
            _agree(same, price, changes)
    return changes


def _agree(row: PriceView, price: PriceDeclaration, changes: PriceChanges) -> None:
    ends = price.valid_to is None or row.valid_to in (None, price.valid_to)
    values = (price.input, price.cached_input, price.output)
    if values != (row.input, row.cached_input, row.output) or not ends:
        raise Conflict(
            f"Another price is recorded from {_day(row.valid_from)}: {row.input.normalize():f} in "
            f"and {row.output.normalize():f} out. Recorded prices never change.",
            path="prices",
            hint="Give the new price a later date from which it is valid.",
        )
    if price.valid_to is not None and row.valid_to is None:
        changes.close[row.id] = price.valid_to


def _follow(recorded: Sequence[PriceView], price: PriceDeclaration, changes: PriceChanges) -> None:
    for row in recorded:
        if row.valid_from > price.valid_from:
            if price.valid_to is None or price.valid_to > row.valid_from:
                raise _within(row, price)
        elif row.valid_to is None:
            changes.close[row.id] = min(
                changes.close.get(row.id, price.valid_from), price.valid_from
            )
        elif row.valid_to > price.valid_from:
            raise _within(row, price)
    changes.add.append(price)


def _within(row: PriceView, price: PriceDeclaration) -> Conflict:
    until = "on" if row.valid_to is None else f"until {_day(row.valid_to)}"
    return Conflict(
        f"A price from {_day(price.valid_from)} would overlap the one that is recorded from "
        f"{_day(row.valid_from)} {until}. Recorded prices never change.",
        path="prices",
        hint="Choose a later date from which the new price is valid.",
    )


def _day(at: datetime) -> str:
    midnight = (at.hour, at.minute, at.second, at.microsecond) == (0, 0, 0, 0)
    return f"{at:%Y-%m-%d}" if midnight else f"{at:%Y-%m-%d %H:%M:%S} UTC"
