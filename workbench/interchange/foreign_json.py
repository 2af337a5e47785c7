"""JSON as other tools export it, bounded like their YAML."""

from __future__ import annotations

from typing import Final

import orjson

from app.core.errors import Invalid
from app.core.hashing import JSON

__all__ = ["MAX_BYTES", "parse_foreign_json"]

MAX_BYTES: Final = 20_000_000
MAX_DEPTH: Final = 50
MAX_VALUES: Final = 500_000


def parse_foreign_json(text: str, *, source: str) -> JSON:
    """Parse a text. Raises `Invalid` if it is no JSON, over 20 MB, or nested deeper than 50."""
    if len(text) > MAX_BYTES:
        raise Invalid(f"{source} is longer than the {MAX_BYTES:,} bytes that are read.")
    try:
        value: JSON = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"{source}, line {error.lineno}: this is not valid JSON: {error.msg}.") from (
            error
        )
    _check_size(value, source)
    return value


def _check_size(value: JSON, source: str) -> None:
    waiting: list[tuple[JSON, int]] = [(value, 0)]
    seen = 0
    while waiting:
        item, depth = waiting.pop()
        seen += 1
        if depth > MAX_DEPTH:
            raise Invalid(f"{source} is nested deeper than {MAX_DEPTH} levels.")
        if seen > MAX_VALUES:
            raise Invalid(f"{source} holds more than the {MAX_VALUES:,} values that are read.")
        if isinstance(item, dict):
            waiting += [(part, depth + 1) for part in item.values()]
        elif isinstance(item, list):
            waiting += [(part, depth + 1) for part in item]
