"""What goes wrong in a chat, as failures with statuses: limits, guards, models, providers.

The statuses are chosen for what a caller can do about it. What the caller's own request caused is
4xx and tells the provider's words; what the operator has to mend is 5xx with a sentence of ours,
because the words name accounts and addresses: they are on record with the generation. A credential
of ours that a provider refuses is never 401, and a budget of ours at a provider never 429. A call
was tried again already before it failed, so `x-should-retry: false` goes with what would fail the
same way once more, and with a time-out, whose every repetition may take ten minutes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import Response

from app.api.errors import Failure, fail
from app.core.errors import Abandoned, LimitReached, Retired, Unavailable, WorkbenchError
from app.core.guards import GuardRefused
from app.database import DatabaseError
from app.llm import errors as llm
from app.llm.breaker import CircuitOpen

__all__ = ["EXPECTED_IN_STREAMS", "add_chat_error_handlers", "chat_failure", "stream_failure"]

EXPECTED_IN_STREAMS: Final = (WorkbenchError, llm.LLMError, DatabaseError, OSError)
"""What may end a stream without being a fault of this program."""

_NO_RETRY: Final[Mapping[str, str]] = {"x-should-retry": "false"}


@dataclass(frozen=True, slots=True)
class _Told:
    """The status of a class of errors, and what is said in place of the provider's words."""

    status: int
    detail: str | None = None
    retry: bool = True


# The first class that fits decides, so a subclass stands before its base.
_PROVIDER: Final[Mapping[type[llm.LLMError], _Told]] = {
    llm.QuotaExhausted: _Told(503, "The provider's account has nothing left.", retry=False),
    llm.RateLimited: _Told(429, "The provider asks for patience."),
    llm.Timeout: _Told(504, "The provider took too long.", retry=False),
    llm.BadRequest: _Told(400),
    llm.ContentFiltered: _Told(400),
    llm.UnknownModel: _Told(502, "The provider does not know the model.", retry=False),
    llm.AuthenticationFailed: _Told(502, "The provider refuses our credential.", retry=False),
    llm.ResponseTooLarge: _Told(502, "The provider's answer is too large.", retry=False),
    llm.TruncatedStream: _Told(502, "The provider's answer broke off."),
    llm.ConnectionFailed: _Told(502, "The connection to the provider failed."),
    CircuitOpen: _Told(503, "The provider failed too often lately: nothing was sent to it."),
    llm.CallNotStarted: _Told(503, "The server is being stopped; try again."),
    llm.LLMError: _Told(502, "The provider failed."),
}


def chat_failure(error: WorkbenchError | llm.LLMError) -> Failure | None:
    """Return the failure of an error that only chats have; None for any other."""
    if isinstance(error, llm.LLMError):
        return _provider_failure(error)
    if isinstance(error, GuardRefused):
        return Failure(422, error.code, error.message, error.path)
    if isinstance(error, LimitReached):
        return _limit_failure(error)
    if isinstance(error, Abandoned):
        return Failure(503, error.code, error.message)
    if isinstance(error, Retired):
        named = {"x-workbench-successor": error.successor} if error.successor else {}
        return Failure(410, error.code, error.message, error.path, named)
    return None


def _limit_failure(error: LimitReached) -> Failure:
    headers = {**error.headers, **_patience(error.retry_after_s or 0)}
    if error.budget_spent:
        return Failure(429, "budget_spent", error.message, headers={**headers, **_NO_RETRY})
    return Failure(429, error.code, error.message, headers=headers)


def _provider_failure(error: llm.LLMError) -> Failure:
    told = next(told for kind, told in _PROVIDER.items() if isinstance(error, kind))
    headers = dict(_NO_RETRY) if not told.retry else {}
    if told.retry and error.retry_after_s is not None:
        headers |= _patience(error.retry_after_s)
    detail = error.message if told.detail is None else told.detail
    return Failure(told.status, f"provider_{error.code}", detail, error.parameter, headers)


def _patience(seconds: float) -> dict[str, str]:
    """Return when to try again, in whole seconds and, for the SDK, in milliseconds."""
    return {
        "retry-after": str(max(1, math.ceil(seconds))),
        "retry-after-ms": str(max(1, math.ceil(seconds * 1000))),
    }


def stream_failure(error: Exception) -> Failure:
    """Return the failure that ends a stream which has begun."""
    if isinstance(error, WorkbenchError | llm.LLMError) and (known := chat_failure(error)):
        return known
    if isinstance(error, Unavailable | DatabaseError | OSError):
        return Failure(503, "unavailable", "The answer could not be recorded; try again later.")
    return Failure(500, "internal", "Something went wrong on our side.")


def add_chat_error_handlers(app: FastAPI) -> None:
    """Install the handlers of errors that only chats have."""

    async def answer(request: Request, error: Exception) -> Response:
        return fail(request, stream_failure(error))

    for kind in (llm.LLMError, GuardRefused, LimitReached, Abandoned, Retired):
        app.add_exception_handler(kind, answer)
