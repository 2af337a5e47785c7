"""The end of a model version's life: what its status means now, and how callers are told (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Literal, TypeAlias

__all__ = ["ModelStatus", "lifecycle_headers", "status_at"]

ModelStatus: TypeAlias = Literal["draft", "active", "deprecated", "retired"]


def status_at(status: ModelStatus, sunset_at: datetime | None, now: datetime) -> ModelStatus:
    """Return the status at a time: a version that was deprecated until its sunset is retired from
    then on, without anybody having to say so."""
    if status == "deprecated" and sunset_at is not None and sunset_at <= now:
        return "retired"
    return status


def lifecycle_headers(
    deprecated_at: datetime | None, sunset_at: datetime | None, successor: str | None = None
) -> Mapping[str, str]:
    """Return the headers of an answer from a version that is going to end, by names in lower case.

    `deprecation` is `@` and the time in seconds since 1970 (RFC 9745, section 2.1), `sunset` an
    HTTP date (RFC 8594, section 3). The successor's reference has a header of our own, since no
    link leads to a model. There are none for a version that is not deprecated.
    """
    if deprecated_at is None:
        return {}
    headers = {"deprecation": f"@{int(deprecated_at.timestamp())}"}
    if sunset_at is not None:
        headers["sunset"] = format_datetime(sunset_at.astimezone(UTC), usegmt=True)
    if successor is not None:
        headers["x-workbench-successor"] = successor
    return headers
