"""Agreement beyond chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.statistics.agreement import (
    AlphaScale,
    cohen_kappa,
    confusion_table,
    differential_error_p,
    fleiss_kappa,
    krippendorff_alpha,
    krippendorff_interval,
)

SCALES: tuple[AlphaScale, ...] = ("nominal", "ordinal", "interval", "ratio")
ratings = st.lists(
    st.lists(st.sampled_from((float("nan"), 1.0, 2.0, 3.0, 4.0)), min_size=3, max_size=3),
    min_size=4,
    max_size=15,
).map(lambda rows: np.array(rows).T)


def usable(table: np.ndarray) -> bool:
    rated = ~np.isnan(table)
    pairable = rated.sum(axis=0) >= 2
    return pairable.any() and np.unique(table[:, pairable][rated[:, pairable]]).size > 1


@given(ratings.filter(usable), st.sampled_from(SCALES))
def test_alpha_ignores_the_order_of_raters_and_units(table: np.ndarray, scale: AlphaScale) -> None:
    alpha = krippendorff_alpha(table, scale)
    assert krippendorff_alpha(table[::-1, ::-1], scale) == pytest.approx(alpha, abs=1e-9)
    assert alpha <= 1.0 + 1e-12


@given(ratings.filter(usable))
def test_interval_alpha_does_not_depend_on_the_unit_of_the_scale(table: np.ndarray) -> None:
    alpha = krippendorff_alpha(table, "interval")
    assert krippendorff_alpha(10.0 * table - 3.0, "interval") == pytest.approx(alpha, abs=1e-9)


@given(ratings.filter(usable))
def test_ordinal_alpha_depends_on_the_order_of_the_values_only(table: np.ndarray) -> None:
    alpha = krippendorff_alpha(table, "ordinal")
    assert krippendorff_alpha(table**3, "ordinal") == pytest.approx(alpha, abs=1e-9)


def test_perfect_agreement_is_one_on_every_scale() -> None:
    table = np.tile([1.0, 2.0, 3.0, 2.0], (3, 1))
    for scale in SCALES:
        assert krippendorff_alpha(table, scale) == pytest.approx(1.0)


def test_ratings_of_zero_do_not_upset_the_ratio_scale() -> None:
    assert krippendorff_alpha(np.array([[0.0, 1.0, 2.0], [0.0, 1.0, 3.0]]), "ratio") < 1.0


def test_alpha_interval_holds_the_estimate_and_repeats_with_its_seed() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(1, 5, 80)
    table = np.stack([truth, np.where(rng.random(80) < 0.7, truth, rng.integers(1, 5, 80))])
    result = krippendorff_interval(table.astype(float), "ordinal", resamples=300)
    assert result.interval.low < result.alpha < result.interval.high
    assert result.n_units == 80
    assert result == krippendorff_interval(table.astype(float), "ordinal", resamples=300)


def test_alpha_that_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="rated by two raters"):
        krippendorff_alpha(np.array([[1.0, np.nan], [np.nan, 2.0]]), "nominal")
    with pytest.raises(ValueError, match="same value"):
        krippendorff_alpha(np.ones((2, 5)), "nominal")
    with pytest.raises(ValueError, match="raters"):
        krippendorff_alpha(np.ones(5), "nominal")


def test_same_raw_agreement_can_mean_very_different_kappa() -> None:
    even = cohen_kappa(np.array([[45.0, 15.0], [25.0, 15.0]]))
    lopsided = cohen_kappa(np.array([[25.0, 35.0], [5.0, 35.0]]))
    assert even.observed_agreement == lopsided.observed_agreement == pytest.approx(0.6)
    assert (even.kappa, lopsided.kappa) == pytest.approx((0.1304, 0.2593), abs=1e-4)


@given(st.lists(st.integers(0, 20), min_size=9, max_size=9).filter(lambda c: sum(c) > 0))
def test_kappa_does_not_care_which_rater_is_first(counts: list[int]) -> None:
    table = np.array(counts, dtype=float).reshape(3, 3)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    if (rows > 0).sum() == (columns > 0).sum() == 1 and rows.argmax() == columns.argmax():
        return
    for weights in (None, "linear", "quadratic"):
        one, other = cohen_kappa(table, weights), cohen_kappa(table.T, weights)
        assert one.kappa == pytest.approx(other.kappa, abs=1e-9)
        assert one.standard_error == pytest.approx(other.standard_error, abs=1e-9)
        assert one.kappa <= 1.0


def test_weights_forgive_near_misses() -> None:
    near = np.array([[10.0, 5.0, 0.0], [5.0, 10.0, 5.0], [0.0, 5.0, 10.0]])
    plain, linear, quadratic = (cohen_kappa(near, w).kappa for w in (None, "linear", "quadratic"))
    assert plain < linear < quadratic


def test_kappa_that_is_not_defined_is_refused() -> None:
    with pytest.raises(ValueError, match="one category only"):
        cohen_kappa(np.array([[30.0, 0.0], [0.0, 0.0]]))
    with pytest.raises(ValueError, match="square table"):
        cohen_kappa(np.ones((2, 3)))
    with pytest.raises(ValueError, match="at least one rated"):
        cohen_kappa(np.zeros((2, 2)))


def test_confusion_table_counts_pairs_of_categories() -> None:
    table = confusion_table([0, 1, 1, 2], [0, 1, 2, 2], categories=3)
    assert table.tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 1]]
    with pytest.raises(ValueError, match="same units"):
        confusion_table([0], [0, 1], categories=2)


def test_fleiss_needs_equally_many_raters_and_two_categories() -> None:
    assert fleiss_kappa(np.array([[3.0, 0.0], [0.0, 3.0]])) == 1.0
    with pytest.raises(ValueError, match="same number of raters"):
        fleiss_kappa(np.array([[3.0, 0.0], [0.0, 2.0]]))
    with pytest.raises(ValueError, match="Only one category"):
        fleiss_kappa(np.array([[3.0, 0.0], [3.0, 0.0]]))
    with pytest.raises(ValueError, match="table of units"):
        fleiss_kappa(np.empty((0, 2)))


def test_judge_that_errs_on_one_variant_only_is_found() -> None:
    rng = np.random.default_rng(3)
    first, second = (rng.random((2, 120)) < 0.6).astype(np.float64)
    human = first, second
    alike = np.ones(120), np.ones(120)
    partial = first, np.ones(120)
    assert differential_error_p(human, partial) < 0.001
    assert differential_error_p(human, alike) > 0.05
