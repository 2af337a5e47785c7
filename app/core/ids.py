"""Identifiers, all made by the application.

Rows get a UUIDv7, so that ids sort by creation. A generation of an experiment gets a
UUIDv8 (RFC 9562, custom form) derived from its cell (run, example, repetition): a cell
that is written twice is one row, and attempts written before their generation find it.
"""

from __future__ import annotations

import hashlib
from uuid import UUID

from uuid_utils.compat import uuid7

__all__ = ["cell_id", "new_id"]

_VERSION_MASK = ~(0xF000 << 64)
_VERSION_8 = 0x8000 << 64
_VARIANT_MASK = ~(0xC000 << 48)
_VARIANT_RFC = 0x8000 << 48


def new_id() -> UUID:
    """Return a fresh UUIDv7."""
    return uuid7()


def cell_id(run_id: UUID, example_id: UUID, repetition: int) -> UUID:
    """Return the UUIDv8 of one cell: SHA-256 over run, example and repetition (from 0)."""
    digest = hashlib.sha256(run_id.bytes + example_id.bytes + repetition.to_bytes(4, "big"))
    number = int.from_bytes(digest.digest()[:16], "big")
    number = (number & _VERSION_MASK) | _VERSION_8
    number = (number & _VARIANT_MASK) | _VARIANT_RFC
    return UUID(int=number)
