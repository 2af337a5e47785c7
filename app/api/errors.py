"""Expected errors as problem+json (RFC 9457) with a request id; never a trace."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.core import errors
from app.core.hashing import JSON
from app.core.ids import new_id

__all__ = ["add_error_handlers"]

_STATUS: dict[type[errors.WorkbenchError], int] = {
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Invalid: 422,
    errors.Forbidden: 403,
    errors.Unavailable: 503,
    errors.ConfigurationError: 500,
}


def add_error_handlers(app: FastAPI) -> None:
    """Install the handlers: expected errors, invalid requests, unknown routes, everything else."""

    @app.exception_handler(errors.WorkbenchError)
    async def expected(request: Request, error: errors.WorkbenchError) -> JSONResponse:
        status = next((s for kind, s in _STATUS.items() if isinstance(error, kind)), 500)
        # A configuration error may tell paths and settings: its text is for the log only.
        detail = error.message if status != 500 else "The server is not configured correctly."
        return _problem(request, status, error.code, detail, path=error.path)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return _problem(request, 422, "invalid", f"{where}: {first['msg']}", path=where)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        code = "not_found" if error.status_code == 404 else "http_error"
        return _problem(request, error.status_code, code, str(error.detail))

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        return _problem(request, 500, "internal", "Something went wrong on our side.")


def _problem(
    request: Request, status: int, code: str, detail: str, *, path: str | None = None
) -> JSONResponse:
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
        body,
        status_code=status,
        media_type="application/problem+json",
        headers={"x-request-id": request_id},
    )
