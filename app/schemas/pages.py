"""Pages of a list, by cursor. A cursor is opaque to callers and says where the last page ended."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field

from app.core.errors import Invalid
from app.core.hashing import JSON

__all__ = ["DEFAULT_PAGE_SIZE", "MAX_PAGE_SIZE", "Page", "decode_cursor", "encode_cursor"]

ItemT = TypeVar("ItemT")

DEFAULT_PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 500
_LONGEST_CURSOR = 2_000  # characters


class Page(BaseModel, Generic[ItemT]):
    """One page of a list, in a fixed order.

    `next_cursor` goes into the request for the next page; None on the last one.
    """

    model_config = ConfigDict(frozen=True)

    items: Sequence[ItemT]
    next_cursor: str | None = None
    total_estimate: int = Field(
        ge=0, description="how many there are in all; rows that come and go may shift it"
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
        or not all(type(v) is kind for v, kind in zip(values, kinds, strict=True))
    ):
        raise Invalid(
            "The cursor is none of this list: use next_cursor of the page before.", path="cursor"
        )
    return tuple(values)
