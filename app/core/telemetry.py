"""Names of span attributes, in one place, and the tracer that writes spans.

The names are those of the OpenTelemetry conventions for generative AI, pinned at the release
below, plus some of our own. Every span has `latency_ms`, every span of a database or a model
`provider`, and `model` if there is one; the request of a chat has both, and what else tells which
answer it was. No attribute ever holds content, a header or a key.
"""

from __future__ import annotations

from typing import Final

from opentelemetry import trace
from opentelemetry.trace import NoOpTracerProvider, ProxyTracerProvider, Tracer, TracerProvider

__all__ = [
    "ALIAS",
    "CACHED_INPUT_TOKENS",
    "CHOICE_COUNT",
    "CONVENTIONS",
    "CONVERSATION_ID",
    "DB_COLLECTION",
    "DB_OPERATION",
    "DB_SYSTEM",
    "ENDPOINT",
    "ERROR_TYPE",
    "FINISH_REASONS",
    "FREQUENCY_PENALTY",
    "GENERATION_ID",
    "HTTP_METHOD",
    "HTTP_ROUTE",
    "HTTP_STATUS",
    "INPUT_TOKENS",
    "LATENCY_MS",
    "MAX_TOKENS",
    "MODEL",
    "OPERATION",
    "OUTPUT_TOKENS",
    "PRESENCE_PENALTY",
    "PROMPT_NAME",
    "PROVIDER",
    "PROVIDER_NAME",
    "REASONING_TOKENS",
    "REQUEST_ID",
    "REQUEST_MODEL",
    "RESPONSE_ID",
    "RESPONSE_MODEL",
    "RETRY_NUMBER",
    "SEED",
    "STREAM",
    "TEMPERATURE",
    "TIME_TO_FIRST_CHUNK",
    "TOP_K",
    "TOP_P",
    "create_tracer",
    "current_trace_id",
]

CONVENTIONS: Final = "1.41.1"

OPERATION: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
STREAM: Final = "gen_ai.request.stream"
TEMPERATURE: Final = "gen_ai.request.temperature"
TOP_P: Final = "gen_ai.request.top_p"
TOP_K: Final = "gen_ai.request.top_k"
MAX_TOKENS: Final = "gen_ai.request.max_tokens"
FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
SEED: Final = "gen_ai.request.seed"
CHOICE_COUNT: Final = "gen_ai.request.choice.count"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHED_INPUT_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
PROMPT_NAME: Final = "gen_ai.prompt.name"
ERROR_TYPE: Final = "error.type"
HTTP_METHOD: Final = "http.request.method"
HTTP_ROUTE: Final = "http.route"
HTTP_STATUS: Final = "http.response.status_code"
DB_SYSTEM: Final = "db.system.name"
DB_OPERATION: Final = "db.operation.name"
DB_COLLECTION: Final = "db.collection.name"
RETRY_NUMBER: Final = "http.request.resend_count"

PROVIDER: Final = "provider"
MODEL: Final = "model"
LATENCY_MS: Final = "latency_ms"
ENDPOINT: Final = "endpoint"
ALIAS: Final = "alias"
GENERATION_ID: Final = "generation_id"
REQUEST_ID: Final = "request_id"

_SCHEMA_URL = f"https://opentelemetry.io/schemas/{CONVENTIONS}"


def create_tracer(provider: TracerProvider | None = None) -> Tracer | None:
    """Return a tracer, or None if nobody listens, so that callers can skip the work.

    `provider` is the one to write to; without it, the one that the process was started with
    (as by `opentelemetry-instrument`), if any.
    """
    found = provider if provider is not None else trace.get_tracer_provider()
    if isinstance(found, (ProxyTracerProvider, NoOpTracerProvider)):
        return None
    return found.get_tracer("prompt-workbench", schema_url=_SCHEMA_URL)


def current_trace_id() -> str | None:
    """Return the trace that the caller is in, 32 hexadecimal digits; None if it is in none."""
    context = trace.get_current_span().get_span_context()
    return format(context.trace_id, "032x") if context.is_valid else None
