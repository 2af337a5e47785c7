"""Means of clustered examples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.statistics.builders import floats
from workbench.statistics.arrays import encode_labels
from workbench.statistics.clusters import (
    cluster_sign_flip,
    clustered_mean,
    varies_between_clusters,
)
from workbench.statistics.paired_graded import t_interval
from workbench.statistics.permutation import sign_flip_test

graded = st.lists(
    st.tuples(st.integers(-8, 8).map(lambda i: i / 8), st.integers(0, 6)), min_size=2, max_size=60
)


def as_arrays(pairs: list[tuple[float, int]]) -> tuple[np.ndarray, np.ndarray]:
    return floats(*(value for value, _ in pairs)), encode_labels([label for _, label in pairs])


@given(st.lists(st.integers(-8, 8).map(lambda i: i / 8), min_size=2, max_size=60))
def test_clusters_of_one_give_the_plain_t_interval(values: list[float]) -> None:
    clustered = clustered_mean(floats(*values), np.arange(len(values)))
    plain = t_interval(floats(*values))
    assert clustered.interval.low == pytest.approx(plain.interval.low, abs=1e-12)
    assert clustered.se_cr1 == pytest.approx(plain.standard_error, abs=1e-12)


@given(graded)
def test_standard_error_is_the_double_sum_within_clusters(pairs: list[tuple[float, int]]) -> None:
    values, codes = as_arrays(pairs)
    if int(codes.max()) < 1:
        return
    residuals = values - values.mean()
    same = codes[:, np.newaxis] == codes
    double_sum = float((residuals[:, np.newaxis] * residuals * same).sum())
    mean = clustered_mean(values, codes)
    assert mean.se_uncorrected == pytest.approx(max(0.0, double_sum) ** 0.5 / values.size, abs=1e-7)


@given(graded)
def test_order_of_the_examples_makes_no_difference(pairs: list[tuple[float, int]]) -> None:
    values, codes = as_arrays(pairs)
    if int(codes.max()) < 1:
        return
    turned = clustered_mean(values[::-1], encode_labels(codes[::-1].tolist()))
    mean = clustered_mean(values, codes)
    assert turned.interval.low == pytest.approx(mean.interval.low, abs=1e-9)
    assert turned.mean == pytest.approx(mean.mean, abs=1e-12)


def test_copies_of_an_example_in_its_cluster_add_nothing() -> None:
    values = np.random.default_rng(2).normal(size=30)
    once = clustered_mean(values, np.arange(30))
    thrice = clustered_mean(np.repeat(values, 3), np.repeat(np.arange(30), 3))
    assert thrice.interval.low == pytest.approx(once.interval.low, abs=1e-12)
    assert thrice.se_independent < 0.7 * once.se_independent


def test_pseudo_clusters_widen_the_interval_and_leave_the_mean() -> None:
    values, codes = np.full(40, 0.25), np.repeat(np.arange(10), 4)
    assert not varies_between_clusters(values, codes)
    guarded = clustered_mean(values, codes, pseudo=(-1.0, 1.0))
    assert guarded.guarded
    assert guarded.mean == 0.25
    assert guarded.n_clusters == 10
    assert guarded.interval.half_width > 0.1


def test_clusters_flip_as_a_whole() -> None:
    values = np.full(24, 0.5)
    codes = np.repeat(np.arange(4), 6)
    assert cluster_sign_flip(values, codes, seed=1).p_value == 2 / 2**4
    assert sign_flip_test(values, seed=1).p_value < 0.001


def test_one_cluster_and_unmatched_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="at least two clusters"):
        clustered_mean(floats(1.0, 2.0), np.zeros(2, dtype=np.intp))
    with pytest.raises(ValueError, match="needs a cluster"):
        clustered_mean(floats(1.0, 2.0), np.zeros(3, dtype=np.intp))
