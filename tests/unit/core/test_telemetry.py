"""Attribute names are those of the pinned conventions; without a listener there is no tracer."""

from __future__ import annotations

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.trace import NoOpTracerProvider

from app.core import telemetry


def test_names_are_those_of_the_conventions() -> None:
    published = {
        value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")
    }
    ours = {
        value
        for value in vars(telemetry).values()
        if isinstance(value, str) and value.startswith("gen_ai.")
    }

    assert len(ours) >= 8
    assert ours <= published


def test_nobody_listening_means_no_tracer() -> None:
    assert telemetry.create_tracer(NoOpTracerProvider()) is None
    assert telemetry.create_tracer() is None


def test_a_span_in_progress_gives_its_trace_id() -> None:
    tracer = telemetry.create_tracer(TracerProvider())
    assert tracer is not None
    assert telemetry.current_trace_id() is None

    with tracer.start_as_current_span("outer") as span:
        trace_id = telemetry.current_trace_id()

    assert trace_id == format(span.get_span_context().trace_id, "032x")
