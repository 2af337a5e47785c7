"""Jobs: what workers were asked for, how far it is, and stopping it.

What a job is asked for stands with its noun: experiments, runs, comparisons, gates, judges.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.exceptions import HTTPException

from app.api.authorisation import CurrentActor, needs, sign_in
from app.api.chat_errors import EXPECTED_IN_STREAMS, stream_failure
from app.api.dependencies import ServicesDependency
from app.api.errors import Failure, problem_body
from app.api.paging import Cursor, Limit
from app.api.parameters import READS, WRITES
from app.api.streaming import EventStream, StreamFaults
from app.core.errors import Forbidden, NotFound
from app.core.permissions import Permission
from app.schemas.jobs import JobProgress, JobStatus, JobView
from app.schemas.pages import DEFAULT_PAGE_SIZE, Page

__all__ = ["accepted", "router"]

router = APIRouter(prefix="/api/jobs", tags=["jobs"])

_READ: Final = [Depends(needs(Permission.EXPERIMENT_READ))]
_UNSEEN: Final = (HTTPException, Forbidden, NotFound)
_LOST: Final = Failure(403, "forbidden", "You may not follow this job any longer.")
_EVENTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Server-sent events, the last one `end` or `error`.",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": 'event: progress\ndata: {"wanted": 400, "by_status": {...}}\n\n',
            }
        },
    }
}


def accepted(job: JobView, response: Response) -> JobView:
    """Return the job that a request became, and say in the response where it is followed."""
    response.headers["location"] = f"/api/jobs/{job.id}"
    return job


@router.get("", dependencies=_READ, responses=READS)
async def list_jobs(
    actor: CurrentActor,
    services: ServicesDependency,
    status: Annotated[
        list[JobStatus] | None, Query(max_length=10, description="only those that stand so")
    ] = None,
    experiment: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="only those of this experiment")
    ] = None,
    limit: Limit = DEFAULT_PAGE_SIZE,
    cursor: Cursor = None,
) -> Page[JobView]:
    """Jobs, newest first: those on datasets that you may see, and those that you asked for.

    Work that somebody does at a command line is among them; `asked` is null there.
    """
    return await services.jobs.page(
        actor, statuses=status or (), experiment=experiment, cursor=cursor, limit=limit
    )


@router.get("/{job_id}", dependencies=_READ, responses=READS)
async def get_job(job_id: UUID, actor: CurrentActor, services: ServicesDependency) -> JobProgress:
    """One job and how far it is, counted from the stored outcomes."""
    return await services.jobs.progress(actor, job_id)


@router.get(
    "/{job_id}/events",
    dependencies=_READ,
    response_class=Response,
    responses={**READS, **_EVENTS},
)
async def follow_job(job_id: UUID, services: ServicesDependency, request: Request) -> Response:
    """Follow a job by server-sent events.

    A `progress` event carries what `GET /api/jobs/{job_id}` answers, whenever that has changed;
    the last one is called `end`. Each is whole: after a broken connection just ask again. Whoever
    may see the job no longer gets an `error` within seconds.
    """
    request_id: str = request.state.request_id
    return EventStream(
        _pieces(services.jobs.follow(lambda: sign_in(request), job_id)),
        headers=dict,
        faults=StreamFaults(
            lambda error: _fault(error, request_id), (*EXPECTED_IN_STREAMS, HTTPException)
        ),
        leave=lambda: None,
    )


@router.post("/{job_id}/stop", dependencies=_READ, responses=WRITES)
async def stop_job(job_id: UUID, actor: CurrentActor, services: ServicesDependency) -> JobView:
    """End a job early: calls in flight finish, and what is open stays open.

    Its experiment can be resumed. Whoever asked for a job may stop it; others take
    `experiment:run` on its dataset.
    """
    return await services.jobs.ask_to_stop(actor, job_id)


async def _pieces(followed: AsyncIterator[JobProgress]) -> AsyncIterator[bytes]:
    async for progress in followed:
        name = "end" if progress.job.ended else "progress"
        yield _event(name, progress.model_dump_json().encode())


def _fault(error: Exception, request_id: str) -> bytes:
    failure = _LOST if isinstance(error, _UNSEEN) else stream_failure(error)
    return _event("error", problem_body(failure, request_id))


def _event(name: str, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)
