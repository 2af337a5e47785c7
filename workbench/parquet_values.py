"""Values of Parquet as JSON: times as ISO 8601, decimals as their digits. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal

__all__ = ["json_value"]


def json_value(value: object) -> object:
    """Return a value as JSON has it; what has no form in JSON, such as bytes, comes back as it is.

    Whoever takes the value refuses that with the name of its column.
    """
    if isinstance(value, Mapping):
        return {name: json_value(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(item) for item in value]
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    return value
