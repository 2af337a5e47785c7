"""What the outside sees of a call: one span and one log line, facts only.

Both are off unless someone listens, and then cost next to nothing: no tracer, no span; a logger
above INFO, no line.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from app.core import telemetry
from app.llm.providers import ProviderReply
from app.llm.types import OK, AttemptRecord, LLMRequest

if TYPE_CHECKING:  # the logging library costs every command a tenth of its start
    from app.core.logging import Logger

__all__ = ["CallObserver"]

_NUMBERS: Final[Mapping[str, str]] = {
    "temperature": telemetry.TEMPERATURE,
    "top_p": telemetry.TOP_P,
    "top_k": telemetry.TOP_K,
    "max_tokens": telemetry.MAX_TOKENS,
    "max_completion_tokens": telemetry.MAX_TOKENS,
    "max_output_tokens": telemetry.MAX_TOKENS,
    "num_predict": telemetry.MAX_TOKENS,
    "frequency_penalty": telemetry.FREQUENCY_PENALTY,
    "presence_penalty": telemetry.PRESENCE_PENALTY,
    "seed": telemetry.SEED,
    "n": telemetry.CHOICE_COUNT,
}
"""Attributes of parameters, by the names under which the providers take them."""


class CallObserver:
    """Tells of every call to a provider. Either listener may be missing."""

    def __init__(self, tracer: Tracer | None = None, logger: Logger | None = None) -> None:
        self._tracer = tracer
        logs = logger is not None and logger.is_enabled_for(logging.INFO)
        self._logger = logger if logs else None

    def begin(self, request: LLMRequest, number: int, *, stream: bool) -> Span | None:
        """Open the span of attempt `number` (from 1); None if nobody listens."""
        if self._tracer is None:
            return None
        target = request.target
        attributes: dict[str, str | int | float | bool] = {
            **_parameters(request),
            **_names(request),
            telemetry.OPERATION: "chat",
            telemetry.PROVIDER_NAME: target.provider,
            telemetry.PROVIDER: target.provider,
            telemetry.ENDPOINT: target.endpoint,
            telemetry.REQUEST_MODEL: target.provider_model,
            telemetry.MODEL: target.provider_model,
            telemetry.STREAM: stream,
        }
        if number > 1:
            attributes[telemetry.RETRY_NUMBER] = number - 1
        return self._tracer.start_span(
            f"chat {target.provider_model}", kind=SpanKind.CLIENT, attributes=attributes
        )

    def end(
        self,
        span: Span | None,
        request: LLMRequest,
        record: AttemptRecord,
        reply: ProviderReply | None,
        trace_id: str | None,
        first_ms: float | None,
    ) -> None:
        """Close the span and write the line of a call that ended.

        `reply` is None if it failed, `first_ms` is when a stream's first event came, if one did.
        """
        if span is not None:
            _close(span, record, reply, first_ms)
        if self._logger is not None:
            self._logger.info("llm_call", **_line(request, record, trace_id))


def _parameters(request: LLMRequest) -> dict[str, int | float]:
    """Return the numbers that shape the answer; texts among the parameters are people's words."""
    return {
        attribute: value
        for name, attribute in _NUMBERS.items()
        if isinstance(value := request.parameters.get(name), int | float)
    }


def _names(request: LLMRequest) -> dict[str, str]:
    """Return what the call belongs to, as far as that is known."""
    names = {
        telemetry.REQUEST_ID: request.request_id,
        telemetry.PROMPT_NAME: request.prompt,
        telemetry.CONVERSATION_ID: request.conversation_id,
    }
    return {attribute: name for attribute, name in names.items() if name is not None}


def _close(
    span: Span, record: AttemptRecord, reply: ProviderReply | None, first_ms: float | None
) -> None:
    facts: dict[str, str | int | float | tuple[str, ...] | None] = {
        telemetry.LATENCY_MS: record.latency_ms,
        telemetry.HTTP_STATUS: record.http_status,
        telemetry.INPUT_TOKENS: record.usage.input_tokens,
        telemetry.OUTPUT_TOKENS: record.usage.output_tokens,
        telemetry.CACHED_INPUT_TOKENS: record.usage.cached_input_tokens,
        telemetry.REASONING_TOKENS: record.usage.reasoning_tokens,
        telemetry.TIME_TO_FIRST_CHUNK: None if first_ms is None else first_ms / 1000,
    }
    if reply is not None:
        facts[telemetry.RESPONSE_MODEL] = reply.reported_model
        facts[telemetry.RESPONSE_ID] = reply.provider_request_id
        facts[telemetry.FINISH_REASONS] = tuple(str(c.finish_reason) for c in reply.choices)
    if record.outcome != OK:
        facts[telemetry.ERROR_TYPE] = record.outcome
        # No description: a provider's words may quote the prompt.
        span.set_status(Status(StatusCode.ERROR))
    span.set_attributes({name: fact for name, fact in facts.items() if fact is not None})
    span.end()


def _line(
    request: LLMRequest, record: AttemptRecord, trace_id: str | None
) -> dict[str, str | int | float | None]:
    target = request.target
    line: dict[str, str | int | float | None] = {
        "provider": target.provider,
        "endpoint": target.endpoint,
        "model": target.provider_model,
        "attempt": record.number,
        "outcome": record.outcome,
        "http_status": record.http_status,
        "latency_ms": round(record.latency_ms, 3),
        "input_tokens": record.usage.input_tokens,
        "output_tokens": record.usage.output_tokens,
        "cost_usd": None if record.cost is None else str(record.cost),
        "provider_request_id": record.provider_request_id,
        "trace_id": trace_id,
    }
    if request.request_id is not None:
        line["request_id"] = request.request_id
    return line
