"""What came of a call, made ready: for its record, for its limits, for its caller (pure)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from app.core.guards import GuardRefused
from app.core.hashing import JSON
from app.core.observers import EndedChat
from app.core.usage_limits import Settlement
from app.llm.errors import LLMError
from app.llm.pricing import cost
from app.llm.types import LLMResponse
from app.schemas.chat import ChatResult
from app.schemas.chat_calls import CallEnd, ConversationAnswer
from app.services.chat.asking import Asking
from app.services.chat.ledger import Admission, Admitted, Settled
from app.services.chat.outcome import Ending, charge, output_json, settled_attempts

__all__ = ["ended_chat", "result_of", "settlement"]


def settlement(
    admission: Admission, admitted: Admitted, asking: Asking, ending: Ending, now: datetime
) -> Settled:
    """Return the settlement of a call that has ended."""
    end = _call_end(admission, asking, ending, now)
    if not admitted.reserved:
        return Settled(end, None)
    tokens, dollars = charge(ending, asking.current, asking.failed)
    claim = admission.claim
    return Settled(
        end,
        Settlement(admitted.reserved, claim.tokens, claim.dollars or Decimal(0), tokens, dollars),
    )


def result_of(
    admission: Admission, admitted: Admitted, asking: Asking, ending: Ending, response: LLMResponse
) -> ChatResult:
    """Return what the caller gets of an answer."""
    price = asking.current.request.target.price
    return ChatResult(
        generation_id=admission.start.id,
        served=asking.current.served,
        response=replace(response, usage=ending.usage, cost=cost(ending.usage, price)),
        ending=ending.ending,
        created_at=admission.start.started_at,
        limits=admitted.headers,
    )


def ended_chat(asking: Asking, ending: Ending) -> EndedChat:
    """Return what is counted of a call."""
    served, usage = asking.current.served, ending.usage
    first_ms = _first_ms(asking, ending)
    return EndedChat(
        alias=served.alias,
        role=served.role,
        provider=served.provider,
        model=served.model,
        ending=ending.ending,
        error_code=ending.error_code,
        seconds=asking.elapsed_ms / 1000,
        time_to_first_token_s=None if first_ms is None else first_ms / 1000,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        dollars=cost(usage, asking.current.request.target.price),
    )


def _call_end(admission: Admission, asking: Asking, ending: Ending, now: datetime) -> CallEnd:
    request, response = asking.current.request, ending.response
    attempts = settled_attempts(asking.attempts, asking.current, ending.usage)
    return CallEnd(
        id=admission.start.id,
        ending=ending.ending,
        status=ending.status,
        usage=ending.usage,
        cost=cost(ending.usage, request.target.price),
        latency_ms=attempts[-1].latency_ms if attempts else asking.elapsed_ms,
        finished_at=now,
        attempt_count=len(attempts),
        attempts=attempts,
        fallback=asking.current.part if asking.fell_back else None,
        output=_output(ending),
        error=_error_json(ending.error),
        error_code=ending.error_code,
        finish_reason=None if response is None else response.choices[0].finish_reason.value,
        time_to_first_token_ms=_first_ms(asking, ending),
        reported_model=None if response is None else response.reported_model,
        reported_fingerprint=None if response is None else response.reported_fingerprint,
        trace_id=None if response is None else response.trace_id,
        answer=_conversation_answer(admission, asking, ending),
        key_id=None if admission.key is None else admission.key.id,
    )


def _first_ms(asking: Asking, ending: Ending) -> float | None:
    """Return when the first token came: of an answer by its own call, else of the whole."""
    return asking.first_ms if ending.response is None else ending.response.time_to_first_token_ms


def _conversation_answer(
    admission: Admission, asking: Asking, ending: Ending
) -> ConversationAnswer | None:
    """Return the place of a whole answer in its conversation; half of one has none."""
    link = admission.start.conversation
    if link is None or ending.response is None:
        return None
    return ConversationAnswer(link.id, link.next_sequence + 1, asking.current.left_out)


def _output(ending: Ending) -> JSON:
    if ending.response is not None:
        return output_json(ending.response)
    if ending.partial_text is None:
        return None
    return {"role": "assistant", "content": ending.partial_text}


def _error_json(error: Exception | None) -> JSON:
    if error is None:
        return None
    if isinstance(error, LLMError):
        return {
            "message": error.message,
            "http_status": error.http_status,
            "body": error.body,
            "parameter": error.parameter,
            "retry_after_s": error.retry_after_s,
        }
    if isinstance(error, GuardRefused):
        return {"message": error.message, "guard": error.name, "path": error.path}
    return {"message": str(error)}
