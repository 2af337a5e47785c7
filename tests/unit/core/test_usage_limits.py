"""What one call may use, decided on rows alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.core.usage_limits import (
    Claim,
    Decision,
    Holder,
    Limits,
    Settlement,
    Window,
    WindowKey,
    decide,
    settle,
    window_end,
    window_keys,
    window_start,
)

NOW = datetime(2026, 3, 31, 23, 59, 30, tzinfo=UTC)
KEY, USER, ALIAS = Holder("key", "shop"), Holder("user", "ann"), Holder("alias", "bot@production")


def windows(limits: dict[Holder, Limits], at: datetime = NOW) -> dict[WindowKey, Window]:
    return {key: Window() for key in window_keys(tuple(limits), limits, at)}


def claim(*holders: Holder, tokens: int = 10, dollars: str | None = "0.10") -> Claim:
    return Claim(holders or (KEY,), tokens, None if dollars is None else Decimal(dollars))


def test_a_call_without_limits_is_admitted_and_counted_nowhere() -> None:
    decision = decide(claim(KEY, USER), {}, {}, NOW)
    assert decision == Decision(True)


def test_requests_a_minute_are_refused_until_the_minute_ends() -> None:
    limits = {KEY: Limits(requests_per_minute=2)}
    counted = windows(limits)
    assert [decide(claim(), limits, counted, NOW).admitted for _ in range(3)] == [True, True, False]
    refused = decide(claim(), limits, counted, NOW)
    assert refused.retry_after_s == 30
    assert not refused.budget_spent
    assert refused.requests is not None
    assert (refused.requests.limit, refused.requests.remaining) == (2, 0)


def test_a_refusal_names_whose_limit_is_reached() -> None:
    limits = {KEY: Limits(requests_per_minute=9), ALIAS: Limits(requests_per_minute=0)}
    refused = decide(claim(KEY, ALIAS), limits, windows(limits), NOW)
    assert (refused.admitted, refused.refused_by) == (False, ALIAS)


def test_tokens_that_are_only_reserved_are_worth_waiting_a_moment_for() -> None:
    limits = {KEY: Limits(tokens_per_minute=15)}
    counted = windows(limits)
    assert decide(claim(), limits, counted, NOW).admitted
    assert decide(claim(), limits, counted, NOW).retry_after_s == 1
    settle(Settlement(tuple(counted), 10, Decimal(0), 4, Decimal(0)), counted)
    assert decide(claim(), limits, counted, NOW).admitted


def test_a_request_that_can_never_fit_a_minute_is_told_so() -> None:
    limits = {KEY: Limits(tokens_per_minute=5)}
    refused = decide(claim(), limits, windows(limits), NOW)
    assert refused.budget_spent
    assert "never fit" in refused.reason


def test_money_that_is_gone_is_refused_for_good_until_its_window_ends() -> None:
    limits = {KEY: Limits(dollars_per_month=Decimal("0.15"))}
    counted = windows(limits)
    assert decide(claim(), limits, counted, NOW).admitted
    waiting = decide(claim(), limits, counted, NOW)
    assert (waiting.admitted, waiting.budget_spent, waiting.retry_after_s) == (False, False, 1)
    settle(Settlement(tuple(counted), 10, Decimal("0.10"), 8, Decimal("0.08")), counted)
    gone = decide(claim(), limits, counted, NOW)
    assert (gone.admitted, gone.budget_spent, gone.retry_after_s) == (False, True, 30)
    assert "$0.0800 is spent" in gone.reason


def test_what_nothing_bounds_is_refused_where_money_is_limited() -> None:
    limits = {KEY: Limits(dollars_per_day=Decimal(1))}
    assert not decide(claim(dollars=None), limits, windows(limits), NOW).admitted


def test_a_model_that_costs_nothing_is_served_when_all_money_is_gone() -> None:
    limits = {KEY: Limits(dollars_per_day=Decimal(0))}
    assert decide(claim(dollars="0"), limits, windows(limits), NOW).admitted


def test_a_limit_that_warns_admits_and_tells() -> None:
    limits = {ALIAS: Limits(requests_per_minute=1, stops=False)}
    counted = windows(limits)
    assert decide(claim(ALIAS), limits, counted, NOW).warnings == ()
    over = decide(claim(ALIAS), limits, counted, NOW)
    assert over.admitted
    assert over.warnings == ("The alias bot@production may make 1 requests a minute.",)


def test_a_refusal_counts_nowhere() -> None:
    limits = {KEY: Limits(requests_per_minute=5), USER: Limits(requests_per_minute=1)}
    counted = windows(limits)
    assert decide(claim(KEY, USER), limits, counted, NOW).admitted
    before = {key: window.requests for key, window in counted.items()}
    assert not decide(claim(KEY, USER), limits, counted, NOW).admitted
    assert {key: window.requests for key, window in counted.items()} == before


def test_windows_are_those_of_the_calendar_in_utc() -> None:
    assert window_start("month", NOW) == datetime(2026, 3, 1, tzinfo=UTC)
    assert window_end("month", NOW) == window_end("day", NOW) == datetime(2026, 4, 1, tzinfo=UTC)
    assert window_end("minute", NOW) - window_start("minute", NOW) == timedelta(minutes=1)


def test_a_call_that_ends_in_the_next_month_is_settled_where_it_began() -> None:
    limits = {KEY: Limits(dollars_per_month=Decimal(1))}
    counted = windows(limits)
    decide(claim(), limits, counted, NOW)
    settle(Settlement(tuple(counted), 10, Decimal("0.10"), 8, Decimal("0.02")), counted)
    (window,) = counted.values()
    assert (window.spent, window.reserved) == (Decimal("0.02"), Decimal(0))


def test_a_limit_that_is_set_while_a_call_is_under_way_owes_it_nothing() -> None:
    before = {KEY: Limits(tokens_per_minute=100)}
    counted = windows(before)
    early = decide(claim(), before, counted, NOW)
    limits = {KEY: Limits(tokens_per_minute=100, dollars_per_day=Decimal("0.15"))}
    counted |= {key: Window() for key in window_keys((KEY,), limits, NOW) if key.span == "day"}
    assert decide(claim(), limits, counted, NOW).admitted
    settle(Settlement(early.reserved, 10, Decimal("0.10"), 10, Decimal("0.10")), counted)
    day = next(window for key, window in counted.items() if key.span == "day")
    assert (day.spent, day.reserved) == (Decimal(0), Decimal("0.10"))
    assert not decide(claim(), limits, counted, NOW).admitted


@given(
    st.lists(
        st.tuples(st.integers(1, 50), st.integers(0, 100), st.booleans()), min_size=1, max_size=60
    ),
    st.integers(0, 300),
)
def test_used_and_reserved_never_exceed_the_limit(
    calls: list[tuple[int, int, bool]], cents: int
) -> None:
    limits = {KEY: Limits(tokens_per_minute=500, dollars_per_day=Decimal(cents) / 100)}
    counted = windows(limits)
    under_way: list[tuple[int, Decimal]] = []
    for worst, share, ends in calls:
        dollars = Decimal(worst) / 100
        if decide(Claim((KEY,), worst, dollars), limits, counted, NOW).admitted:
            under_way.append((worst, dollars))
        if ends and under_way:
            tokens, money = under_way.pop(0)
            used = Settlement(
                tuple(counted), tokens, money, tokens * share // 100, money * share / 100
            )
            settle(used, counted)
        for key, window in counted.items():
            if key.span == "minute":
                assert window.tokens + window.reserved_tokens <= 500
            else:
                assert window.spent + window.reserved <= limits[KEY].dollars_per_day  # type: ignore[operator] # it has one
