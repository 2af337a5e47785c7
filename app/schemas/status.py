"""How the service itself is, at the boundary."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["QueueStatus", "ServiceStatus"]


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class QueueStatus(_View):
    """What workers have to do."""

    queued: int
    running: int = Field(description="work at command lines included")
    oldest_queued_at: datetime | None = Field(description="since when the first of them waits")
    last_started_at: datetime | None = Field(description="when a job was taken up last")


class ServiceStatus(_View):
    """The service that answers, its database, and its queue."""

    version: str
    database: Literal["sqlite", "postgresql"]
    schema_revision: str
    schema_needed: str = Field(description="by this version; it starts with no other")
    queue: QueueStatus
    is_waiting_for_worker: bool = Field(
        description="jobs wait for more than 30 s and none runs: no worker seems to be there"
    )
