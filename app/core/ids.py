"""Identifiers, all made by the application.

Rows get a UUIDv7, so that ids sort by creation. A generation of an experiment gets a
UUIDv8 (RFC 9562, custom form) derived from its cell (run, example, repetition): a cell
that is written twice is one row, and attempts written before their generation find it.
A question to a judge has one too, derived from all that makes it this question.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

__all__ = ["cell_id", "derived_id", "lowest_id", "new_id"]

_VERSION_MASK = ~(0xF000 << 64)
_VERSION_8 = 0x8000 << 64
_VARIANT_MASK = ~(0xC000 << 48)
_VARIANT_RFC = 0x8000 << 48


def new_id() -> UUID:
    """Return a fresh UUIDv7."""
    return uuid7()


def lowest_id(moment: datetime) -> UUID:
    """Return an id that no UUIDv7 made at this moment or later is below.

    A UUIDv7 begins with 48 bits of milliseconds (RFC 9562, 5.7), so that a range of time is a
    range of ids.
    """
    return UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)


def cell_id(run_id: UUID, example_id: UUID, repetition: int) -> UUID:
    """Return the UUIDv8 of one cell: SHA-256 over run, example and repetition (from 0)."""
    return _version_8(run_id.bytes + example_id.bytes + repetition.to_bytes(4, "big"))


def derived_id(*parts: str) -> UUID:
    """Return the UUIDv8 of a list of texts: SHA-256 over each one after its length in bytes."""
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return _version_8(b"".join(len(part).to_bytes(4, "big") + part for part in encoded))


def _version_8(data: bytes) -> UUID:
    number = int.from_bytes(hashlib.sha256(data).digest()[:16], "big")
    number = (number & _VERSION_MASK) | _VERSION_8
    number = (number & _VARIANT_MASK) | _VARIANT_RFC
    return UUID(int=number)
