"""The sign-flip test."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.statistics.builders import floats
from workbench.statistics.permutation import EXACT_LIMIT, Alternative, sign_flip_test

small = st.lists(st.integers(-6, 6).map(lambda i: i / 4), min_size=0, max_size=9)


def by_enumeration(values: list[float], alternative: Alternative) -> float:
    observed = sum(values)
    sums = [
        sum(sign * abs(value) for sign, value in zip(signs, values, strict=True))
        for signs in itertools.product((-1, 1), repeat=len(values))
    ]
    if alternative == "two-sided":
        extreme = [abs(s) >= abs(observed) for s in sums]
    elif alternative == "greater":
        extreme = [s >= observed for s in sums]
    else:
        extreme = [s <= observed for s in sums]
    return sum(extreme) / len(sums)


@given(small, st.sampled_from(("two-sided", "greater", "less")))
def test_few_units_give_the_exact_share_of_sign_patterns(
    values: list[float], alternative: Alternative
) -> None:
    test = sign_flip_test(floats(*values), seed=1, alternative=alternative)
    assert test.exact
    assert test.p_value == pytest.approx(by_enumeration(values, alternative), abs=1e-12)


@given(small, st.integers(1, 20))
def test_units_that_did_not_change_make_no_difference(values: list[float], zeros: int) -> None:
    padded = floats(*values, *[0.0] * zeros)
    assert sign_flip_test(padded, seed=1) == sign_flip_test(floats(*values), seed=1)


@given(st.integers(0, 2**32 - 1), st.integers(EXACT_LIMIT + 1, 60))
def test_drawn_p_ignores_sign_and_scale_and_is_never_zero(seed: int, n: int) -> None:
    values = np.random.default_rng(seed).normal(0.4, 1.0, n)
    test = sign_flip_test(values, seed=7, resamples=999)
    assert not test.exact
    assert 1 / 1_000 <= test.p_value <= 1.0
    assert sign_flip_test(values * 16.0, seed=7, resamples=999) == test


def test_drawn_p_is_close_to_the_exact_one() -> None:
    values = np.random.default_rng(5).normal(0.35, 1.0, 20)
    exact = sign_flip_test(values, seed=1)
    # Two more units that cannot matter push the same data beyond enumeration.
    drawn = sign_flip_test(np.append(values, (1e-13, -1e-13)), seed=1, resamples=40_000)
    assert exact.exact
    assert not drawn.exact
    assert drawn.p_value == pytest.approx(exact.p_value, abs=0.01)


def test_same_seed_same_p_and_another_seed_another() -> None:
    values = np.random.default_rng(6).normal(0.1, 1.0, 200)
    assert sign_flip_test(values, seed=1) == sign_flip_test(values, seed=1)
    assert sign_flip_test(values, seed=1) != sign_flip_test(values, seed=2)


def test_signs_are_fair_and_independent_between_units() -> None:
    # One unit is far larger than all others together, so its sign alone decides.
    values = np.append(np.full(30, -0.001), 100.0)
    half = sign_flip_test(values, seed=3, alternative="greater", resamples=20_000)
    assert half.p_value == pytest.approx(0.5, abs=0.012)
    # Two such units, and both signs decide.
    quarter = sign_flip_test(
        np.append(values, 100.0), seed=3, alternative="greater", resamples=20_000
    )
    assert quarter.p_value == pytest.approx(0.25, abs=0.012)


def test_nothing_changed_is_no_evidence() -> None:
    assert sign_flip_test(np.zeros(50), seed=1).p_value == 1.0
    assert sign_flip_test(np.empty(0), seed=1).p_value == 1.0


def test_level_is_kept_without_a_difference() -> None:
    rng = np.random.default_rng(8)
    rejected = [
        sign_flip_test(rng.standard_t(3, 40), seed=1, resamples=499).p_value <= 0.05
        for _ in range(400)
    ]
    assert np.mean(rejected) <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


def test_missing_values_are_refused() -> None:
    with pytest.raises(ValueError, match="leave out the examples without a score"):
        sign_flip_test(floats(1.0, float("nan")), seed=1)
