"""The interval of one run."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.statistics.builders import floats
from workbench.statistics.proportions import wilson_interval
from workbench.statistics.single_run import MeanMethod, run_mean

UNIT_RANGE = (0.0, 1.0)


def test_pass_or_fail_gets_wilson() -> None:
    mean = run_mean(floats(1, 1, 0, 1), binary=True, bounds=UNIT_RANGE)
    assert mean.method is MeanMethod.WILSON
    assert mean.interval == wilson_interval(3, 4)


@given(st.lists(st.integers(0, 8).map(lambda i: i / 8), min_size=1, max_size=60))
def test_interval_stays_within_what_is_possible_and_holds_the_mean(values: list[float]) -> None:
    mean = run_mean(floats(*values), binary=False, bounds=UNIT_RANGE)
    assert 0.0 <= mean.interval.low < mean.interval.high <= 1.0
    if mean.method is MeanMethod.T:
        assert mean.interval.low <= mean.mean <= mean.interval.high


def test_clusters_widen_the_interval() -> None:
    rng = np.random.default_rng(1)
    values = np.clip(np.repeat(rng.random(20), 5) + rng.normal(0, 0.02, 100), 0, 1)
    plain = run_mean(values, binary=False, bounds=UNIT_RANGE)
    clustered = run_mean(
        values, binary=False, bounds=UNIT_RANGE, clusters=np.repeat(np.arange(20), 5)
    )
    assert clustered.method is MeanMethod.CLUSTER_CR1
    assert clustered.interval.half_width > 1.5 * plain.interval.half_width


def test_clusters_without_variation_still_leave_an_interval() -> None:
    mean = run_mean(
        np.ones(40), binary=True, bounds=UNIT_RANGE, clusters=np.repeat(np.arange(10), 4)
    )
    assert mean.method is MeanMethod.CLUSTER_CR1_GUARDED
    assert mean.mean == 1.0
    assert mean.interval.low < 0.97


def test_range_of_the_score_bounds_the_guard() -> None:
    mean = run_mean(np.full(30, 4.0), binary=False, bounds=(1.0, 5.0))
    assert mean.method is MeanMethod.T_GUARDED
    assert 3.6 < mean.interval.low < 3.9
    assert 4.0 < mean.interval.high < 4.3
