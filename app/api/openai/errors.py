"""Errors under `/v1` in the shape and with the statuses that OpenAI's clients act on.

The SDK tries 408, 409, 429 and 5xx again unless `x-should-retry` says otherwise, so that nothing
refused for good may have such a status: what is 409, 410 or 422 elsewhere is 400 or 404 here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.errors import Failure
from app.core.errors import NotFound
from app.core.hashing import JSON

__all__ = ["ErrorBody", "ErrorReply", "ModelNotFound", "error_body", "errors", "write_error"]

_STATUS: Final[Mapping[int, int]] = {409: 400, 410: 404, 422: 400}
_CODES: Final[Mapping[str, str]] = {
    "unauthenticated": "invalid_api_key",
    "forbidden": "permission_denied",
    "retired": "model_not_found",
    "budget_spent": "insufficient_quota",
    "limit_reached": "rate_limit_exceeded",
    "too_many_requests": "rate_limit_exceeded",
    "provider_rate_limited": "rate_limit_exceeded",
    "provider_content_filtered": "content_filter",
    "guard_refused": "content_filter",
    "internal": "internal_error",
}
_MEANINGS: Final[Mapping[int, str]] = {
    400: "The request is refused; `param` names the field.",
    401: "No credential, or none that holds.",
    403: "The credential lacks the permission.",
    404: "There is no such model or alias, the caller may not know of it, or it is retired.",
    408: "The body took too long to arrive.",
    413: "The body is larger than the server takes.",
    415: "The body is not sent as application/json.",
    429: "A limit is reached or a budget spent; `x-should-retry` tells them apart.",
    500: "Something went wrong on our side.",
    502: "The provider failed.",
    503: "The database or the provider does not answer.",
    504: "The provider took too long.",
}


class ModelNotFound(NotFound):
    """No alias or model of this name, or none that the actor may use."""

    code = "model_not_found"


class ErrorBody(BaseModel):
    """What went wrong, in OpenAI's words."""

    model_config = ConfigDict(frozen=True)

    message: str = Field(description="what is wrong and what to do about it")
    type: str = Field(description="the class of the error")
    param: str | None = Field(description="the field that is wrong")
    code: str | None = Field(description="the error itself")


class ErrorReply(BaseModel):
    """Every error under `/v1`, and an event of a stream that fails after its start."""

    model_config = ConfigDict(frozen=True)

    error: ErrorBody


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses=` of a route that may fail with these statuses."""
    return {
        status: {"description": _MEANINGS[status], "model": ErrorReply}
        for status in sorted(statuses)
    }


def error_body(failure: Failure) -> dict[str, JSON]:
    """Return the body of a failure."""
    code = _CODES.get(failure.code, failure.code)
    return {
        "error": {
            "message": failure.detail,
            "type": _type(_STATUS.get(failure.status, failure.status), code),
            "param": _param(failure.path, code),
            "code": code,
        }
    }


def write_error(failure: Failure, request_id: str) -> Response:
    """Return the response of a failure; the request's id is in a header of every response."""
    return JSONResponse(
        error_body(failure),
        status_code=_STATUS.get(failure.status, failure.status),
        headers=dict(failure.headers),
    )


def _type(status: int, code: str) -> str:
    if status == 429:
        return code if code == "insufficient_quota" else "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"


def _param(path: str | None, code: str) -> str | None:
    """Return the name of a field as the client sent it."""
    if code == ModelNotFound.code:
        return "model"
    if path is None:
        return None
    return f"prompt.{path}" if path.startswith("variables") else path.removeprefix("parameters.")
