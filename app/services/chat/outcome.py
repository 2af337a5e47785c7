"""How a call ended, as it goes on record (pure).

Every call that was admitted gets exactly one `Ending`. Tokens are the provider's where it reported
them; otherwise they are estimated from what was sent and received, and marked so. They are
unreported only if nothing was sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import orjson

from app.core.errors import Unavailable, WorkbenchError
from app.core.guards import GuardRefused
from app.core.hashing import JSON
from app.llm.budget import charge_of_error
from app.llm.errors import (
    AuthenticationFailed,
    BadRequest,
    CallNotStarted,
    ConnectionFailed,
    ContentFiltered,
    EndpointUnreachable,
    LLMError,
    RateLimited,
    Timeout,
    TruncatedStream,
    UnknownModel,
)
from app.llm.pricing import cost, cost_bound
from app.llm.types import (
    CANCELLED,
    NO_USAGE,
    AttemptRecord,
    Choice,
    FinishReason,
    LLMResponse,
    StreamEvent,
    Usage,
    UsageSource,
)
from app.schemas.chat import ChatEnding
from app.schemas.generations import GenerationStatus
from app.services.chat.history import estimated_tokens
from app.services.chat.preparation import Try

__all__ = [
    "Ending",
    "Received",
    "charge",
    "ending_of_answer",
    "ending_of_cut",
    "ending_of_error",
    "estimated_usage",
    "output_json",
    "settled_attempts",
]

_OURS = "Something went wrong on our side while the answer was made."
_UNTOUCHED = (RateLimited, AuthenticationFailed, UnknownModel)  # the provider did nothing
_READ_ONLY = (BadRequest, ContentFiltered)  # it read the request at most
_STATUS: dict[ChatEnding, GenerationStatus] = {
    "completed": "completed",
    "client_gone": "cancelled",
    "upstream_cut": "incomplete",
    "timeout": "failed",
    "refused": "refused",
    "failed": "failed",
    "abandoned": "abandoned",
}


class Received:
    """What came of an answer so far: how much, and the text that was passed on."""

    def __init__(self) -> None:
        self.has_begun = False
        self.size_bytes = 0
        self._texts: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self._texts)

    def came(self, event: StreamEvent) -> None:
        """Count an event of the provider."""
        self.has_begun = True
        self.size_bytes += len(f"{event.text}{event.reasoning}".encode("utf-8", "surrogatepass"))
        if event.tool_call_delta is not None:
            self.size_bytes += len(orjson.dumps(event.tool_call_delta))

    def passed_on(self, text: str) -> None:
        """Keep a text that the client got."""
        if text:
            self._texts.append(text)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call ended. `response` is the answer, `error` what its caller hears instead."""

    ending: ChatEnding
    status: GenerationStatus
    usage: Usage
    response: LLMResponse | None = None
    error: Exception | None = None
    error_code: str | None = None
    partial_text: str | None = None


def ending_of_answer(response: LLMResponse, request_bytes: int, *, client_gone: bool) -> Ending:
    """Return the ending of a call that a model answered, also if nobody was there any more."""
    first = response.choices[0]
    filtered = first.finish_reason is FinishReason.CONTENT_FILTER
    refused = filtered or first.message.refusal is not None
    usage = response.usage
    if usage.source is UsageSource.UNREPORTED:
        usage = estimated_usage(request_bytes, sum(map(_answer_bytes, response.choices)))
    ending: ChatEnding = "refused" if refused else "completed"
    return Ending(
        "client_gone" if client_gone else ending,
        _STATUS[ending],
        usage,
        response=response,
        error_code=ContentFiltered.code if filtered else None,
    )


def ending_of_error(
    error: Exception, request_bytes: int, received: Received, *, reported: Usage | None = None
) -> Ending:
    """Return the ending of a call that failed with an error, after `received` of its answer.

    `reported` are the tokens of an answer that came whole and was refused by a guard. What is
    neither a guard's refusal nor the model's failure is ours: no caller hears what it says.
    """
    if not isinstance(error, LLMError):
        refused = isinstance(error, GuardRefused)
        other: ChatEnding = "refused" if refused else "failed"
        code = error.code if isinstance(error, WorkbenchError) else "internal"
        usage = reported or estimated_usage(request_bytes, received.size_bytes)
        told = error if refused else Unavailable(_OURS)
        return Ending(other, _STATUS[other], usage, None, told, code, received.text or None)
    ending = _ending(error, has_begun=received.has_begun)
    return Ending(
        ending,
        _STATUS[ending],
        _usage_of_error(error, request_bytes, received.size_bytes),
        error=error,
        error_code=error.code,
        partial_text=received.text if ending == "upstream_cut" else received.text or None,
    )


def ending_of_cut(
    ending: ChatEnding,
    error: LLMError | WorkbenchError,
    request_bytes: int,
    received: Received,
    *,
    was_sent: bool,
) -> Ending:
    """Return the ending of a call that we cut off: its client gone, its time over, we stopping."""
    usage = estimated_usage(request_bytes, received.size_bytes) if was_sent else NO_USAGE
    return Ending(ending, _STATUS[ending], usage, None, error, error.code, received.text or None)


def _answer_bytes(choice: Choice) -> int:
    message = choice.message
    texts = (message.text, message.refusal or "", message.reasoning or "")
    calls = (f"{call.name}{call.arguments}" for call in message.tool_calls)
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in (*texts, *calls))


def _ending(error: LLMError, *, has_begun: bool) -> ChatEnding:
    if isinstance(error, Timeout):
        return "timeout"
    if isinstance(error, ContentFiltered):
        return "refused"
    if isinstance(error, TruncatedStream) or (has_begun and isinstance(error, ConnectionFailed)):
        return "upstream_cut"
    return "failed"


def estimated_usage(request_bytes: int, received_bytes: int) -> Usage:
    """Return about what a call used whose provider did not say."""
    return Usage(
        estimated_tokens(request_bytes),
        estimated_tokens(received_bytes),
        source=UsageSource.ESTIMATED,
    )


def _usage_of_error(error: LLMError, request_bytes: int, received_bytes: int) -> Usage:
    if error.usage is not None and error.usage.source is UsageSource.PROVIDER:
        return error.usage
    if isinstance(error, (CallNotStarted, EndpointUnreachable)):
        return NO_USAGE
    if isinstance(error, _UNTOUCHED):
        return estimated_usage(0, 0)
    if isinstance(error, _READ_ONLY):
        return estimated_usage(request_bytes, 0)
    return estimated_usage(request_bytes, received_bytes)


def charge(
    ending: Ending, current: Try, failed: Sequence[tuple[Try, LLMError]]
) -> tuple[int, Decimal]:
    """Return the tokens and dollars that the limits are charged for a call.

    What the provider reported counts. Where it reported nothing, an estimate stands on record, but
    the limits are charged the most that the call can have used: they must hold in any case.
    `failed` are the earlier tries; each may have cost all that it could, unless the kind of its
    failure says otherwise.
    """
    tokens, dollars = _charge_of_ending(ending, current)
    for one, error in failed:
        tokens += _tokens_of_error(error, one)
        dollars += _dollars_of_error(error, one)
    return tokens, dollars


def _charge_of_ending(ending: Ending, one: Try) -> tuple[int, Decimal]:
    used, price = ending.usage, one.request.target.price
    reported = _reported_tokens(used)
    if reported is not None:
        return reported, cost(used, price) or Decimal(0)
    if used.source is UsageSource.UNREPORTED:  # nothing was sent
        return 0, Decimal(0)
    if isinstance(ending.error, LLMError):
        return _tokens_of_error(ending.error, one), _dollars_of_error(ending.error, one)
    bound = cost_bound(one.request, price)
    return one.most_tokens, (cost(used, price) or Decimal(0)) if bound is None else bound.total


def _reported_tokens(usage: Usage) -> int | None:
    """Return the tokens that a provider reported; None if it did not, or not all."""
    known = usage.source is UsageSource.PROVIDER
    if not known or usage.input_tokens is None or usage.output_tokens is None:
        return None
    return usage.input_tokens + usage.output_tokens


def _tokens_of_error(error: LLMError, one: Try) -> int:
    """Return the tokens that a call may have used at most (see `charge_of_error` for dollars)."""
    reported = None if error.usage is None else _reported_tokens(error.usage)
    if reported is not None:
        return reported
    if isinstance(error, (CallNotStarted, EndpointUnreachable, *_UNTOUCHED)):
        return 0
    if isinstance(error, _READ_ONLY) and error.http_status != 200:
        return one.request_bytes
    return one.most_tokens


def _dollars_of_error(error: LLMError, one: Try) -> Decimal:
    price = one.request.target.price
    bound = cost_bound(one.request, price)
    if bound is None or isinstance(error, CallNotStarted):
        return Decimal(0)
    return charge_of_error(error, bound, price)


def output_json(response: LLMResponse) -> dict[str, JSON]:
    """Return an answer as it is stored: the first choice's message, the others beside it."""
    first = response.choices[0]
    shape = first.message.to_json()
    if len(response.choices) > 1:
        shape["other_choices"] = [
            {**other.message.to_json(), "finish_reason": other.finish_reason.value}
            for other in response.choices[1:]
        ]
    if first.logprobs is not None:
        shape["logprobs"] = first.logprobs
    return shape


def settled_attempts(
    records: Sequence[AttemptRecord], one: Try, usage: Usage
) -> tuple[AttemptRecord, ...]:
    """Return the attempts of all targets, counted through, with the estimate in the one that we cut
    off, which is the last."""
    settled: list[AttemptRecord] = []
    for number, record in enumerate(records, start=1):
        counted = replace(record, number=number)
        if record.outcome == CANCELLED:
            counted = replace(counted, usage=usage, cost=cost(usage, one.request.target.price))
        settled.append(counted)
    return tuple(settled)
