"""From an HTTP status and an error body to one of our errors.

The shapes understood: OpenAI's `{"error": {"message", "type", "param", "code"}}`, the same fields
at the top level (vLLM), `{"error": "text"}` (Ollama), `{"detail": ...}` (FastAPI servers). The
class follows from the status first, then from codes, and only last from words in the message.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from app.core.hashing import JSON
from app.core.redaction import Redactor
from app.llm.errors import (
    AuthenticationFailed,
    BadRequest,
    ContentFiltered,
    LLMError,
    MalformedResponse,
    ParameterNotSupported,
    QuotaExhausted,
    RateLimited,
    Remedy,
    ServerError,
    Timeout,
    UnknownModel,
)
from app.llm.parsing import Object, mapping, object_list, read_json, text_or_none

__all__ = ["ErrorContext", "error_from_payload", "error_from_status", "retry_after_s"]

_MESSAGE_LENGTH = 500

_QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_MODEL_CODES = frozenset({"model_not_found", "DeploymentNotFound", "NotFoundError"})
_FILTER_CODES = frozenset({"content_filter", "content_policy_violation"})
_PARAMETER_CODES = frozenset(
    {"unsupported_parameter", "unsupported_value", "unknown_parameter", "extra_forbidden"}
)
_STATUS_OF_CODE: Mapping[str, int] = {
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "invalid_request_error": 400,
}

_FILTER_WORDS = re.compile(r"\bwas filtered\b|content management policy|content[ _]filter", re.I)
_MODEL_WORDS = re.compile(r"\bmodel\b", re.I)
_UNKNOWN_MODEL_WORDS = re.compile(
    r"\bmodel\b.{0,120}\b(?:not found|does not exist|no such|unknown|not a valid)"
    r"|\b(?:no such|unknown|invalid) model\b|not a valid model",
    re.I | re.S,
)
_PARAMETER_WORDS = re.compile(
    r"unsupported|not support|unrecogni[sz]ed|unknown (?:parameter|field|argument)|not permitted"
    r"|not allowed|cannot both|not both|only one of|does not take|deprecated",
    re.I,
)
_EXCLUSIVE_WORDS = re.compile(r"\bboth\b|only one|together|mutually exclusive", re.I)
_QUOTED = re.compile(r"[`'\"](\w{1,64})[`'\"]")


@dataclass(frozen=True, slots=True)
class ErrorContext:
    """What an error needs to know of the call it belongs to.

    `parameters` are the names that were sent, so that one of them can be recognised in a
    refusal. `remedy` says how the user mends a refused credential.
    """

    endpoint: str
    redact: Redactor
    parameters: Collection[str] = ()
    remedy: str = "Check the endpoint's credentials."


@dataclass(frozen=True, slots=True)
class _Said:
    """What the provider's error body says, whatever its shape; the most telling code first."""

    message: str
    codes: tuple[str, ...]
    parameter: str | None

    def one_of(self, codes: frozenset[str]) -> bool:
        return not codes.isdisjoint(self.codes)


def error_from_status(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    context: ErrorContext,
    now: datetime,
) -> LLMError:
    """Return the error of a reply whose status is not 200. `now` dates an HTTP-date Retry-After."""
    try:
        payload = read_json(body)
    except ValueError:
        payload = None
    said = _read(payload)
    error = _classify(status, said, f"answered {status}", context)
    error.http_status = status
    error.body = context.redact.excerpt(body)
    error.retry_after_s = retry_after_s(headers, now)
    return error


def error_from_payload(payload: Object, body: bytes, context: ErrorContext) -> LLMError:
    """Return the error of an error object that came with status 200 or inside a stream.

    Without a code that names a status it is taken as the provider's failure.
    """
    said = _read(payload)
    error = _classify(_status_of(said), said, "sent an error in place of an answer", context)
    error.http_status = 200
    error.body = context.redact.excerpt(body)
    return error


def _status_of(said: _Said) -> int:
    """Return the status that the codes of an error without one stand for."""
    if said.one_of(_QUOTA_CODES):
        return 429
    if said.one_of(_MODEL_CODES | _FILTER_CODES | _PARAMETER_CODES):
        return 400
    for code in said.codes:
        if code in _STATUS_OF_CODE:
            return _STATUS_OF_CODE[code]
        if re.fullmatch("[45][0-9][0-9]", code):
            return int(code)
    return 500


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return how long the provider asks to wait, in seconds; None if it does not say.

    Reads `retry-after-ms`, then `Retry-After` in seconds (fractions allowed) or as an HTTP date
    (RFC 9110, section 10.2.3), which is compared with the reply's own `Date` if it has one: the
    two clocks may differ. A time in the past is 0.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    until = _http_date(value)
    if until is None:
        return None
    sent = _http_date(headers.get("date", "")) or now
    return max(0.0, (until - sent).total_seconds())


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None


def _http_date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _read(payload: JSON) -> _Said:
    top = mapping(payload) or {}
    inner = mapping(top.get("error")) or top
    messages = (inner.get("message"), top.get("error"), top.get("detail"), inner.get("detail"))
    message = next((text for text in map(text_or_none, messages) if text), "")
    codes = [str(inner[key]) for key in ("code", "type") if isinstance(inner.get(key), (str, int))]
    parameter = text_or_none(inner.get("param"))
    for detail in object_list(top.get("detail")):
        codes.append(str(detail.get("type")))
        message = message or (text_or_none(detail.get("msg")) or "")
        where = detail.get("loc")
        parameter = parameter or (str(where[-1]) if isinstance(where, list) and where else None)
    return _Said(message, tuple(codes), parameter)


def _classify(status: int, said: _Said, did: str, context: ErrorContext) -> LLMError:
    told = context.redact(said.message[:_MESSAGE_LENGTH]) or "no reason given."
    what = f"Endpoint {context.endpoint!r} {did}: {told}"
    if status == 402 or (status == 429 and said.one_of(_QUOTA_CODES)):
        return QuotaExhausted(f"{what} The account has no quota left; check its plan and billing.")
    if status == 429:
        return RateLimited(what)
    if status in (401, 403):
        return AuthenticationFailed(f"{what} {context.remedy}")
    if status == 408:
        return Timeout(what)
    if status >= 500:
        return ServerError(what)
    if 300 <= status < 400:
        return BadRequest(f"{what} Redirects are not followed; set base_url to the final address.")
    if status >= 400:
        return _refusal(status, said, what, context)
    return MalformedResponse(f"{what} Only status 200 carries an answer.")


def _refusal(status: int, said: _Said, what: str, context: ErrorContext) -> LLMError:
    """Return the error of a 4xx status that has no meaning of its own."""
    if said.one_of(_FILTER_CODES) or _FILTER_WORDS.search(said.message):
        return ContentFiltered(what)
    if said.one_of(_MODEL_CODES) or _UNKNOWN_MODEL_WORDS.search(said.message):
        return UnknownModel(what)
    if status == 404:
        if _MODEL_WORDS.search(said.message):
            return UnknownModel(what)
        return BadRequest(f"{what} Check the endpoint's base_url.")
    return _parameter_refusal(said, what, context) or BadRequest(what)


def _parameter_refusal(
    said: _Said, what: str, context: ErrorContext
) -> ParameterNotSupported | None:
    """Return the refusal of one of the parameters sent, if this is one."""
    if not (said.one_of(_PARAMETER_CODES) or _PARAMETER_WORDS.search(said.message)):
        return None
    mentioned = [name for name in _QUOTED.findall(said.message) if name in context.parameters]
    by_name = said.parameter if said.parameter in context.parameters else None
    parameter = by_name or next(iter(mentioned), None)
    if parameter is None:
        return None
    error = ParameterNotSupported(what, parameter=parameter)
    error.remedy, error.other = _remedy(parameter, said.message, context)
    return error


def _remedy(parameter: str, message: str, context: ErrorContext) -> tuple[Remedy, str | None]:
    named = [name for name in _QUOTED.findall(message) if name != parameter]
    excluded = next((name for name in named if name in context.parameters), None)
    if excluded and _EXCLUSIVE_WORDS.search(message):
        return "exclusive", excluded
    # "Use 'max_completion_tokens' instead": a longer form of the same word.
    last = parameter.rpartition("_")[2]
    renamed = next((n for n in named if n not in context.parameters and n.endswith(last)), None)
    return ("renamed", renamed) if renamed else ("unsupported", None)
