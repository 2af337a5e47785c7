"""One span and one log line a call: facts, and never content."""

from __future__ import annotations

import io
from dataclasses import replace

import orjson
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from app.core.logging import create_logger
from app.core.telemetry import create_tracer
from app.llm.client import LLMClient
from app.llm.errors import AuthenticationFailed, LLMError, ServerError
from app.llm.limits import AccountLimits
from app.llm.retry import RetryPolicy
from tests.unit.llm.support import ScriptedProvider, request

SECRET_PROMPT = "the prompt nobody may log"
SECRET_ANSWER = "the answer nobody may log"


class Listener:
    """A client with both listeners, and what they heard."""

    def __init__(self, *script: str | LLMError) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._stream = io.StringIO()
        scripted = ScriptedProvider(script or (SECRET_ANSWER,))
        self.client = LLMClient(
            {"lab": lambda: scripted},
            limits={"lab": AccountLimits(concurrency=1)},
            retry=RetryPolicy(base_s=0.0),
            tracer=create_tracer(self.provider),
            logger=create_logger("INFO", stream=self._stream),
        )

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    @property
    def lines(self) -> list[dict[str, object]]:
        return [orjson.loads(line) for line in self._stream.getvalue().splitlines()]

    @property
    def everything(self) -> str:
        return self._stream.getvalue() + "".join(span.to_json() for span in self.spans)


async def test_a_span_carries_the_names_of_the_conventions_and_ours() -> None:
    heard = Listener()

    response = await heard.client.generate(request(SECRET_PROMPT, request_id="req-7"))

    (span,) = heard.spans
    assert span.name == "chat model-1"
    attributes = dict(span.attributes or {})
    assert attributes.pop("latency_ms") == response.latency_ms
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "model-1",
        "gen_ai.request.stream": False,
        "gen_ai.response.model": "model-1-2026",
        "gen_ai.response.id": "req-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 2,
        "http.response.status_code": 200,
        "provider": "openai",
        "endpoint": "lab",
        "model": "model-1",
        "request_id": "req-7",
    }
    assert span.context is not None
    assert response.trace_id == format(span.context.trace_id, "032x")


async def test_parameters_are_told_in_numbers_and_texts_among_them_are_not() -> None:
    heard = Listener()
    asked = request(
        SECRET_PROMPT,
        temperature=0.2,
        max_completion_tokens=64,
        seed=7,
        stop=["nobody may log"],
        user="nobody may log",
        top_p="nobody may log",
    )

    await heard.client.generate(asked)

    (span,) = heard.spans
    told = {name: value for name, value in (span.attributes or {}).items() if ".request." in name}
    assert told == {
        "gen_ai.request.model": "model-1",
        "gen_ai.request.stream": False,
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.seed": 7,
    }
    assert "nobody may log" not in heard.everything


async def test_a_call_names_its_prompt_and_conversation() -> None:
    heard = Listener()
    asked = replace(request(), prompt="support-bot@3", conversation_id="c-1")

    await heard.client.generate(asked)

    (span,) = heard.spans
    attributes = span.attributes or {}
    assert attributes["gen_ai.prompt.name"] == "support-bot@3"
    assert attributes["gen_ai.conversation.id"] == "c-1"


async def test_each_attempt_has_its_span_and_line_and_retries_are_counted() -> None:
    heard = Listener(ServerError("no", http_status=500), "fine")

    await heard.client.generate(request())

    failed, answered = heard.spans
    assert failed.status.status_code is StatusCode.ERROR
    assert (failed.attributes or {})["error.type"] == "server_error"
    assert (answered.attributes or {})["http.request.resend_count"] == 1
    assert [(line["attempt"], line["outcome"]) for line in heard.lines] == [
        (1, "server_error"),
        (2, "ok"),
    ]


async def test_a_line_carries_the_facts_of_the_call() -> None:
    heard = Listener()

    response = await heard.client.generate(request(request_id="req-7"))

    (line,) = heard.lines
    assert line["event"] == "llm_call"
    assert line["request_id"] == "req-7"
    assert (line["provider"], line["endpoint"], line["model"]) == ("openai", "lab", "model-1")
    assert (line["input_tokens"], line["output_tokens"], line["cost_usd"]) == (10, 2, None)
    assert line["trace_id"] == response.trace_id


async def test_a_stream_is_observed_as_one_call() -> None:
    heard = Listener()

    async for _ in heard.client.stream(request()):
        pass

    (span,) = heard.spans
    attributes = dict(span.attributes or {})
    assert attributes["gen_ai.request.stream"] is True
    assert 0 <= attributes["gen_ai.response.time_to_first_chunk"] <= attributes["latency_ms"]
    assert len(heard.lines) == 1


async def test_neither_spans_nor_lines_hold_content() -> None:
    heard = Listener()
    await heard.client.generate(request(SECRET_PROMPT))
    failing = Listener(AuthenticationFailed("quoting " + SECRET_PROMPT, body=SECRET_PROMPT))
    with pytest.raises(AuthenticationFailed):
        await failing.client.generate(request(SECRET_PROMPT))

    assert "nobody may log" not in heard.everything + failing.everything


async def test_a_call_inside_a_trace_belongs_to_it() -> None:
    heard = Listener()
    tracer = heard.provider.get_tracer("test")

    with tracer.start_as_current_span("request") as outer:
        response = await heard.client.generate(request())

    assert response.trace_id == format(outer.get_span_context().trace_id, "032x")
    assert heard.spans[0].parent is not None


async def test_without_listeners_there_is_no_trace_id() -> None:
    one = LLMClient({"lab": ScriptedProvider})

    assert (await one.generate(request())).trace_id is None
