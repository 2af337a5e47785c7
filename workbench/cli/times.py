"""Points in time as people write them on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

from app.core.errors import Invalid

__all__ = ["parse_time"]


def parse_time(text: str, *, option: str) -> datetime:
    """Read a time such as `2026-03-01`, `2026-03-01 03:12` or `2026-03-01T03:12:00+01:00`.

    Without a zone it is UTC. Raises `Invalid` with the option's name for anything else.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Invalid(
            f"--{option} must be a time, as in 2026-03-01T03:12 (UTC) or 2026-03-01T03:12+01:00, "
            f"not {text!r}.",
            path=option,
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
