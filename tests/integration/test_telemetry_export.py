"""Spans go to the collector that the environment names, and nobody ever waits for it."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.core.settings import Settings, load_settings
from app.core.telemetry import CONVENTIONS, create_tracer
from app.main import create_app
from app.telemetry_export import exporting_provider

KEY_SECRET = "a secret of the tests, long enough to be one"
PATIENCE_S = 20
"""How long the exporter would wait for an answer: longer than anything here may take."""


@pytest.fixture
def database_kind() -> str:
    """Spans leave the same way whatever the database is; one is enough."""
    return "sqlite"


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    environment = {"WORKBENCH_DATABASE_URL": database_url, "WORKBENCH_KEY_SECRET": KEY_SECRET}
    return load_settings(tmp_path, environment)


@pytest.fixture(autouse=True)
def small_and_eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the queue overflow soon, and its worker send at once."""
    for name, value in {
        "OTEL_BSP_SCHEDULE_DELAY": 10,
        "OTEL_BSP_MAX_QUEUE_SIZE": 16,
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": 8,
        "OTEL_EXPORTER_OTLP_TIMEOUT": PATIENCE_S,
    }.items():
        monkeypatch.setenv(name, str(value))


@contextmanager
def black_hole() -> Iterator[socket.socket]:
    """Listen, and never answer: the kernel takes connections, and nobody reads them."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


class Collector:
    """Keeps the names of the spans that arrive, by the services they are of."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.services: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.keep(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def keep(self, request: ExportTraceServiceRequest) -> None:
        for of_resource in request.resource_spans:
            attributes = {it.key: it.value.string_value for it in of_resource.resource.attributes}
            self.services.add(attributes["service.name"])
            for of_scope in of_resource.scope_spans:
                assert of_scope.schema_url.endswith(f"/{CONVENTIONS}")
                self.names += [span.name for span in of_scope.spans]

    @contextmanager
    def serving(self) -> Iterator[None]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    application = create_app(settings)
    async with application.router.lifespan_context(application):
        transport = httpx2.ASGITransport(app=application)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client


async def test_spans_of_requests_arrive_and_the_last_ones_are_sent_at_the_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    with collector.serving():
        async with running(settings) as client:
            assert (await client.get("/health/ready")).status_code == 200
    assert collector.names.count("GET /health/ready") == 1
    assert collector.services == {"prompt-workbench"}


async def test_a_collector_that_never_answers_holds_up_neither_requests_nor_the_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with black_hole() as listening:
        port = listening.getsockname()[1]
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        took: list[float] = []
        async with running(settings) as client:
            for _ in range(100):  # three spans each: many times what the queue takes
                began = time.monotonic()
                assert (await client.get("/health/ready")).status_code == 200
                took.append(time.monotonic() - began)
            connection, _ = listening.accept()  # the exporter has called, and waits
            ended = time.monotonic()
        stopped_s = time.monotonic() - ended
        connection.close()
    assert max(took) < 2
    assert stopped_s < PATIENCE_S / 2


def test_without_a_collector_nothing_is_made() -> None:
    with exporting_provider({"OTEL_SERVICE_NAME": "shop"}) as provider:
        assert provider is None


def test_the_service_may_have_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    collector = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SERVICE_NAME": "shop"}
    with collector.serving(), exporting_provider(environment) as provider:
        tracer = create_tracer(provider)
        assert tracer is not None
        tracer.start_span("one").end()
    assert (collector.services, collector.names) == ({"shop"}, ["one"])
