"""The slices of a comparison: which columns, which examples, and the rows of the result. Pure.

The rule. A metadata column is sliced by if its values are texts, whole numbers or truth values
and there are 2 to 20 different ones among the pairs; columns are taken in the order of their
names until there are 60 slices. A column that is asked for by name may have up to 200 values.
Slices with fewer pairs than a verdict needs are not looked at. What is left out is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Final

from app.core.errors import Invalid
from app.core.hashing import JSON
from workbench.statistics.effect import Differences
from workbench.statistics.slices import SliceEffect, SmallSlice, slice_effects

__all__ = ["MAX_SLICES", "Columns", "Sliced", "columns_of", "slices_of"]

MAX_VALUES: Final = 20
MAX_NAMED_VALUES: Final = 200
MAX_SLICES: Final = 60
_LONGEST_VALUE: Final = 100
_NONE: Final[Mapping[str, JSON]] = {}

Columns = Mapping[str, Sequence[str | None]]
"""For each metadata column the value of each example as a text; None where it has none."""


@dataclass(frozen=True, slots=True)
class Sliced:
    """Rows of the result: what was found in the slices, and what was not looked at and why."""

    slices: list[dict[str, Any]]
    left_out: list[dict[str, Any]]


def columns_of(metadata: Mapping[str, Mapping[str, JSON]], keys: Sequence[str]) -> Columns:
    """Return the metadata of the examples with these keys by column, columns by name.

    A column with a value that is no text, whole number or truth value is no column to group by.
    """
    rows = list(map(metadata.get, keys, repeat(_NONE)))
    # Equal metadata are often one object: each is read once, however many examples have it.
    identities = list(map(id, rows))
    different = dict(zip(identities, rows, strict=True))
    places = {identity: place for place, identity in enumerate(different)}
    codes = list(map(places.__getitem__, identities))
    found: dict[str, Sequence[str | None]] = {}
    for name in sorted({name for row in different.values() for name in row}):
        values = [row.get(name) for row in different.values()]
        if all(isinstance(value, str | int | None) for value in values):
            texts = [_text(value) for value in values]
            found[name] = list(map(texts.__getitem__, codes))
    return found


def _text(value: JSON) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[:_LONGEST_VALUE]


def slices_of(
    differences: Differences,
    columns: Columns,
    *,
    named: Sequence[str] = (),
    seed: int,
) -> Sliced:
    """Compare within the slices of the columns that the rule takes, or of the named ones.

    Raises `Invalid` for a named column that does not exist or has too many values.
    """
    left_out: list[dict[str, Any]] = []
    chosen = _named(columns, named) if named else _chosen(columns, left_out)
    effects, small = slice_effects(differences, chosen, seed=seed)
    left_out.extend(_small(each) for each in small)
    return Sliced([_row(effect) for effect in effects], left_out)


def _named(columns: Columns, named: Sequence[str]) -> dict[str, Sequence[str | None]]:
    for name in named:
        if name not in columns:
            known = f"There is: {', '.join(columns)}." if columns else "The examples have none."
            raise Invalid(f"There is no metadata column {name!r} to slice by.", hint=known)
        count = len(set(columns[name]) - {None})
        if count > MAX_NAMED_VALUES:
            raise Invalid(
                f"{name} has {count:,} values; slices are made of columns with up to "
                f"{MAX_NAMED_VALUES}."
            )
    return {name: columns[name] for name in named}


def _chosen(columns: Columns, left_out: list[dict[str, Any]]) -> dict[str, Sequence[str | None]]:
    chosen: dict[str, Sequence[str | None]] = {}
    n_slices = 0
    for name, values in columns.items():
        count = len(set(values) - {None})
        if count < 2:
            continue
        if count > MAX_VALUES:
            left_out.append(_left_out(name, None, f"{count:,} values"))
        elif n_slices + count > MAX_SLICES:
            left_out.append(_left_out(name, None, f"more than {MAX_SLICES} slices"))
        else:
            chosen[name] = values
            n_slices += count
    return chosen


def _left_out(column: str, value: str | None, reason: str) -> dict[str, Any]:
    return {"column": column, "value": value, "reason": reason}


def _small(each: SmallSlice) -> dict[str, Any]:
    reason = f"{each.n_pairs:,} pair{'s' if each.n_pairs != 1 else ''}"
    if each.n_clusters is not None:
        reason += f" in {each.n_clusters:,} cluster{'s' if each.n_clusters != 1 else ''}"
    return _left_out(each.column, each.value, reason)


def _row(found: SliceEffect) -> dict[str, Any]:
    interval = found.effect.interval
    return {
        "column": found.column,
        "value": found.value,
        "n_pairs": found.effect.n_pairs,
        "estimate": found.effect.estimate,
        "low": interval.low,
        "high": interval.high,
        "level": interval.level,
        "p_value": found.test.p_value,
        "q_value": found.q_value,
    }
