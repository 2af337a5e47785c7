"""Structured logs: one JSON object a line, each with the request it belongs to.

A logger is made once, at the composition root, and passed in. The process's own logging, in which
libraries tell what goes wrong, is changed by `standard_logs` alone, for as long as its block lasts.
Lines carry facts (names, codes, counts, times) and never content, headers or keys; every text in
them goes through the `Redactor` all the same.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import TextIO

import orjson
import structlog
from structlog.typing import FilteringBoundLogger

from app.core.errors import ConfigurationError
from app.core.redaction import Redactor

__all__ = ["Logger", "create_logger", "request_context", "standard_logs"]

Logger = FilteringBoundLogger

_LEVELS: Mapping[str, int] = {
    name: getattr(logging, name) for name in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
}


def create_logger(
    level: str = "WARNING", *, stream: TextIO | None = None, redact: Redactor | None = None
) -> Logger:
    """Return a logger that writes JSON lines of `level` and above to `stream` (standard error).

    Below its level a call costs nothing but its arguments. Raises `ConfigurationError` for an
    unknown level.
    """
    number = _LEVELS.get(level.upper())
    if number is None:
        raise ConfigurationError(
            f"log_level {level!r} is unknown; use one of {', '.join(_LEVELS)}.", path="log_level"
        )
    clean = redact or Redactor()

    def redact_texts(_logger: object, _method: str, event: Event) -> Event:
        return {key: clean(v) if isinstance(v, str) else v for key, v in event.items()}

    lazy = structlog.wrap_logger(
        structlog.WriteLogger(stream or sys.stderr),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact_texts,
            structlog.processors.JSONRenderer(serializer=_line),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
    )
    # Binding resolves the lazy proxy once, which makes a call below the level ten times cheaper.
    logger: Logger = lazy.bind()
    return logger


Event = MutableMapping[str, object]


@contextmanager
def request_context(request_id: str) -> Iterator[None]:
    """Put `request_id` into every line that is logged inside the block, in this task."""
    with structlog.contextvars.bound_contextvars(request_id=request_id):
        yield


@contextmanager
def standard_logs(logger: Logger) -> Iterator[None]:
    """Inside the block, write the warnings and errors of libraries as lines of `logger`."""
    root, handler = logging.getLogger(), _Forwarded(logger)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


class _Forwarded(logging.Handler):
    """Passes records on, so that they are JSON and redacted like all other lines."""

    def __init__(self, logger: Logger) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._logger.log(
                record.levelno,
                "library_log",
                library=record.name,
                message=record.getMessage(),
                exc_info=record.exc_info,
            )
        except Exception:
            self.handleError(record)


def _line(event: Event, **_options: object) -> str:
    return orjson.dumps(event, default=str).decode()
