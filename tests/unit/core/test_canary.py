"""Who meets a canary: the split, and that everybody stays where they are."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from app.core.canary import BUCKETS, bucket, choose

ALIAS = str(UUID(int=7))
CALLERS = 20_000


@dataclass(frozen=True)
class Target:
    name: str
    role: str
    weight: float


PRIMARY = Target("primary", "primary", 1.0)
FALLBACKS = (Target("second", "fallback", 2), Target("first", "fallback", 1))


def canary(weight: float, name: str = "canary") -> Target:
    return Target(name, "canary", weight)


def met(weight: float) -> set[int]:
    """Return which of many callers meet a canary of this weight."""
    targets = (PRIMARY, canary(weight))
    return {
        caller
        for caller in range(CALLERS)
        if choose(targets, bucket(f"user-{caller}", ALIAS))[0].role == "canary"
    }


@pytest.mark.parametrize("weight", [0.01, 0.1, 0.5])
def test_a_canary_meets_its_part_of_the_callers(weight: float) -> None:
    low, high = stats.binom.interval(0.9999, CALLERS, weight)
    assert low <= len(met(weight)) <= high


def test_raising_a_weight_keeps_everybody_who_met_the_canary() -> None:
    assert met(0.01) < met(0.1) < met(0.5)


def test_the_same_caller_stands_in_the_same_bucket_and_elsewhere_for_another_alias() -> None:
    assert bucket("ada", ALIAS) == bucket("ada", ALIAS)
    elsewhere = [bucket(f"u{n}", ALIAS) != bucket(f"u{n}", "another") for n in range(100)]
    assert sum(elsewhere) > 95


def test_where_a_caller_stands_never_changes() -> None:
    """A changed hash would give every caller another arm in the middle of an experiment."""
    assert bucket("ada", ALIAS) == 6780


@pytest.mark.parametrize(
    ("caller", "names"),
    [
        (0, ["canary", "primary", "first", "second"]),
        (99, ["canary", "primary", "first", "second"]),
        (100, ["primary", "first", "second"]),
    ],
)
def test_a_target_that_fails_gives_way_to_the_primary_and_then_to_the_fallbacks_in_order(
    caller: int, names: list[str]
) -> None:
    targets = (PRIMARY, canary(0.01), *FALLBACKS)
    assert [target.name for target in choose(targets, caller)] == names


def test_nobody_meets_two_canaries() -> None:
    targets = (PRIMARY, canary(0.1, "a"), canary(0.2, "b"))
    arms = [choose(targets, caller) for caller in range(BUCKETS)]
    assert [arm[0].name for arm in arms].count("a") == 1_000
    assert [arm[0].name for arm in arms].count("b") == 2_000
    assert all([t.role for t in arm].count("canary") <= 1 for arm in arms)


@given(
    caller=st.integers(0, BUCKETS - 1),
    small=st.integers(1, BUCKETS - 1),
    raised=st.integers(1, BUCKETS - 1),
)
def test_a_raised_weight_takes_nobody_out_of_the_canary(
    caller: int, small: int, raised: int
) -> None:
    low, high = sorted((small / BUCKETS, raised / BUCKETS))
    before = choose((PRIMARY, canary(low)), caller)[0].role
    after = choose((PRIMARY, canary(high)), caller)[0].role
    assert before == "primary" or after == "canary"


@given(st.text())
def test_any_text_has_a_bucket(sticky: str) -> None:
    assert 0 <= bucket(sticky, ALIAS) < BUCKETS
