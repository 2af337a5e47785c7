"""Every status and error body has one class, chosen by status, then code, then words."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.hashing import JSON
from app.llm.errors import (
    AuthenticationFailed,
    BadRequest,
    ContentFiltered,
    LLMError,
    MalformedResponse,
    ParameterNotSupported,
    QuotaExhausted,
    RateLimited,
    ServerError,
    Timeout,
    UnknownModel,
)
from app.llm.http_errors import error_from_payload, error_from_status, retry_after_s
from tests.unit.llm.support import CONTEXT, NOON


def openai(message: str, code: str | None = None, param: str | None = None) -> JSON:
    return {
        "error": {
            "message": message,
            "type": "invalid_request_error",
            "param": param,
            "code": code,
        }
    }


def classify(status: int, body: JSON) -> LLMError:
    return error_from_status(status, {}, orjson.dumps(body), CONTEXT, NOON)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, openai("No."), BadRequest),
        (401, openai("Bad key.", "invalid_api_key"), AuthenticationFailed),
        (402, {"error": {"message": "Insufficient balance"}}, QuotaExhausted),
        (403, openai("Not yours."), AuthenticationFailed),
        (404, openai("The model `x` does not exist", "model_not_found"), UnknownModel),
        # vLLM: the fields at the top, the code a number
        (
            404,
            {"object": "error", "message": "The model `x` does not exist.", "code": 404},
            UnknownModel,
        ),
        (404, {"error": "model 'x' not found"}, UnknownModel),  # Ollama
        (404, {"detail": "Not Found"}, BadRequest),  # a wrong base_url
        (400, openai("x is not a valid model ID"), UnknownModel),
        (408, openai("slow"), Timeout),
        (413, openai("Too large."), BadRequest),
        (429, openai("Slow down.", "rate_limit_exceeded"), RateLimited),
        (429, openai("Pay.", "insufficient_quota"), QuotaExhausted),
        (500, None, ServerError),
        (529, {"error": {"type": "overloaded_error"}}, ServerError),
        (302, None, BadRequest),
        (204, None, MalformedResponse),
        (400, openai("No.", "content_filter"), ContentFiltered),
        # the code is null at some gateways, the words remain
        (
            400,
            openai("The response was filtered due to the content management policy."),
            ContentFiltered,
        ),
        (400, openai("Too long: reduce max_tokens.", "context_length_exceeded"), BadRequest),
    ],
)
def test_class_of_a_status_and_body(status: int, body: JSON, kind: type[LLMError]) -> None:
    error = classify(status, body)

    assert type(error) is kind
    assert error.http_status == status
    assert error.message.startswith("Endpoint 'lab' answered")


@pytest.mark.parametrize(
    ("body", "parameter", "remedy", "other"),
    [
        (openai("Only 1.", "unsupported_value", "temperature"), "temperature", "unsupported", None),
        (
            openai(
                "Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead.",
                "unsupported_parameter",
                "max_tokens",
            ),
            "max_tokens",
            "renamed",
            "max_completion_tokens",
        ),
        # neither code nor param, only words
        (
            openai("`temperature` and `top_p` cannot both be specified for this model."),
            "temperature",
            "exclusive",
            "top_p",
        ),
        (openai("`top_p` is deprecated for this model."), "top_p", "unsupported", None),
        # a server that validates strictly (FastAPI): where the field is
        (
            {"detail": [{"type": "extra_forbidden", "loc": ["body", "top_p"], "msg": "no"}]},
            "top_p",
            "unsupported",
            None,
        ),
    ],
)
def test_a_parameter_refusal_names_parameter_and_remedy(
    body: JSON, parameter: str, remedy: str, other: str | None
) -> None:
    error = classify(400, body)

    assert isinstance(error, ParameterNotSupported)
    assert (error.parameter, error.remedy, error.other) == (parameter, remedy, other)


def test_a_refusal_of_what_was_not_sent_is_no_parameter_refusal() -> None:
    assert (
        type(classify(400, openai("'seed' is not supported", "unsupported_parameter")))
        is BadRequest
    )


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ({"error": {"message": "boom"}}, ServerError),
        ({"error": "boom"}, ServerError),
        ({"error": {"code": 429, "message": "slow"}}, RateLimited),
        ({"error": {"code": "rate_limit_exceeded"}}, RateLimited),
        ({"error": {"type": "insufficient_quota"}}, QuotaExhausted),
        (
            {"error": {"code": "invalid_api_key", "type": "invalid_request_error"}},
            AuthenticationFailed,
        ),
        ({"error": {"code": "content_filter"}}, ContentFiltered),
    ],
)
def test_class_of_an_error_object_without_a_status(
    payload: dict[str, JSON], kind: type[LLMError]
) -> None:
    assert type(error_from_payload(payload, b"", CONTEXT)) is kind


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:07 GMT"}, 7),
        ({"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0),
        # the provider's clock is an hour ahead: its own Date tells the difference
        (
            {
                "retry-after": "Sun, 01 Mar 2026 13:00:03 GMT",
                "date": "Sun, 01 Mar 2026 13:00:00 GMT",
            },
            3,
        ),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, NOON) == seconds


@given(st.text())
def test_retry_after_is_a_time_to_wait_or_nothing(value: str) -> None:
    seconds = retry_after_s({"retry-after": value}, NOON)

    assert seconds is None or seconds >= 0


@given(st.integers(201, 599), st.binary(max_size=300))
def test_any_status_with_any_body_has_a_class(status: int, body: bytes) -> None:
    error = error_from_status(status, {}, body, CONTEXT, NOON)

    assert error.code != LLMError.code
    assert str(error)


def test_bodies_are_kept_to_8_kilobytes() -> None:
    error = error_from_status(500, {}, b"x" * 100_000, CONTEXT, NOON)

    assert error.body is not None
    assert len(error.body) == 8192
