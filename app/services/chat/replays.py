"""Answers on record, given again as they were given the first time (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.core.errors import Abandoned
from app.core.guards import GuardRefused
from app.llm.breaker import CircuitOpen
from app.llm.errors import (
    AuthenticationFailed,
    BadRequest,
    CallNotStarted,
    ConnectionFailed,
    ContentFiltered,
    EndpointUnreachable,
    LLMError,
    MalformedResponse,
    ParameterNotSupported,
    QuotaExhausted,
    RateLimited,
    ResponseTooLarge,
    ServerError,
    Timeout,
    TruncatedStream,
    UnknownModel,
)
from app.llm.types import Choice, FinishReason, LLMResponse, Message, ToolCall
from app.schemas.chat import ChatResult, ServedBy
from app.schemas.chat_calls import StoredCall
from app.services.serving import ServedAlias, ServedVariant

__all__ = ["stored_error", "stored_result", "stored_served"]

_ERRORS: Final[Mapping[str, type[LLMError]]] = {
    kind.code: kind
    for kind in (
        AuthenticationFailed,
        BadRequest,
        CallNotStarted,
        CircuitOpen,
        ConnectionFailed,
        ContentFiltered,
        EndpointUnreachable,
        MalformedResponse,
        ParameterNotSupported,
        QuotaExhausted,
        RateLimited,
        ResponseTooLarge,
        ServerError,
        Timeout,
        TruncatedStream,
        UnknownModel,
    )
}


def stored_result(
    stored: StoredCall, variant: ServedVariant, alias: ServedAlias | None
) -> ChatResult | Exception:
    """Return what the first caller of a call that has ended got: its answer, or its error.

    An erased answer is `Abandoned`: it cannot be given again.
    """
    ending = stored.ending
    if ending is None:
        raise ValueError("The call is still under way.")
    if stored.finish_reason is None:
        return stored_error(stored.error_code, stored.error)
    if stored.output is None:
        return Abandoned("The answer to this idempotency key was erased.")
    return ChatResult(
        generation_id=stored.id,
        served=stored_served(stored, variant, alias),
        response=LLMResponse(
            choices=_choices(stored.output, stored.finish_reason),
            usage=stored.usage,
            cost=stored.cost,
            latency_ms=stored.latency_ms or 0.0,
            time_to_first_token_ms=stored.time_to_first_token_ms,
            started_at=stored.started_at,
            attempts=stored.attempt_count,
            reported_model=stored.reported_model,
            reported_fingerprint=stored.reported_fingerprint,
            trace_id=stored.trace_id,
        ),
        ending=ending,
        created_at=stored.started_at,
        replayed=True,
    )


def stored_error(code: str | None, shape: Any) -> Exception:
    """Return the error that a call ended with, from its code and its stored shape."""
    told = shape if isinstance(shape, Mapping) else {}
    message = str(told.get("message") or "The call failed.")
    kind = _ERRORS.get(code or "")
    if kind is not None:
        return kind(
            message,
            http_status=told.get("http_status"),
            body=told.get("body"),
            parameter=told.get("parameter"),
            retry_after_s=told.get("retry_after_s"),
        )
    if code == GuardRefused.code:
        return GuardRefused(message, str(told.get("guard") or ""), path=told.get("path"))
    return Abandoned(message)


def stored_served(
    stored: StoredCall, variant: ServedVariant, alias: ServedAlias | None
) -> ServedBy:
    """Return what answers a call, as far as it is on record.

    The number of a deployment is known only as long as the alias has not moved on.
    """
    same = alias is not None and alias.deployment_id == stored.deployment_id
    return ServedBy(
        alias=None if alias is None else alias.name,
        alias_id=stored.alias_id,
        deployment_id=stored.deployment_id,
        deployment_number=alias.number if alias is not None and same else None,
        role=stored.role,
        bucket=stored.bucket,
        variant_id=stored.variant_id,
        variant_hash=variant.variant_hash,
        prompt=variant.prompt,
        model=variant.model,
        provider=variant.provider,
        is_exact=stored.is_exact,
        ignored=stored.ignored,
        deprecated_at=variant.deprecated_at,
        sunset_at=variant.sunset_at,
        successor=variant.successor,
    )


def _choices(shape: Mapping[str, Any], finish_reason: str) -> tuple[Choice, ...]:
    first = Choice(_message(shape), FinishReason(finish_reason), logprobs=shape.get("logprobs"))
    others: Sequence[Mapping[str, Any]] = shape.get("other_choices", ())
    return (
        first,
        *(Choice(_message(it), FinishReason(it["finish_reason"])) for it in others),
    )


def _message(shape: Mapping[str, Any]) -> Message:
    return Message(
        "assistant",
        shape.get("content"),
        tool_calls=tuple(
            ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
            for call in shape.get("tool_calls", ())
        ),
        refusal=shape.get("refusal"),
        reasoning=shape.get("reasoning"),
    )
