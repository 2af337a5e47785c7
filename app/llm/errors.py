"""Errors of model calls. Each has a stored `code`; a call ends with a class, never with "unknown".

LLMError
├── RateLimited            429; `retry_after_s` if the provider said when      retried
│   └── QuotaExhausted     429 or 402: the account has nothing left            final
├── Timeout                connect, first byte, idle gap or total              retried once
├── ConnectionFailed       refused, reset, closed before the reply was whole   retried
│   └── EndpointUnreachable  nothing to talk to there: refused, unknown host, untrusted certificate
├── ServerError            5xx                                                 retried
├── BadRequest             4xx without a better class                          final
│   └── ParameterNotSupported  `parameter` names what the model refuses
├── UnknownModel           404 for the model                                   final
├── AuthenticationFailed   401, 403                                            final
├── ContentFiltered        the provider refused the request's or answer's text final
├── MalformedResponse      200 with a body that is no answer                   retried once
├── ResponseTooLarge       more bytes after decoding than allowed              final
├── TruncatedStream        ended without its terminal event                    retried
└── CallNotStarted         the client is draining; nothing was sent            final

A stream is never retried once a piece of it was passed on.
"""

from __future__ import annotations

from typing import Literal

from app.llm.types import Usage

__all__ = [
    "AuthenticationFailed",
    "BadRequest",
    "CallNotStarted",
    "ConnectionFailed",
    "ContentFiltered",
    "EndpointUnreachable",
    "LLMError",
    "MalformedResponse",
    "ParameterNotSupported",
    "QuotaExhausted",
    "RateLimited",
    "Remedy",
    "ResponseTooLarge",
    "ServerError",
    "Timeout",
    "TruncatedStream",
    "UnknownModel",
]


Remedy = Literal["unsupported", "exclusive", "renamed"]
"""What the catalog has to learn of a refused parameter: leave it out always, leave it out beside
another one, or send it under another name."""


class LLMError(Exception):
    """A call to a model that did not give an answer.

    `body` is the provider's reply, cut to 8 KB and free of secrets; `usage` is what the
    provider says the call consumed all the same; `attempts` is how many calls were made when
    the error became final (set by the client).
    """

    code = "llm_error"
    retryable = False

    def __init__(
        self,
        message: str,
        *,
        http_status: int | None = None,
        body: str | None = None,
        provider_request_id: str | None = None,
        retry_after_s: float | None = None,
        parameter: str | None = None,
        partial_text: str | None = None,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.http_status = http_status
        self.body = body
        self.provider_request_id = provider_request_id
        self.retry_after_s = retry_after_s
        self.parameter = parameter
        self.partial_text = partial_text
        self.usage = usage
        self.attempts = 0


class RateLimited(LLMError):
    """The provider asks for patience."""

    code = "rate_limited"
    retryable = True


class QuotaExhausted(RateLimited):
    """The account has no quota or credit left; waiting does not help, paying does."""

    code = "quota_exhausted"
    retryable = False


class Timeout(LLMError):
    """One of the time limits of the call was reached; the message says which."""

    code = "timeout"
    retryable = True


class ConnectionFailed(LLMError):
    """The connection could not be made or broke before the reply was whole."""

    code = "connection"
    retryable = True


class EndpointUnreachable(ConnectionFailed):
    """There is nothing to talk to at the endpoint's address: the connection is refused, the
    host is unknown, or its certificate is not trusted. Retried only if it answered before."""

    code = "endpoint_unreachable"


class ServerError(LLMError):
    """The provider failed (5xx)."""

    code = "server_error"
    retryable = True


class BadRequest(LLMError):
    """The provider refuses the request as it stands."""

    code = "bad_request"


class ParameterNotSupported(BadRequest):
    """The model refuses a parameter; `parameter` names it on the wire.

    `remedy` says how the catalog's facts have to change. `other` is the parameter that it
    excludes (`exclusive`) or the name that the provider wants instead (`renamed`).
    """

    code = "parameter_not_supported"
    remedy: Remedy = "unsupported"
    other: str | None = None


class UnknownModel(LLMError):
    """The provider has no model of this name."""

    code = "unknown_model"


class AuthenticationFailed(LLMError):
    """The credential is missing, wrong or lacks the right."""

    code = "authentication"


class ContentFiltered(LLMError):
    """The provider's filter refused the request or the answer."""

    code = "content_filtered"


class MalformedResponse(LLMError):
    """A success status with a body that is no answer."""

    code = "malformed_response"
    retryable = True


class ResponseTooLarge(LLMError):
    """The reply has more bytes, after decoding, than the limit allows."""

    code = "response_too_large"


class TruncatedStream(LLMError):
    """The stream ended without its terminal event; `partial_text` is what came."""

    code = "truncated_stream"
    retryable = True


class CallNotStarted(LLMError):
    """The client is draining: nothing was sent and nothing is known of the answer."""

    code = "not_started"
