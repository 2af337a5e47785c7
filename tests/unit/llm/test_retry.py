"""Which failures are tried again, how often, and after how long."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from app.llm.retry import RetryPolicy, RetryState

FINAL = [
    AuthenticationFailed,
    BadRequest,
    CallNotStarted,
    ContentFiltered,
    ParameterNotSupported,
    QuotaExhausted,
    ResponseTooLarge,
    UnknownModel,
]


def state(**policy: float) -> RetryState:
    return RetryState(RetryPolicy(**policy), Random(1))  # type: ignore[arg-type] # ints among floats


def retries(kind: type[LLMError], most: int = 50) -> int:
    """Return how often an error of this kind is tried again."""
    one = state(budget_s=1e9)
    return next(n for n in range(most + 1) if n == most or one.next_wait(kind("no")) is None)


@pytest.mark.parametrize("kind", FINAL)
def test_what_trying_again_cannot_mend_is_final(kind: type[LLMError]) -> None:
    assert retries(kind) == 0


@pytest.mark.parametrize("kind", [ConnectionFailed, ServerError, TruncatedStream])
def test_a_passing_failure_is_tried_six_times_in_all(kind: type[LLMError]) -> None:
    assert retries(kind) == 5


@pytest.mark.parametrize("kind", [Timeout, MalformedResponse])
def test_what_may_be_charged_again_is_tried_once_more(kind: type[LLMError]) -> None:
    assert retries(kind) == 1


def test_a_rate_limit_uses_up_no_attempt() -> None:
    assert retries(RateLimited) == 50


def test_rate_limits_end_with_the_waiting_budget() -> None:
    one = state(budget_s=10)
    waits = []
    while (wait := one.next_wait(RateLimited("no", retry_after_s=3))) is not None:
        waits.append(wait)

    assert len(waits) == 3


def test_a_wait_longer_than_the_budget_is_not_begun() -> None:
    assert state().next_wait(RateLimited("no", retry_after_s=3600)) is None


def test_an_endpoint_that_never_answered_is_not_tried_again() -> None:
    error = EndpointUnreachable("refused")

    assert state().next_wait(error, endpoint_answered=False) is None
    assert state().next_wait(error, endpoint_answered=True) is not None


@given(st.integers(0, 2**32), st.floats(0, 60), st.integers(1, 8))
def test_nobody_comes_back_before_the_time_that_was_told(
    seed: int, told: float, failures: int
) -> None:
    one = RetryState(RetryPolicy(budget_s=1e9), Random(seed))

    for _ in range(failures):
        wait = one.next_wait(RateLimited("no", retry_after_s=told))
        assert wait is not None
        assert wait >= told


@given(
    st.integers(0, 2**32),
    st.lists(st.sampled_from([RateLimited, ServerError, ConnectionFailed, Timeout]), max_size=60),
)
def test_all_waits_together_stay_within_the_budget(seed: int, kinds: list[type[LLMError]]) -> None:
    one = RetryState(RetryPolicy(budget_s=20), Random(seed))
    total = 0.0

    for kind in kinds:
        wait = one.next_wait(kind("no", retry_after_s=1.5 if kind is RateLimited else None))
        if wait is None:
            break
        assert wait >= 0
        total += wait

    assert total <= 20
    assert total == pytest.approx(one.waited_s)


@given(st.integers(0, 2**32))
def test_waits_are_drawn_from_a_bound_that_doubles(seed: int) -> None:
    one = RetryState(RetryPolicy(base_s=0.5, cap_s=3.0), Random(seed))

    for bound in (0.5, 1, 2, 3, 3):
        wait = one.next_wait(ServerError("no"))
        assert wait is not None
        assert 0 <= wait <= bound


def test_the_same_seed_gives_the_same_waits() -> None:
    def waits() -> list[float | None]:
        one = state()
        return [one.next_wait(ServerError("no")) for _ in range(4)]

    assert waits() == waits()
