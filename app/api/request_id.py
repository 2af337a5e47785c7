"""The outermost layer of the application: request ids, and errors that nobody expected.

Every response carries `x-request-id`: the caller's own if it is a plain token, else a new
one. Log lines of the request carry it too. An exception that no handler knows becomes a
problem without a trace; the trace goes to the log, once and redacted.
"""

from __future__ import annotations

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import Failure, fail
from app.core.ids import new_id
from app.core.logging import Logger, request_context

__all__ = ["REQUEST_ID", "RequestIds"]

REQUEST_ID = "x-request-id"

_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestIds:
    """ASGI middleware; it touches neither request nor response bodies, so streams pass."""

    def __init__(self, app: ASGIApp, logger: Logger) -> None:
        self._app = app
        self._logger = logger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if _PLAIN.fullmatch(given) else str(new_id())
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        with request_context(request_id):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception as error:
                self._logger.error("unexpected_error", path=scope["path"], exc_info=error)
                if started:  # too late for another answer: the server closes the connection
                    raise
                detail = "Something went wrong on our side."
                response = fail(Request(scope), Failure(500, "internal", detail))
                await response(scope, receive, send_with_id)
