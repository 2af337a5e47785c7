"""Six words from an interval and a margin."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.statistics.interval import Interval
from workbench.statistics.policy import Policy
from workbench.statistics.verdict import Verdict, decide, enough_data, passes_gate

bounds = st.tuples(st.floats(-1, 1), st.floats(-1, 1)).map(lambda ends: (min(ends), max(ends)))


def verdict_of(low: float, high: float, margin: float | None, n: int = 100) -> Verdict:
    return decide(Interval(low, high, 0.95), margin, n_pairs=n)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.001, 0.05, Verdict.SUPERIOR),
        (-0.02, 0.01, Verdict.NON_INFERIOR),
        (0.0, 0.01, Verdict.NON_INFERIOR),
        (-0.02, -0.01, Verdict.WORSE_WITHIN_MARGIN),
        (-0.03, -0.01, Verdict.INFERIOR),
        (-0.2, -0.1, Verdict.INFERIOR),
        (-0.03, 0.01, Verdict.INCONCLUSIVE),
        (-0.2, 0.2, Verdict.INCONCLUSIVE),
        (-0.2, 0.0, Verdict.INCONCLUSIVE),
    ],
)
def test_interval_and_margin_of_three_points(low: float, high: float, verdict: Verdict) -> None:
    assert verdict_of(low, high, 0.03) is verdict


@given(bounds)
def test_without_a_margin_only_four_words_can_be_earned(interval: tuple[float, float]) -> None:
    assert verdict_of(*interval, None) in {
        Verdict.SUPERIOR,
        Verdict.INFERIOR,
        Verdict.INCONCLUSIVE,
    }
    assert verdict_of(*interval, None, n=19) is Verdict.INSUFFICIENT_DATA


@given(bounds, st.floats(0.001, 0.5), st.floats(0.001, 0.5))
def test_a_wider_margin_never_turns_a_pass_into_a_failure(
    interval: tuple[float, float], one: float, other: float
) -> None:
    narrow, wide = sorted((one, other))
    kept = {Verdict.SUPERIOR, Verdict.NON_INFERIOR, Verdict.WORSE_WITHIN_MARGIN}
    if verdict_of(*interval, narrow) in kept:
        assert verdict_of(*interval, wide) is verdict_of(*interval, narrow)


@given(bounds, st.floats(0.001, 0.5))
def test_verdict_follows_the_declared_table(interval: tuple[float, float], margin: float) -> None:
    low, high = interval
    table = {
        Verdict.SUPERIOR: low > 0,
        Verdict.INFERIOR: high < 0 and low <= -margin,
        Verdict.WORSE_WITHIN_MARGIN: high < 0 and low > -margin,
        Verdict.NON_INFERIOR: low > -margin and low <= 0 <= high,
        Verdict.INCONCLUSIVE: low <= -margin and high >= 0,
    }
    assert [word for word, holds in table.items() if holds] == [verdict_of(low, high, margin)]


def test_few_pairs_or_few_clusters_give_no_verdict() -> None:
    assert enough_data(20, None)
    assert not enough_data(19, None)
    assert enough_data(400, 10)
    assert not enough_data(400, 9)
    assert enough_data(5, 2, Policy(min_pairs=5, min_clusters=2))
    assert decide(None, 0.03, n_pairs=0) is Verdict.INSUFFICIENT_DATA


@pytest.mark.parametrize("margin", [0.0, -0.1, float("inf"), float("nan")])
def test_a_margin_must_be_a_positive_number(margin: float) -> None:
    with pytest.raises(ValueError, match="positive number"):
        verdict_of(-0.1, 0.1, margin)


def test_gate_for_non_inferiority_passes_what_is_not_worse() -> None:
    passing = {v for v in Verdict if passes_gate(v, "non_inferiority")}
    assert passing == {Verdict.SUPERIOR, Verdict.NON_INFERIOR}


def test_gate_for_superiority_wants_the_exact_test_as_well() -> None:
    for verdict, p_value in itertools.product(Verdict, (None, 0.04, 0.06)):
        passed = passes_gate(verdict, "superiority", exact_p=p_value, alpha=0.05)
        assert passed == (verdict is Verdict.SUPERIOR and p_value != 0.06)
