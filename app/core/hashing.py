"""Content hashes: SHA-256 over one canonical JSON form, with the algorithm as prefix.

The canonical form sorts object keys, writes no white space, encodes UTF-8 and writes a
float without fraction as an integer (`0.0` and `0` are the same temperature). Changing
this form changes every hash that was ever stored: do not touch it, add a new prefix.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import orjson

from app.core.errors import Invalid

__all__ = ["JSON", "canonical_json", "content_hash", "ordered_json", "salted_hash"]

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"

_ALGORITHM = "sha256"
_EXACT_INTEGER = 2**53


def canonical_json(value: JSON) -> bytes:
    """Return the one byte form that is hashed.

    Raises `Invalid` for what JSON cannot hold: NaN, infinities, lone surrogates.
    """
    try:
        return orjson.dumps(_normal(value), option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise Invalid(f"This value cannot be written as JSON: {error}.") from error


def ordered_json(value: JSON) -> str:
    """Return compact JSON that keeps the key order as written.

    For JSON schemas and tool definitions the order of properties reaches the model and
    changes its answers, so it belongs to their identity.
    """
    try:
        return orjson.dumps(_normal(value)).decode()
    except TypeError as error:
        raise Invalid(f"This value cannot be written as JSON: {error}.") from error


def content_hash(value: JSON) -> str:
    """Return `sha256:<hex>` of the canonical form; 71 characters."""
    return f"{_ALGORITHM}:{hashlib.sha256(canonical_json(value)).hexdigest()}"


def salted_hash(salt: bytes, body: bytes) -> str:
    """Return the hash kept beside an erasable text; without its salt nobody can guess the text."""
    return f"{_ALGORITHM}:{hashlib.sha256(salt + body).hexdigest()}"


def _normal(value: JSON) -> JSON:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Invalid("NaN and infinite numbers cannot be stored.")
        if value.is_integer() and abs(value) <= _EXACT_INTEGER:
            return int(value)
        return value
    if isinstance(value, Mapping):
        return {key: _normal(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_normal(item) for item in value]
    return value
