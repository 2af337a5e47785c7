"""What stands between a socket and the routes, from outside in.

Request ids, addresses, other origins, who sends a body, bodies. All are plain ASGI, so streams pass
through them untouched.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.authorisation import SignInFirst
from app.api.bodies import Bodies, BodyRules
from app.api.errors import NOT_FOUND_DETAIL, Failure, fail
from app.api.observation import Observed
from app.api.request_id import REQUEST_ID, RequestIds
from app.core.logging import Logger
from app.core.metrics import Metrics
from app.core.settings import Settings

__all__ = ["EXPOSED_HEADERS", "IMPORT_PATH", "PREVIEW_PATH", "Addresses", "add_boundary"]

IMPORT_PATH: Final = "/api/datasets"
"""Where datasets are imported by POST: a body that may be larger than others."""

PREVIEW_PATH: Final = "/api/datasets/preview"
"""Where the same body is looked at before it is imported."""

EXPOSED_HEADERS: Final = (
    REQUEST_ID,
    "deprecation",
    "etag",
    "idempotent-replayed",
    "location",
    "openai-processing-ms",
    "retry-after",
    "retry-after-ms",
    "sunset",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    "x-should-retry",
    "x-workbench-ignored",
)
"""What a script of another origin may read of a response beside its body."""


class Addresses:
    """ASGI middleware that refuses addresses which nothing behind it could answer for.

    It answers only to the given host names, or to all if there are none: a page whose name was
    bound to a loopback address arrives under its own name and gets 400. The character NUL, which no
    name has and PostgreSQL takes in no text, is found nowhere.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        failure = self._failure(scope) if scope["type"] == "http" else None
        if failure is not None:
            await fail(Request(scope), failure)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _failure(self, scope: Scope) -> Failure | None:
        if self._hosts and _host(scope) not in self._hosts:
            return Failure(400, "bad_host", "This server does not answer to that host name.")
        if "\0" in scope["path"]:
            return Failure(404, "not_found", NOT_FOUND_DETAIL)
        if b"%00" in scope["query_string"]:
            return Failure(422, "invalid", "The query holds the character NUL.", "query")
        return None


def _host(scope: Scope) -> str:
    """Return the name in the Host header, without its port."""
    name, _, port = Headers(scope=scope).get("host", "").lower().rpartition(":")
    return name if name and port.isdecimal() else f"{name}:{port}".lstrip(":")


def add_boundary(app: FastAPI, settings: Settings, logger: Logger, metrics: Metrics) -> None:
    """Install the layers; the last one added is the outermost."""
    app.add_middleware(
        Bodies,
        rules=BodyRules(
            max_bytes=settings.max_body_bytes,
            timeout_s=settings.body_timeout_s,
            larger={
                ("POST", path): settings.max_import_bytes for path in (IMPORT_PATH, PREVIEW_PATH)
            },
        ),
    )
    app.add_middleware(SignInFirst)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=(
                "authorization",
                "content-type",
                "idempotency-key",
                "if-none-match",
                REQUEST_ID,
            ),
            expose_headers=EXPOSED_HEADERS,
        )
    app.add_middleware(Addresses, hosts=settings.trusted_hosts)
    app.add_middleware(Observed, metrics=metrics, logger=logger)
    app.add_middleware(RequestIds, logger=logger)
