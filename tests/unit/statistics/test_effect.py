"""The data choose the analysis."""

import numpy as np
import pytest

from tests.unit.statistics.builders import floats
from workbench.statistics.effect import (
    Differences,
    Method,
    PMethod,
    effect_test,
    estimate_effect,
)

RNG = np.random.default_rng(3)
GRADED = RNG.normal(0.1, 0.3, 60)
PASSED = RNG.choice((-1.0, 0.0, 1.0), 60)
CODES = np.repeat(np.arange(15), 4)


@pytest.mark.parametrize(
    ("differences", "method", "p_method"),
    [
        (Differences(PASSED, True, 1.0), Method.TANGO, PMethod.MCNEMAR_EXACT),
        (Differences(GRADED, False, 1.0), Method.T, PMethod.SIGN_FLIP),
        (Differences(GRADED[:12], False, 1.0), Method.T, PMethod.SIGN_FLIP_EXACT),
        (Differences(GRADED[:9], False, 1.0), Method.T_GUARDED, PMethod.SIGN_FLIP_EXACT),
        (
            Differences(PASSED, True, 1.0, CODES),
            Method.CLUSTER_CR1,
            PMethod.CLUSTER_SIGN_FLIP_EXACT,
        ),
        (
            Differences(GRADED, False, 1.0, np.repeat(np.arange(30), 2)),
            Method.CLUSTER_CR1,
            PMethod.CLUSTER_SIGN_FLIP,
        ),
        (
            Differences(np.zeros(60), True, 1.0, CODES),
            Method.CLUSTER_CR1_GUARDED,
            PMethod.CLUSTER_SIGN_FLIP_EXACT,
        ),
    ],
)
def test_method_follows_from_the_data(
    differences: Differences, method: Method, p_method: PMethod
) -> None:
    effect = estimate_effect(differences)
    assert effect.method is method
    assert effect.reason.endswith(".")
    assert effect.estimate == pytest.approx(float(differences.values.mean()))
    assert effect_test(differences, seed=1).method is p_method


def test_nothing_changed_still_leaves_an_interval_and_an_error_to_plan_with() -> None:
    for binary, clusters in ((True, None), (False, None), (True, CODES)):
        effect = estimate_effect(Differences(np.zeros(60), binary, 1.0, clusters))
        assert effect.interval.low < 0.0 < effect.interval.high
        assert effect.standard_error > 0.0


def test_one_cluster_leaves_an_interval() -> None:
    effect = estimate_effect(Differences(GRADED, False, 1.0, np.zeros(60, dtype=np.intp)))
    assert effect.method is Method.CLUSTER_CR1_GUARDED
    assert effect.n_clusters == 1
    assert effect.interval.half_width > 0.0


def test_mid_p_comes_with_pass_or_fail_data_only() -> None:
    assert effect_test(Differences(PASSED, True, 1.0), seed=1).mid_p is not None
    assert effect_test(Differences(GRADED, False, 1.0), seed=1).mid_p is None


def test_no_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="no example with a score on both sides"):
        estimate_effect(Differences(floats(), True, 1.0))
