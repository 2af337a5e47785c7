"""The circuit breaker as a state machine, with the time in the test's hands."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.llm.breaker import Breaker, BreakerPolicy

POLICY = BreakerPolicy(in_a_row=3, share=0.5, least=8, window_s=10, pause_s=5, longest_s=12)


def opened() -> Breaker:
    """Return a breaker that was opened at time 0."""
    breaker = Breaker(POLICY)
    for _ in range(POLICY.in_a_row):
        breaker.failed(admitted(breaker), 0)
    return breaker


def admitted(breaker: Breaker, now: float = 0) -> int:
    """Return the permit of a call that may be made."""
    permit = breaker.admit(now)
    assert permit is not None
    return permit


def test_failures_in_a_row_open_it() -> None:
    breaker = Breaker(POLICY)
    for _ in range(2):
        breaker.failed(admitted(breaker), 0)
    breaker.failed(admitted(breaker), 0)
    assert not breaker.admit(0)
    assert breaker.wait_s(0) == 5


def test_a_success_in_between_begins_the_row_anew() -> None:
    breaker = Breaker(POLICY)
    for end in (breaker.failed, breaker.failed, breaker.succeeded, breaker.failed):
        end(admitted(breaker), 0)
    assert breaker.admit(0)


def test_half_of_enough_calls_failing_opens_it_too() -> None:
    breaker = Breaker(POLICY)
    for _ in range(4):
        breaker.succeeded(admitted(breaker, 1), 1)
        breaker.failed(admitted(breaker, 1), 1)
    assert not breaker.admit(1)


def test_failures_of_long_ago_do_not_count() -> None:
    breaker = Breaker(POLICY)
    for _ in range(3):
        breaker.failed(admitted(breaker, 0), 0)
        breaker.succeeded(admitted(breaker, 0), 0)
    for _ in range(2):
        breaker.succeeded(admitted(breaker, 11), 11)
        breaker.failed(admitted(breaker, 11), 11)
    assert breaker.admit(11)


def test_after_the_pause_one_call_may_try_and_no_second() -> None:
    breaker = opened()
    assert not breaker.admit(4.9)
    assert breaker.admit(5)
    assert not breaker.admit(5)
    assert breaker.wait_s(5) > 0


def test_a_probe_that_succeeds_closes_it_for_good() -> None:
    breaker = opened()
    breaker.succeeded(admitted(breaker, 5), 6)
    assert all(breaker.admit(6) for _ in range(10))
    breaker.failed(admitted(breaker, 6), 6)
    assert breaker.admit(6)  # what was before is forgotten


def test_each_probe_that_fails_doubles_the_pause_up_to_the_longest() -> None:
    breaker, now = opened(), 0.0
    for pause in (5, 10, 12, 12):
        assert breaker.wait_s(now) == pause
        now += pause
        breaker.failed(admitted(breaker, now), now)


def test_a_probe_that_says_nothing_lets_the_next_call_try() -> None:
    breaker = opened()
    breaker.released(admitted(breaker, 5))
    assert breaker.admit(5)


@pytest.mark.parametrize("end", [Breaker.succeeded, Breaker.failed, lambda it, *_: it.released(1)])
@pytest.mark.parametrize("during", ["the pause", "the probe", "what follows"])
def test_a_call_from_before_the_opening_that_ends_late_says_nothing(
    end: Callable[[Breaker, int, float], None], during: str
) -> None:
    breaker = Breaker(POLICY)
    early = admitted(breaker)
    for _ in range(POLICY.in_a_row):
        breaker.failed(admitted(breaker), 0)
    if during == "the pause":
        end(breaker, early, 1)
        assert breaker.wait_s(1) == 4
        return
    probe = admitted(breaker, 5)
    if during == "the probe":
        end(breaker, early, 6)
        assert breaker.admit(6) is None  # the probe is still under way
        return
    breaker.succeeded(probe, 6)
    for _ in range(POLICY.in_a_row):
        end(breaker, early, 6)
    assert breaker.admit(6)


def test_a_probe_that_failed_cannot_end_the_next_one() -> None:
    breaker = opened()
    first = admitted(breaker, 5)
    breaker.failed(first, 5)
    admitted(breaker, 15)
    breaker.released(first)
    assert breaker.admit(15) is None


@given(st.lists(st.tuples(st.sampled_from("sfr"), st.floats(0, 3)), max_size=200))
def test_it_never_stays_shut_longer_than_the_longest_pause(
    history: list[tuple[str, float]],
) -> None:
    breaker, now = Breaker(POLICY), 0.0
    for kind, passed in history:
        now += passed
        permit = breaker.admit(now)
        if permit is not None:
            if kind == "s":
                breaker.succeeded(permit, now)
            elif kind == "f":
                breaker.failed(permit, now)
            else:
                breaker.released(permit)
        assert 0 <= breaker.wait_s(now) <= POLICY.longest_s
    assert breaker.admit(now + POLICY.longest_s)
