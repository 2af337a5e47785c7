"""A key, wherever it is echoed, reaches no error, record, span, line or traceback."""

from __future__ import annotations

import base64
import io
import traceback
from urllib.parse import quote

import orjson
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.core.logging import create_logger
from app.core.telemetry import create_tracer
from app.llm.client import LLMClient
from app.llm.errors import LLMError
from app.llm.retry import RetryPolicy
from app.llm.types import AttemptRecord
from tests.fake_provider import FAULTS, FakeProvider, FaultScript, ProviderOptions
from tests.integration.llm.support import (
    KEY,
    QUICK,
    Exchange,
    TinyServer,
    provider,
    request,
    settings,
    url_of,
)

HEADER = "hdr-canary-3Vt6Kp0Wd4Xs"
TRACES = (
    KEY,
    KEY[:12],
    HEADER,
    HEADER[:12],
    quote(KEY, safe=""),
    base64.b64encode(KEY.encode()).decode().rstrip("="),
)


class Echo(TinyServer):
    """Gives back all it was sent, in an error message, a body or a header."""

    def __init__(self, status: int, dialect: str) -> None:
        super().__init__(self._play)
        self._status = status
        self._dialect = dialect

    async def _play(self, exchange: Exchange) -> None:
        said = " ".join([exchange.line, *exchange.headers.values(), f"{KEY[:12]}*** {quote(KEY)}"])
        message = f"You sent: {said} {base64.b64encode(KEY.encode()).decode()}"
        error = message if self._dialect == "ollama" else {"message": message}
        await exchange.answer(
            orjson.dumps({"error": error}),
            status=self._status,
            headers={"x-request-id": "r-1", "x-echo": said},
        )


class Recorder:
    """Everything that a failing client shows of itself."""

    def __init__(self, url: str, dialect: str) -> None:
        self._lines = io.StringIO()
        self._exporter = InMemorySpanExporter()
        tracing = TracerProvider()
        tracing.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._dialect = dialect
        chosen = settings(url, dialect, limits=QUICK, extra_headers={"x-team-key": HEADER})
        self._provider = provider(chosen)
        self._client = LLMClient(
            {"lab": lambda: self._provider},
            retry=RetryPolicy(max_attempts=1, budget_s=-1.0),
            tracer=create_tracer(tracing),
            logger=create_logger("DEBUG", stream=self._lines),
        )
        self._shown = [repr(chosen), repr(self._provider), repr(self._client)]

    async def fail(self, model: str, *, stream: bool) -> str:
        """Make a call and return all that could be seen of it."""
        seen: list[AttemptRecord] = []
        wanted = request(model, dialect=self._dialect)
        try:
            if stream:
                async for _ in self._client.stream(wanted, on_attempt=seen.append):
                    pass
            else:
                await self._client.generate(wanted, on_attempt=seen.append)
        except LLMError as error:
            self._shown += [repr(error), str(error), str(error.body), repr(vars(error))]
            self._shown += traceback.format_exception(error)
        finally:
            await self._client.close()
        self._shown += [repr(seen), self._lines.getvalue()]
        self._shown += [span.to_json() for span in self._exporter.get_finished_spans()]
        return "\n".join(self._shown)


def assert_clean(shown: str) -> None:
    assert [trace for trace in TRACES if trace in shown] == []


@pytest.mark.parametrize("dialect", ["openai", "ollama"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 422, 429, 500])
async def test_an_echoed_key_is_masked(dialect: str, stream: bool, status: int) -> None:
    async with Echo(status, dialect) as server:
        shown = await Recorder(server.url, dialect).fail("m", stream=stream)

    assert "You sent" in shown
    assert_clean(shown)


PLAIN_FAULTS = [name for name, fault in FAULTS.items() if fault.applies_to("openai", stream=False)]


@pytest.mark.parametrize("fault", PLAIN_FAULTS)
async def test_no_fault_shows_the_key(fault: str) -> None:
    script = FaultScript(oversized_bytes=4 << 20)
    async with FakeProvider(ProviderOptions(script=script)) as server:
        recorder = Recorder(url_of(server, "openai"), "openai")
        assert_clean(await recorder.fail(f"fault-{fault}", stream=False))


@pytest.mark.parametrize("dialect", ["openai", "ollama"])
async def test_a_refused_connection_shows_no_key(dialect: str) -> None:
    async with TinyServer() as server:
        url = server.url
    assert_clean(await Recorder(url, dialect).fail("m", stream=False))


async def test_a_password_in_the_proxys_address_is_masked() -> None:
    chosen = settings("http://provider.test/v1", proxy="http://me:pw-canary-81@127.0.0.1:9")
    one = provider(chosen)
    with pytest.raises(LLMError) as caught:
        await one.generate(request())
    await one.close()

    assert "pw-canary" not in "".join(traceback.format_exception(caught.value))
