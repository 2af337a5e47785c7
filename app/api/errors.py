"""Expected errors as problem+json (RFC 9457) with a request id; never a trace."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.core import errors
from app.core.hashing import JSON
from app.core.ids import new_id
from app.core.logging import Logger
from app.database import DatabaseError

__all__ = ["add_error_handlers", "problem"]

_STATUS: Mapping[type[errors.WorkbenchError], int] = {
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Invalid: 422,
    errors.Forbidden: 403,
    errors.Unavailable: 503,
    errors.ConfigurationError: 500,
}
# What went wrong here tells paths, addresses and settings: its text is for the log only.
_PUBLIC_DETAIL = {
    500: "The server is not configured correctly.",
    503: "The server cannot answer at the moment; try again later.",
}
_HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}


def add_error_handlers(app: FastAPI, logger: Logger) -> None:
    """Install the handlers: expected errors, a database that fails, invalid requests and routes.

    What nobody expected is the matter of `RequestIds`.
    """

    @app.exception_handler(errors.WorkbenchError)
    async def expected(request: Request, error: errors.WorkbenchError) -> JSONResponse:
        status = next((s for kind, s in _STATUS.items() if isinstance(error, kind)), 500)
        if status >= 500:
            logger.error(error.code, detail=error.message, path=request.url.path)
        detail = _PUBLIC_DETAIL.get(status, error.message)
        return problem(request, status, error.code, detail, path=error.path)

    @app.exception_handler(DatabaseError)
    @app.exception_handler(OSError)
    async def unavailable(request: Request, error: Exception) -> JSONResponse:
        logger.error("unavailable", path=request.url.path, exc_info=error)
        return problem(request, 503, "unavailable", _PUBLIC_DETAIL[503])

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return problem(request, 422, "invalid", f"{where}: {first['msg']}", path=where)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        code = _HTTP_CODES.get(error.status_code, "http_error")
        return problem(request, error.status_code, code, error.detail, headers=error.headers)


def problem(
    request: Request,
    status: int,
    code: str,
    detail: str,
    *,
    path: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the one shape of every error; `path` names the field that is wrong."""
    request_id = getattr(request.state, "request_id", None) or str(new_id())
    body: dict[str, JSON] = {
        "type": f"urn:workbench:problem:{code}",
        "title": code.replace("_", " "),
        "status": status,
        "detail": detail,
        "request_id": request_id,
    }
    if path:
        body["path"] = path
    return JSONResponse(
        body, status_code=status, media_type="application/problem+json", headers=headers
    )
