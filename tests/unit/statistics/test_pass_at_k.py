"""pass@k and pass^k."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.statistics.pass_at_k import (
    pass_at_k,
    pass_at_k_scores,
    pass_hat_k,
    pass_hat_k_scores,
)

samples = st.integers(1, 9).flatmap(
    lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))
)


@given(samples)
def test_shares_of_all_ways_to_draw_k_samples(case: tuple[int, int, int]) -> None:
    n, c, k = case
    draws = list(itertools.combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, draws)) / len(draws))
    assert pass_hat_k(n, c, k) == pytest.approx(sum(map(all, draws)) / len(draws))


def test_many_samples_stay_exact() -> None:
    assert pass_at_k(10_000, 1, 5_000) == pytest.approx(0.5)


def test_examples_are_scored_one_by_one() -> None:
    assert pass_at_k_scores([(4, 0), (4, 4)], 2).tolist() == [0.0, 1.0]
    assert pass_hat_k_scores([(4, 2), (4, 4)], 2).tolist() == pytest.approx([1 / 6, 1.0])


@pytest.mark.parametrize(("n", "c", "k"), [(4, 2, 5), (4, 2, 0), (4, 5, 1), (4, -1, 1)])
def test_impossible_counts_are_refused(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match="between"):
        pass_at_k(n, c, k)
