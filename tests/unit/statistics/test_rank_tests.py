"""Rank tests."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.statistics.builders import floats
from workbench.statistics.rank_tests import cochran_q, friedman, wilcoxon_signed_rank

differences = st.lists(st.integers(-5, 5), min_size=1, max_size=9)


@given(differences)
def test_exact_signed_rank_p_is_the_share_of_sign_patterns(values: list[int]) -> None:
    test = wilcoxon_signed_rank(floats(*values))
    changed = np.array([v for v in values if v], dtype=float)
    if changed.size == 0:
        assert test.p_value == 1.0
        return
    sizes = np.abs(changed)
    ranks = np.array([(sizes < s).sum() + ((sizes == s).sum() + 1) / 2 for s in sizes])
    sums = [
        sum(rank for rank, positive in zip(ranks, signs, strict=True) if positive)
        for signs in itertools.product((0, 1), repeat=changed.size)
    ]
    at_most = np.mean([s <= test.statistic + 1e-9 for s in sums])
    assert test.p_value == pytest.approx(min(1.0, 2 * at_most))


@given(differences)
def test_one_sided_signed_rank_p_values_overlap_by_the_observed_pattern(
    values: list[int],
) -> None:
    greater = wilcoxon_signed_rank(floats(*values), "greater")
    less = wilcoxon_signed_rank(floats(*values), "less")
    assert greater.p_value + less.p_value >= 1.0 - 1e-12
    mirrored = wilcoxon_signed_rank(-floats(*values), "less")
    assert greater.p_value == pytest.approx(mirrored.p_value)


def test_variants_that_never_differ_are_no_evidence() -> None:
    same = np.ones((10, 3))
    assert cochran_q(same).p_value == 1.0
    assert friedman(same).p_value == 1.0


def test_a_variant_that_always_wins_is_found() -> None:
    table = np.zeros((30, 3))
    table[:, 1] = 1.0
    assert cochran_q(table).p_value < 1e-6
    assert friedman(table).p_value < 1e-6


def test_tables_that_cannot_be_tested_are_refused() -> None:
    with pytest.raises(ValueError, match="at least two examples"):
        cochran_q(np.ones((1, 3)))
    with pytest.raises(ValueError, match="scores 0 and 1"):
        cochran_q(np.full((3, 3), 0.5))
    with pytest.raises(ValueError, match="lack a score"):
        friedman(np.array([[1.0, np.nan], [1.0, 0.0]]))
