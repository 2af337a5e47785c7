"""What the outside sees of a request: one span, one log line, two metrics. Facts only.

The route is the template that matched, as in `/api/prompts/{name}/versions`: an address may hold
what a caller wrote. The line is written when the last byte is out, also for a stream and for a
client that left. A route that begins a chat leaves it in the request's state, by `note_chat`, and
what answered in the end is told with the rest.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Final, Protocol, TypeAlias
from uuid import UUID

from opentelemetry import context, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core import telemetry
from app.core.logging import Logger
from app.core.metrics import Metrics
from app.schemas.chat import ServedBy

__all__ = ["Observed", "note_chat"]

_UNMATCHED: Final = "unmatched"
_NO_ANSWER: Final = 499
"""What is told of a request whose client left before the answer began; no response has it."""
_FAILED: Final = 500
_CHAT: Final = "chat"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PROPAGATOR: Final = TraceContextTextMapPropagator()

_Facts: TypeAlias = dict[str, str | int | float]


class _Answer(Protocol):
    """A chat's answer on its way; `served` is final when it has come."""

    @property
    def generation_id(self) -> UUID | None: ...

    @property
    def served(self) -> ServedBy: ...


def note_chat(request: Request, answer: _Answer) -> None:
    """Say that a request is a chat with this answer."""
    setattr(request.state, _CHAT, answer)


class Observed:
    """ASGI middleware; it reads no body. The tracer is `app.state.tracer`, set at the start."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, logger: Logger) -> None:
        self._app = app
        self._metrics = metrics
        self._logger = logger if logger.is_enabled_for(logging.INFO) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen = _Seen(time.perf_counter())

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
            await send(message)

        span = self._open(scope)
        token = None if span is None else context.attach(trace.set_span_in_context(span))
        try:
            await self._app(scope, receive, send_and_note)
        except Exception as error:
            seen.failed(error)
            raise
        finally:
            if token is not None:
                context.detach(token)
            self._tell(scope, span, seen)

    def _open(self, scope: Scope) -> Span | None:
        tracer: Tracer | None = getattr(scope["app"].state, "tracer", None)
        if tracer is None:
            return None
        carrier = {"traceparent": Headers(scope=scope).get("traceparent", "")}
        return tracer.start_span(
            _method(scope), context=_PROPAGATOR.extract(carrier), kind=SpanKind.SERVER
        )

    def _tell(self, scope: Scope, span: Span | None, seen: _Seen) -> None:
        method, route = _method(scope), _route(scope)
        seconds = time.perf_counter() - seen.began
        self._metrics.request(method, route, seen.status, seconds)
        if span is None and self._logger is None:
            return
        state: dict[str, Any] = scope.get("state", {})
        answered = _answered_by(state.get(_CHAT))
        if self._logger is not None:
            self._logger.info(
                "http_request",
                method=method,
                route=route,
                status=seen.status,
                latency_ms=round(seconds * 1000, 3),
                **answered,
            )
        if span is not None:
            facts: _Facts = {
                **answered,
                telemetry.HTTP_METHOD: method,
                telemetry.HTTP_ROUTE: route,
                telemetry.HTTP_STATUS: seen.status,
                telemetry.LATENCY_MS: seconds * 1000,
                telemetry.REQUEST_ID: state["request_id"],
            }
            _close(span, f"{method} {route}", facts, seen.error)


class _Seen:
    """What was seen of an answer: when its request came, its status, and the kind of its error."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.status = _NO_ANSWER
        self._broke: str | None = None

    def failed(self, error: Exception) -> None:
        """Note an exception that nobody expected; what begins it is answered by 500 outside."""
        self._broke = type(error).__name__
        if self.status == _NO_ANSWER:
            self.status = _FAILED

    @property
    def error(self) -> str | None:
        return self._broke or (str(self.status) if self.status >= _FAILED else None)


def _answered_by(answer: _Answer | None) -> dict[str, str]:
    """Return what gave an answer; nothing for a request that is no chat."""
    if answer is None:
        return {}
    served = answer.served
    facts = {telemetry.PROVIDER: served.provider, telemetry.MODEL: served.model}
    if served.alias is not None:
        facts[telemetry.ALIAS] = served.alias
    if answer.generation_id is not None:
        facts[telemetry.GENERATION_ID] = str(answer.generation_id)
    return facts


def _close(span: Span, name: str, facts: _Facts, error: str | None) -> None:
    span.update_name(name)
    if error is not None:
        facts[telemetry.ERROR_TYPE] = error
        span.set_status(Status(StatusCode.ERROR))
    span.set_attributes(facts)
    span.end()


def _method(scope: Scope) -> str:
    method = str(scope["method"])
    return method if method in _METHODS else "OTHER"


def _route(scope: Scope) -> str:
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else _UNMATCHED
