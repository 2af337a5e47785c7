"""A span round every statement, where somebody listens; without a tracer nothing is installed.

A span says what was done to which table and how long that took. The statement itself and its
parameters are never in it: they hold what people wrote.
"""

from __future__ import annotations

import re
import time
from typing import Any, Final

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from sqlalchemy import Engine, event

from app.core import telemetry

__all__ = ["trace_statements"]

_TARGET: Final = re.compile(
    r"\s*(?P<verb>[A-Za-z]+)(?:.*?\b(?:FROM|INTO|UPDATE)\s+\"?(?P<table>[a-z_]+))?", re.DOTALL
)
_LOOKED_AT: Final = 2_000  # characters
_SPANS: Final = "workbench_spans"


def trace_statements(engine: Engine, tracer: Tracer) -> None:
    """Write a span for every statement of an engine."""
    system = engine.dialect.name

    @event.listens_for(engine, "before_cursor_execute")
    def begin(
        connection: Any, _cursor: Any, statement: str, _parameters: Any, _context: Any, _many: bool
    ) -> None:
        span = tracer.start_span(statement[:6].strip(), kind=SpanKind.CLIENT)
        connection.info.setdefault(_SPANS, []).append((span, time.perf_counter(), statement))

    @event.listens_for(engine, "after_cursor_execute")
    def end(connection: Any, *_: Any) -> None:
        _close(connection.info[_SPANS].pop(), system)

    @event.listens_for(engine, "handle_error")
    def failed(context: Any) -> None:
        spans = context.connection.info.get(_SPANS) if context.connection is not None else None
        if spans:
            error = context.original_exception
            _close(spans.pop(), system, str(getattr(error, "sqlstate", "") or type(error).__name__))


def _close(begun: tuple[Span, float, str], system: str, error: str | None = None) -> None:
    span, started, statement = begun
    found = _TARGET.match(statement[:_LOOKED_AT])
    verb = found["verb"].upper() if found else "OTHER"
    table = found["table"] if found else None
    span.update_name(f"{verb} {table}" if table else verb)
    facts: dict[str, str | float] = {
        telemetry.DB_SYSTEM: system,
        telemetry.PROVIDER: system,
        telemetry.DB_OPERATION: verb,
        telemetry.LATENCY_MS: (time.perf_counter() - started) * 1000,
    }
    if table:
        facts[telemetry.DB_COLLECTION] = table
    if error is not None:
        facts[telemetry.ERROR_TYPE] = error
        span.set_status(Status(StatusCode.ERROR))
    span.set_attributes(facts)
    span.end()
