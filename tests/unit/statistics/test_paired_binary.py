"""The paired difference of two proportions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.statistics.builders import floats
from workbench.statistics.interval import normal_critical
from workbench.statistics.paired_binary import (
    PairedTable,
    mcnemar_asymptotic,
    mcnemar_exact,
    mcnemar_mid_p,
    newcombe_interval,
    tango_interval,
    tango_noninferiority_p,
    tango_statistic,
)

tables = st.builds(PairedTable, *(st.integers(0, 300) for _ in range(4))).filter(
    lambda table: table.n > 0
)
levels = st.sampled_from((0.8, 0.95, 0.99))


def tango(table: PairedTable, level: float = 0.95) -> tuple[float, float]:
    interval = tango_interval(table.candidate_only, table.baseline_only, table.n, level)
    return interval.low, interval.high


@given(tables, levels)
def test_tango_contains_the_difference_and_never_has_zero_width(
    table: PairedTable, level: float
) -> None:
    low, high = tango(table, level)
    assert -1.0 <= low <= table.difference + 1e-12
    assert table.difference - 1e-12 <= high <= 1.0
    assert high - low > 1e-3


@given(tables, levels)
def test_swapping_the_variants_mirrors_the_interval(table: PairedTable, level: float) -> None:
    low, high = tango(table, level)
    swapped = PairedTable(table.both, table.baseline_only, table.candidate_only, table.neither)
    assert tango(swapped, level) == pytest.approx((-high, -low), abs=1e-12)


@given(tables, levels)
def test_tango_bounds_are_where_the_score_statistic_is_critical(
    table: PairedTable, level: float
) -> None:
    critical = normal_critical(level)
    counts = table.candidate_only, table.baseline_only, table.n
    low, high = tango(table, level)
    if low > -1.0:
        assert tango_statistic(*counts, low) == pytest.approx(critical, abs=1e-4)
    if high < 1.0:
        assert tango_statistic(*counts, high) == pytest.approx(-critical, abs=1e-4)


@given(tables)
def test_tango_excludes_zero_exactly_when_mcnemar_without_correction_rejects(
    table: PairedTable,
) -> None:
    low, high = tango(table)
    p_value = mcnemar_asymptotic(table.candidate_only, table.baseline_only)
    if abs(p_value - 0.05) > 1e-6:
        assert (low > 0.0 or high < 0.0) == (p_value < 0.05)


@given(tables)
def test_the_level_nests_the_intervals(table: PairedTable) -> None:
    inner, outer = tango(table, 0.9), tango(table, 0.99)
    assert outer[0] <= inner[0]
    assert inner[1] <= outer[1]


@given(tables, st.floats(0.01, 0.5))
def test_noninferiority_p_agrees_with_the_lower_bound(table: PairedTable, margin: float) -> None:
    low, _ = tango(table)
    counts = table.candidate_only, table.baseline_only, table.n
    p_value = tango_noninferiority_p(*counts, margin)
    if abs(low + margin) > 1e-6:
        assert (low > -margin) == (p_value < 0.025)


def test_tango_statistic_at_the_ends_of_what_is_possible() -> None:
    assert tango_statistic(3, 0, 3, 1.0) == 0.0
    assert tango_statistic(0, 3, 3, -1.0) == 0.0
    assert tango_statistic(0, 0, 5, 1.0) == -math.inf
    with pytest.raises(ValueError, match="between -1 and 1"):
        tango_statistic(1, 1, 5, 1.5)


@given(tables)
def test_newcombe_stays_close_to_tango_and_contains_the_difference(table: PairedTable) -> None:
    interval = newcombe_interval(table)
    assert interval.low <= table.difference + 1e-12
    assert interval.high >= table.difference - 1e-12
    low, high = tango(table)
    if table.n >= 200:
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.02)


@given(st.integers(0, 400), st.integers(0, 400))
def test_p_values_lie_between_zero_and_one_and_ignore_the_direction(b: int, c: int) -> None:
    for test in (mcnemar_exact, mcnemar_mid_p, mcnemar_asymptotic):
        assert 0.0 < test(b, c) <= 1.0 or b + c > 300
        assert test(b, c) == pytest.approx(test(c, b), rel=1e-12)
    assert mcnemar_mid_p(b, c) <= mcnemar_exact(b, c)


def test_mcnemar_by_counting_coin_tosses() -> None:
    by_hand = 2 * sum(math.comb(9, k) for k in range(3)) / 2**9
    assert mcnemar_exact(7, 2) == pytest.approx(by_hand, rel=1e-12)
    assert mcnemar_mid_p(7, 2) == pytest.approx(by_hand - math.comb(9, 2) / 2**9, rel=1e-12)


def test_table_is_counted_from_aligned_scores() -> None:
    table = PairedTable.from_scores(floats(1, 1, 0, 0, 0), floats(1, 0, 1, 1, 0))
    assert table == PairedTable(both=1, candidate_only=2, baseline_only=1, neither=1)
    assert table.n == 5
    assert table.difference == pytest.approx(0.2)
    with pytest.raises(ValueError, match="same examples"):
        PairedTable.from_scores(floats(1), np.empty(0))


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be negative"):
        PairedTable(1, -1, 0, 0)
    with pytest.raises(ValueError, match="at least one pair"):
        tango_interval(0, 0, 0)
    with pytest.raises(ValueError, match="do not fit"):
        tango_interval(4, 4, 7)
