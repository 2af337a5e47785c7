"""Reviews: what people mark generations as."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from workbench.client.calls import Answer, Call

__all__ = ["Mark", "mark"]


class Mark(Answer):
    """One mark: `ok` or `flagged`, with the reason if it is known. The newest one counts."""

    SCHEMA: ClassVar[str] = "MarkView"

    id: UUID
    mark: str
    reason: str | None
    reviewer: str
    created_at: datetime


def mark(generation_id: str, verdict: str, reason: str = "") -> Call[Mark]:
    """Mark a generation as `ok`, or as `flagged` with the reason."""
    body = {"mark": verdict, "reason": reason}
    return Call("POST", f"/api/generations/{generation_id}/reviews", Mark, body=body)
