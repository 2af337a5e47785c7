"""How the service itself is."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from workbench.client.calls import Answer, Call

__all__ = ["Queue", "Status", "status"]


class Queue(Answer):
    """What workers have to do."""

    SCHEMA: ClassVar[str] = "QueueStatus"

    queued: int
    running: int
    oldest_queued_at: datetime | None
    last_started_at: datetime | None


class Status(Answer):
    """The service, its database and its queue."""

    SCHEMA: ClassVar[str] = "ServiceStatus"

    version: str
    database: str
    schema_revision: str
    schema_needed: str
    queue: Queue
    is_waiting_for_worker: bool


def status() -> Call[Status]:
    """How the service is."""
    return Call("GET", "/api/status", Status)
