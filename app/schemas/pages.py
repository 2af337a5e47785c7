"""Pages of a list, by cursor. A cursor is opaque to callers and says where the last page ended."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field

from app.core.errors import Invalid
from app.core.hashing import JSON

__all__ = [
    "DEFAULT_PAGE_SIZE",
    "MAX_COUNTED",
    "MAX_PAGE_SIZE",
    "Page",
    "as_id",
    "decode_cursor",
    "decode_id",
    "encode_cursor",
    "page_of",
]

ItemT = TypeVar("ItemT")

DEFAULT_PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 500
MAX_COUNTED: Final = 10_000
"""Where `total_estimate` stops counting, so that a page of a long list stays cheap."""

_LONGEST_CURSOR = 2_000  # characters
_OTHER_LIST = "The cursor is none of this list: use next_cursor of the page before."
_LARGEST = 2**31 - 1  # a position or number, as the columns hold them


class Page(BaseModel, Generic[ItemT]):
    """One page of a list, in a fixed order.

    `next_cursor` goes into the request for the next page; None on the last one.
    """

    model_config = ConfigDict(frozen=True)

    items: Sequence[ItemT]
    next_cursor: str | None = None
    total_estimate: int = Field(
        ge=0,
        description="how many there are in all, counted to 10,000; rows that come and go shift it",
    )


def page_of(
    found: Sequence[ItemT],
    *,
    limit: int,
    total: int,
    position: Callable[[ItemT], tuple[JSON, ...]],
) -> Page[ItemT]:
    """Return the page of rows that were read up to one more than `limit`, which tells of a next.

    `position` gives an item's values in the order of the list.
    """
    more = len(found) > limit
    return Page(
        items=found[:limit],
        next_cursor=encode_cursor(*position(found[limit - 1])) if more else None,
        total_estimate=total,
    )


def encode_cursor(*position: JSON) -> str:
    """Return the cursor of a position: the last row's values in the order of the list."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).rstrip(b"=").decode()


def decode_cursor(cursor: str, *kinds: type) -> tuple[JSON, ...]:
    """Return the position of a cursor made for values of these kinds; `Invalid` for another."""
    try:
        if len(cursor) > _LONGEST_CURSOR:
            raise ValueError
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        values = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        values = None
    if (
        not isinstance(values, list)
        or len(values) != len(kinds)
        or not all(_is_position(v, kind) for v, kind in zip(values, kinds, strict=True))
    ):
        raise Invalid(_OTHER_LIST, path="cursor")
    return tuple(values)


def decode_id(cursor: str) -> UUID:
    """Return the position of a list that is ordered by ids alone; `Invalid` for another cursor."""
    (value,) = decode_cursor(cursor, str)
    return as_id(value)


def as_id(value: JSON) -> UUID:
    """Return the id that a value of a position stands for; `Invalid` for another value."""
    try:
        return UUID(str(value))
    except ValueError:
        raise Invalid(_OTHER_LIST, path="cursor") from None


def _is_position(value: JSON, kind: type) -> bool:
    """Whether a value of a cursor is of its kind and one that every database compares."""
    if isinstance(value, str) and "\0" in value:
        return False
    if isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        return False
    return type(value) is kind
