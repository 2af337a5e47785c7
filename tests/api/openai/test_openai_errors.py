"""Errors under /v1: the shape, and the statuses by which the SDK decides whether to try again."""

from __future__ import annotations

from pathlib import Path

import httpx2
import orjson
import pytest
from openai import AsyncOpenAI

from app.api.chat_errors import chat_failure, stream_failure
from app.api.errors import Failure
from app.api.openai.errors import error_body, write_error
from app.core.errors import Abandoned, Invalid, LimitReached, Retired, Unavailable
from app.core.guards import GuardRefused
from app.llm import errors as llm
from app.llm.breaker import CircuitOpen
from app.llm.budget import BudgetReached

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "openai-api.md"

PROVIDER_ERRORS: list[type[llm.LLMError]] = [
    llm.RateLimited,
    llm.QuotaExhausted,
    llm.Timeout,
    llm.ConnectionFailed,
    llm.EndpointUnreachable,
    llm.ServerError,
    llm.BadRequest,
    llm.ParameterNotSupported,
    llm.UnknownModel,
    llm.AuthenticationFailed,
    llm.ContentFiltered,
    llm.MalformedResponse,
    llm.ResponseTooLarge,
    llm.TruncatedStream,
    llm.CallNotStarted,
    CircuitOpen,
]


def failure_of(error: llm.LLMError) -> Failure:
    failure = chat_failure(error)
    assert failure is not None
    return failure


def retried(failure: Failure) -> bool:
    """Return whether the SDK sends the request again, by its own rule."""
    response = write_error(failure, "r1")
    sdk = AsyncOpenAI(api_key="any")
    return sdk._should_retry(httpx2.Response(response.status_code, headers=dict(response.headers)))


def test_every_error_of_a_provider_is_tried_below() -> None:
    def descendants(kind: type[llm.LLMError]) -> set[type[llm.LLMError]]:
        return {kind}.union(*(descendants(child) for child in kind.__subclasses__()))

    own = {k for k in descendants(llm.LLMError) if k.__module__.startswith("app.")}
    # A run's budget is not a chat's: what chats may spend are limits.
    assert own - {BudgetReached} == {llm.LLMError, *PROVIDER_ERRORS}


@pytest.mark.parametrize(
    ("failure", "status", "kind", "code", "param"),
    [
        (Failure(422, "invalid", "x", "messages[0].role"), 400, "invalid_request_error",
         "invalid", "messages[0].role"),
        (Failure(422, "invalid", "x", "parameters.temperature"), 400, "invalid_request_error",
         "invalid", "temperature"),
        (Failure(422, "invalid", "x", "variables.shop"), 400, "invalid_request_error",
         "invalid", "prompt.variables.shop"),
        (Failure(401, "unauthenticated", "x"), 401, "invalid_request_error",
         "invalid_api_key", None),
        (Failure(403, "forbidden", "x"), 403, "invalid_request_error", "permission_denied", None),
        (Failure(404, "model_not_found", "x"), 404, "invalid_request_error",
         "model_not_found", "model"),
        (Failure(404, "not_found", "x"), 404, "invalid_request_error", "not_found", None),
        (Failure(409, "conflict", "x"), 400, "invalid_request_error", "conflict", None),
        (Failure(410, "retired", "x", "model"), 404, "invalid_request_error",
         "model_not_found", "model"),
        (Failure(429, "too_many_requests", "x"), 429, "rate_limit_error",
         "rate_limit_exceeded", None),
        (Failure(500, "internal", "x"), 500, "server_error", "internal_error", None),
        (Failure(503, "unavailable", "x"), 503, "server_error", "unavailable", None),
    ],
)  # fmt: skip
def test_a_failure_has_the_shape_of_openai(
    failure: Failure, status: int, kind: str, code: str, param: str | None
) -> None:
    response = write_error(failure, "r1")
    assert response.status_code == status
    assert orjson.loads(response.body) == {
        "error": {"message": "x", "type": kind, "param": param, "code": code}
    }


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422])
def test_the_sdk_never_repeats_what_was_refused_for_good(status: int) -> None:
    assert not retried(Failure(status, "any", "x"))


@pytest.mark.parametrize("kind", PROVIDER_ERRORS)
def test_what_a_provider_does_is_never_a_matter_of_the_callers_credential(
    kind: type[llm.LLMError],
) -> None:
    assert failure_of(kind("x")).status not in (401, 403, 404)


@pytest.mark.parametrize(
    ("kind", "status", "again"),
    [
        (llm.RateLimited, 429, True),
        (llm.QuotaExhausted, 503, False),
        (llm.Timeout, 504, False),
        (llm.ConnectionFailed, 502, True),
        (llm.EndpointUnreachable, 502, True),
        (llm.ServerError, 502, True),
        (llm.BadRequest, 400, False),
        (llm.ParameterNotSupported, 400, False),
        (llm.UnknownModel, 502, False),
        (llm.AuthenticationFailed, 502, False),
        (llm.ContentFiltered, 400, False),
        (llm.MalformedResponse, 502, True),
        (llm.ResponseTooLarge, 502, False),
        (llm.TruncatedStream, 502, True),
        (llm.CallNotStarted, 503, True),
        (CircuitOpen, 503, True),
    ],
)
def test_a_providers_error_is_repeated_only_if_that_may_help(
    kind: type[llm.LLMError], status: int, again: bool
) -> None:
    failure = failure_of(kind("x"))
    assert failure.status == status
    assert retried(failure) == again


@pytest.mark.parametrize("kind", PROVIDER_ERRORS)
def test_a_providers_words_are_told_only_where_the_caller_can_mend_it(
    kind: type[llm.LLMError],
) -> None:
    words = "endpoint 'secret-account' says no"
    told = words in failure_of(kind(words)).detail
    assert told == (failure_of(kind("x")).status == 400)


def test_a_provider_that_names_a_time_is_passed_on_in_seconds_and_milliseconds() -> None:
    failure = failure_of(llm.RateLimited("x", retry_after_s=1.2))
    assert failure.headers["retry-after"] == "2"
    assert failure.headers["retry-after-ms"] == "1200"


def test_the_parameter_that_a_provider_refuses_is_named() -> None:
    failure = failure_of(llm.ParameterNotSupported("x", parameter="top_p"))
    assert error_body(failure)["error"] == {
        "message": "x",
        "type": "invalid_request_error",
        "param": "top_p",
        "code": "provider_parameter_not_supported",
    }


def test_a_retired_model_names_its_successor() -> None:
    failure = chat_failure(Retired("It ended; use openai/gpt-6@1.", successor="openai/gpt-6@1"))
    assert failure is not None
    response = write_error(failure, "r1")
    assert response.status_code == 404
    assert response.headers["x-workbench-successor"] == "openai/gpt-6@1"


def test_a_limit_says_when_to_try_again_and_what_it_is() -> None:
    limit = LimitReached(
        "Wait.", retry_after_s=1.2, headers={"x-ratelimit-remaining-requests": "0"}
    )
    failure = chat_failure(limit)
    assert failure is not None
    assert retried(failure)
    response = write_error(failure, "r1")
    assert response.status_code == 429
    assert response.headers["retry-after"] == "2"
    assert response.headers["retry-after-ms"] == "1200"
    assert response.headers["x-ratelimit-remaining-requests"] == "0"
    assert orjson.loads(response.body)["error"]["code"] == "rate_limit_exceeded"


def test_a_spent_budget_is_not_tried_again() -> None:
    failure = chat_failure(LimitReached("Spent.", retry_after_s=60, budget_spent=True))
    assert failure is not None
    assert not retried(failure)
    assert error_body(failure)["error"] == {
        "message": "Spent.",
        "type": "insufficient_quota",
        "param": None,
        "code": "insufficient_quota",
    }


def test_a_server_that_stops_may_be_asked_again() -> None:
    failure = chat_failure(Abandoned("The server stopped."))
    assert failure is not None
    assert (failure.status, failure.detail) == (503, "The server stopped.")
    assert retried(failure)


def test_a_guard_is_a_content_filter() -> None:
    failure = chat_failure(GuardRefused("x", "email", path="messages[0].content"))
    assert failure is not None
    assert (failure.status, error_body(failure)["error"]) == (
        422,
        {
            "message": "x",
            "type": "invalid_request_error",
            "param": "messages[0].content",
            "code": "content_filter",
        },
    )


def test_errors_that_every_route_has_are_not_a_chats() -> None:
    assert chat_failure(Invalid("x")) is None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (llm.TruncatedStream("x"), "provider_truncated_stream"),
        (Unavailable("the disk at /var is full"), "unavailable"),
        (OSError("/var"), "unavailable"),
        (KeyError("bug"), "internal"),
    ],
)
def test_what_ends_a_stream_is_told_without_our_own_affairs(error: Exception, code: str) -> None:
    failure = stream_failure(error)
    assert failure.code == code
    assert "/var" not in failure.detail


@pytest.mark.parametrize("kind", PROVIDER_ERRORS)
def test_the_documentation_has_every_code_with_its_status_and_whether_to_try_again(
    kind: type[llm.LLMError],
) -> None:
    failure = failure_of(kind("x"))
    code = orjson.loads(write_error(failure, "r1").body)["error"]["code"]
    rows = [row for row in PAGE.read_text(encoding="utf-8").splitlines() if f"`{code}`" in row]
    assert any(
        row.startswith(f"| {failure.status} |") and row.endswith("| no |") != retried(failure)
        for row in rows
    )
