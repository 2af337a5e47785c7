"""Jobs: what workers were asked for, how far it is, and stopping it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import JsonValue

from workbench.client.calls import Answer, Call, Listing

__all__ = ["Job", "JobProgress", "listing", "progress", "stop"]


class Job(Answer):
    """One piece of work. `asked` is the request as it came, None for a process at the command
    line; `detail` says what was done, and in `error` why it failed."""

    SCHEMA: ClassVar[str] = "JobView"

    id: UUID
    kind: str
    status: str
    experiment: int | None
    actor: str
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    stop_asked_at: datetime | None
    asked: dict[str, JsonValue] | None
    detail: dict[str, JsonValue]

    @property
    def ended(self) -> bool:
        return self.status not in ("queued", "running")


class JobProgress(Answer):
    """How far a job is: its experiment's cells as they are stored."""

    SCHEMA: ClassVar[str] = "JobProgress"

    job: Job
    wanted: int | None
    by_status: dict[str, int]
    cost: float | None


def listing(experiment: int | None = None, statuses: Sequence[str] = ()) -> Listing[Job]:
    """The jobs that one may see, newest first; of one experiment, or that stand so."""
    return Listing("/api/jobs", Job, {"experiment": experiment, "status": statuses})


def progress(job_id: UUID | str) -> Call[JobProgress]:
    """One job and how far it is."""
    return Call("GET", f"/api/jobs/{job_id}", JobProgress)


def stop(job_id: UUID | str) -> Call[Job]:
    """End a job early: calls in flight finish, and its experiment can be resumed."""
    return Call("POST", f"/api/jobs/{job_id}/stop", Job)
