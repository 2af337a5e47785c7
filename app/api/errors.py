"""Errors as problem+json (RFC 9457) with a request id; never a trace.

Every error becomes a `Failure`, and one writer turns it into a response. Paths below a prefix may
have a writer of their own: `/v1` answers in the shape that OpenAI's clients read. What is not there
and what the caller may not know of have one answer, so that a 404 tells nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from app.core import errors
from app.core.ids import new_id
from app.core.logging import Logger
from app.database import DatabaseError

__all__ = [
    "NOT_FOUND_DETAIL",
    "PROBLEM_MEDIA_TYPE",
    "PROBLEM_SCHEMA",
    "Failure",
    "Problem",
    "Writer",
    "add_error_handlers",
    "fail",
    "problem_body",
    "problems",
]

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"
PROBLEM_SCHEMA: Final = "#/components/schemas/Problem"
NOT_FOUND_DETAIL: Final = "There is nothing here by this name that you may see."

_STATUS: Final[Mapping[type[errors.WorkbenchError], int]] = {
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Invalid: 422,
    errors.Forbidden: 403,
    errors.LimitReached: 429,
    errors.Retired: 410,
    errors.Unavailable: 503,
    errors.ConfigurationError: 500,
}
# What went wrong here tells paths, addresses and settings: its text is for the log only.
_PUBLIC_DETAIL: Final = {
    404: NOT_FOUND_DETAIL,
    500: "The server is not configured correctly.",
    503: "The server cannot answer at the moment; try again later.",
}
_HTTP_CODES: Final = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    429: "too_many_requests",
}
_MEANINGS: Final = {
    400: "The request is not well formed.",
    401: "No credential, or none that holds.",
    403: "The credential lacks the permission.",
    404: "There is no such object, or the caller may not know that there is.",
    408: "The body took too long to arrive.",
    409: "What is recorded forbids it, or the same request is still under way.",
    410: "The model version has been retired.",
    413: "The body is larger than the server takes.",
    415: "The body is not sent as application/json.",
    422: "A field breaks a rule; `path` names it.",
    429: "A limit is reached; `Retry-After` says when to try again.",
    502: "The provider failed.",
    503: "The database or a provider does not answer.",
    504: "The provider took too long.",
}


class Problem(BaseModel):
    """Every error of this API."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(description="`urn:workbench:problem:` and the code of the error")
    title: str = Field(description="the code in words")
    status: int = Field(description="the HTTP status")
    detail: str = Field(description="what is wrong and what to do about it")
    request_id: str = Field(description="as in the header `x-request-id` and in our log")
    path: str | None = Field(default=None, description="the field that is wrong")


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that a caller may see; `path` names the field that is wrong."""

    status: int
    code: str
    detail: str
    path: str | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


Writer = Callable[[Failure, str], Response]
"""Makes the response of a failure under a request id."""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses=` of a route that may fail with these statuses."""
    schema = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": PROBLEM_SCHEMA}}}
    return {
        status: {"description": _MEANINGS[status], "content": schema} for status in sorted(statuses)
    }


def add_error_handlers(
    app: FastAPI, logger: Logger, writers: Mapping[str, Writer] | None = None
) -> None:
    """Install the handlers: expected errors, a database that fails, invalid requests and routes.

    `writers` maps a prefix of paths to the writer of their errors; elsewhere errors are
    problem+json. What nobody expected is the matter of `RequestIds`.
    """
    app.state.error_writers = dict(writers or {})

    @app.exception_handler(errors.WorkbenchError)
    async def expected(request: Request, error: errors.WorkbenchError) -> Response:
        status = next((s for kind, s in _STATUS.items() if isinstance(error, kind)), 500)
        if status >= 500:
            logger.error(error.code, detail=error.message, path=request.url.path)
        detail = _PUBLIC_DETAIL.get(status, error.message)
        path = None if status == 404 else error.path
        return fail(request, Failure(status, error.code, detail, path, _headers(error)))

    @app.exception_handler(DatabaseError)
    @app.exception_handler(OSError)
    async def unavailable(request: Request, error: Exception) -> Response:
        logger.error("unavailable", path=request.url.path, exc_info=error)
        return fail(request, Failure(503, "unavailable", _PUBLIC_DETAIL[503]))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return fail(request, Failure(422, "invalid", f"{where}: {first['msg']}", where))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 400:  # what FastAPI says of a body that no parser could read
            return fail(request, Failure(422, "invalid", "The body is no JSON.", "body"))
        code = _HTTP_CODES.get(error.status_code, "http_error")
        detail = _PUBLIC_DETAIL.get(error.status_code, error.detail)
        return fail(request, Failure(error.status_code, code, detail, headers=error.headers or {}))


def fail(request: Request, failure: Failure) -> Response:
    """Return the response of a failure, as the writer of the request's path makes it."""
    request_id = getattr(request.state, "request_id", None) or str(new_id())
    writers: Mapping[str, Writer] = getattr(request.app.state, "error_writers", {})
    path: str = request.scope["path"]
    for prefix, writer in writers.items():
        if path == prefix or path.startswith(f"{prefix}/"):
            return writer(failure, request_id)
    return _response(failure, request_id)


def problem_body(failure: Failure, request_id: str) -> bytes:
    """Return a failure as the JSON of a problem, for where it is no response of its own."""
    return orjson.dumps(_problem(failure, request_id).model_dump(exclude_none=True))


def _problem(failure: Failure, request_id: str) -> Problem:
    return Problem(
        type=f"urn:workbench:problem:{failure.code}",
        title=failure.code.replace("_", " "),
        status=failure.status,
        detail=failure.detail,
        request_id=request_id,
        path=failure.path,
    )


def _response(failure: Failure, request_id: str) -> JSONResponse:
    return JSONResponse(
        _problem(failure, request_id).model_dump(exclude_none=True),
        status_code=failure.status,
        media_type=PROBLEM_MEDIA_TYPE,
        headers=dict(failure.headers),
    )


def _headers(error: errors.WorkbenchError) -> dict[str, str]:
    """Return a limit's headers, and `Retry-After` in whole seconds if waiting may help."""
    headers = dict(error.headers) if isinstance(error, errors.LimitReached) else {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_s)))
    return headers
