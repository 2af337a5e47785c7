"""Sends spans to a collector by OTLP, where the environment names one.

The standard variables decide (`OTEL_EXPORTER_OTLP_ENDPOINT` and its relatives); without them
nothing is loaded. Spans wait in a bounded queue and are dropped when it is full: a collector that
is slow or down never holds up an answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.trace import TracerProvider

from app.core.errors import ConfigurationError

__all__ = ["exporting_provider"]

_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_SERVICE = "prompt-workbench"
_LAST_S = 5.0


@contextmanager
def exporting_provider(environment: Mapping[str, str]) -> Iterator[TracerProvider | None]:
    """Yield what writes spans to the collector that the environment names; None if it names none.

    At the end what is in the queue is sent, if the collector takes it within five seconds. Raises
    `ConfigurationError` if the extra is missing.
    """
    if not any(environment.get(name) for name in _VARIABLES):
        yield None
        return
    try:  # imported here: next to nobody needs it, and it takes a fifth of a second
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider as ExportingProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{_VARIABLES[1]} is set, and sending spans needs an extra: install "
            "prompt-workbench[otlp], or unset the variable."
        ) from error
    name = environment.get("OTEL_SERVICE_NAME") or _SERVICE
    resource = Resource.create({SERVICE_NAME: name})
    provider = ExportingProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    try:
        yield provider
    finally:
        _end(provider.shutdown)


def _end(shut_down: Callable[[], None]) -> None:
    """Send what waits, for as long as that may take; left to itself it is half a minute."""
    sending = threading.Thread(target=shut_down, name="last spans", daemon=True)
    sending.start()
    sending.join(_LAST_S)
