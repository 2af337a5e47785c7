"""How far two or more raters agree beyond chance: people among themselves, a judge with people.

Agreement is 1 when it is perfect and 0 when it is what independent raters with the same habits
would reach; raw agreement is not enough, because on a lopsided scale chance alone agrees often.

- Cohen's kappa for two raters, weighted for ordered categories (Cohen 1960, 1968), with the
  large-sample standard errors of Fleiss, Cohen & Everitt 1969;
- Fleiss' kappa for many raters who all rate everything (Fleiss 1971);
- Krippendorff's alpha for any number of raters, any scale, with gaps (Krippendorff 2011), with
  a percentile bootstrap over units.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy.special import ndtr

from workbench.statistics.arrays import FloatArray, as_finite_vector
from workbench.statistics.bootstrap import draw_units, percentile_interval
from workbench.statistics.interval import Interval, normal_critical, symmetric_interval
from workbench.statistics.permutation import sign_flip_test
from workbench.statistics.policy import DEFAULT_SEED

__all__ = [
    "AlphaScale",
    "CohenKappa",
    "KappaWeights",
    "KrippendorffAlpha",
    "cohen_kappa",
    "confusion_table",
    "differential_error_p",
    "fleiss_kappa",
    "krippendorff_alpha",
    "krippendorff_interval",
]

KappaWeights = Literal["linear", "quadratic"]
AlphaScale = Literal["nominal", "ordinal", "interval", "ratio"]


@dataclass(frozen=True, slots=True)
class CohenKappa:
    """Kappa with its interval; `p_value` is of "no agreement beyond chance", two-sided."""

    kappa: float
    observed_agreement: float
    expected_agreement: float
    standard_error: float
    interval: Interval
    p_value: float


@dataclass(frozen=True, slots=True)
class KrippendorffAlpha:
    """Alpha with its bootstrap interval."""

    alpha: float
    interval: Interval
    n_units: int


def confusion_table(first: Sequence[int], second: Sequence[int], categories: int) -> FloatArray:
    """Count two raters' categories 0 to `categories` - 1; rows are the first rater's."""
    if len(first) != len(second):
        raise ValueError("Both raters must rate the same units.")
    table = np.zeros((categories, categories))
    np.add.at(table, (np.asarray(first, dtype=np.intp), np.asarray(second, dtype=np.intp)), 1.0)
    return table


def _agreement_weights(categories: int, weights: KappaWeights | None) -> FloatArray:
    steps = np.arange(categories, dtype=np.float64)
    distance = np.abs(steps[:, np.newaxis] - steps) / max(categories - 1, 1)
    if weights is None:
        return np.eye(categories)
    shrunk: FloatArray = 1.0 - (distance if weights == "linear" else distance**2)
    return shrunk


def cohen_kappa(
    table: FloatArray, weights: KappaWeights | None = None, level: float = 0.95
) -> CohenKappa:
    """Return Cohen's kappa of a square table of counts, rows for one rater.

    ValueError if both raters used one and the same category only: nothing could have been
    disagreed about, and kappa is 0 / 0.
    """
    counts = np.asarray(table, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or (counts < 0.0).any():
        raise ValueError("Kappa needs a square table of counts.")
    n = float(counts.sum())
    if n == 0.0:
        raise ValueError("Kappa needs at least one rated unit.")
    share = counts / n
    rows, columns = share.sum(axis=1), share.sum(axis=0)
    agreement = _agreement_weights(len(counts), weights)
    observed = float((agreement * share).sum())
    expected = float(rows @ agreement @ columns)
    if expected >= 1.0 - 1e-12:
        raise ValueError(
            "Both raters used one category only, so agreement beyond chance is not defined. "
            "Label units on which the raters could differ."
        )
    kappa = (observed - expected) / (1.0 - expected)
    # Mean weight of a unit given the first rater's category, plus the same for the second's.
    means = (agreement @ columns)[:, np.newaxis] + (agreement.T @ rows)
    scale = math.sqrt(n) * (1.0 - expected)
    spread = float((share * (agreement - means * (1.0 - kappa)) ** 2).sum())
    error = math.sqrt(max(0.0, spread - (kappa - expected * (1.0 - kappa)) ** 2)) / scale
    independent = rows[:, np.newaxis] * columns
    null = float((independent * (agreement - means) ** 2).sum()) - expected**2
    null_error = math.sqrt(max(0.0, null)) / scale
    p_value = 2.0 * float(ndtr(-abs(kappa) / null_error)) if null_error > 0.0 else 1.0
    interval = symmetric_interval(kappa, error, normal_critical(level), level)
    return CohenKappa(kappa, observed, expected, error, interval, p_value)


def fleiss_kappa(counts: FloatArray) -> float:
    """Return Fleiss' kappa; `counts[u, c]` is how many raters put unit u into category c.

    Every unit needs the same number of raters, at least two. ValueError if one category only
    was used.
    """
    table = np.asarray(counts, dtype=np.float64)
    if table.ndim != 2 or table.size == 0:
        raise ValueError("Fleiss' kappa needs a table of units and categories.")
    raters = table.sum(axis=1)
    if raters[0] < 2.0 or (raters != raters[0]).any():
        raise ValueError(
            "Fleiss' kappa needs the same number of raters, at least two, for every unit; use "
            "Krippendorff's alpha for gaps."
        )
    m = float(raters[0])
    observed = float(((table * (table - 1.0)).sum(axis=1) / (m * (m - 1.0))).mean())
    expected = float(((table.sum(axis=0) / table.sum()) ** 2).sum())
    if expected >= 1.0 - 1e-12:
        raise ValueError("Only one category was used, so agreement beyond chance is not defined.")
    return (observed - expected) / (1.0 - expected)


def _nominal(values: FloatArray, _: FloatArray) -> FloatArray:
    distance: FloatArray = (values[:, np.newaxis] != values).astype(np.float64)
    return distance


def _ordinal(_: FloatArray, totals: FloatArray) -> FloatArray:
    """Distance by how many ratings lie between two values, each end counted half."""
    middle = np.cumsum(totals) - totals / 2.0
    distance: FloatArray = (middle[:, np.newaxis] - middle) ** 2
    return distance


def _interval_scale(values: FloatArray, _: FloatArray) -> FloatArray:
    distance: FloatArray = (values[:, np.newaxis] - values) ** 2
    return distance


def _ratio_scale(values: FloatArray, _: FloatArray) -> FloatArray:
    sums = values[:, np.newaxis] + values
    safe = np.where(sums == 0.0, 1.0, sums)
    distance: FloatArray = ((values[:, np.newaxis] - values) / safe) ** 2
    return distance


_DISTANCES: Final[dict[AlphaScale, Callable[[FloatArray, FloatArray], FloatArray]]] = {
    "nominal": _nominal,
    "ordinal": _ordinal,
    "interval": _interval_scale,
    "ratio": _ratio_scale,
}


def _value_counts(ratings: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the distinct values and, for each unit with two ratings or more, their counts."""
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError("Ratings must be a table of raters (rows) and units (columns).")
    rated = ~np.isnan(table)
    pairable = rated.sum(axis=0) >= 2
    if not pairable.any():
        raise ValueError("No unit was rated by two raters, so there is no agreement to measure.")
    table, rated = table[:, pairable], rated[:, pairable]
    values, codes = np.unique(table[rated], return_inverse=True)
    counts = np.zeros((table.shape[1], values.size))
    np.add.at(counts, (np.nonzero(rated)[1], codes), 1.0)
    return values, counts


def _alpha(counts: FloatArray, values: FloatArray, scale: AlphaScale) -> float:
    """Return alpha of counts by unit and value; NaN if all ratings are one value."""
    totals = counts.sum(axis=0)
    distance = _DISTANCES[scale](values, totals)
    n = float(totals.sum())
    expected = float(totals @ distance @ totals) / (n - 1.0)
    if expected == 0.0:
        return math.nan
    # No rating is compared with itself, but its distance to itself is zero anyway.
    by_unit = ((counts @ distance) * counts).sum(axis=1) / (counts.sum(axis=1) - 1.0)
    return 1.0 - float(by_unit.sum()) / expected


def krippendorff_alpha(ratings: FloatArray, scale: AlphaScale) -> float:
    """Return Krippendorff's alpha; `ratings` has raters in rows, units in columns, NaN for gaps.

    Units with fewer than two ratings drop out. ValueError if no unit is left or all ratings are
    the same value.
    """
    values, counts = _value_counts(ratings)
    alpha = _alpha(counts, values, scale)
    if math.isnan(alpha):
        raise ValueError("All ratings are the same value, so alpha is not defined.")
    return alpha


def krippendorff_interval(
    ratings: FloatArray,
    scale: AlphaScale,
    *,
    level: float = 0.95,
    resamples: int = 1_000,
    seed: int = DEFAULT_SEED,
) -> KrippendorffAlpha:
    """Return alpha with a percentile bootstrap interval over units.

    A resample whose ratings are all the same value has no alpha and is left out.
    """
    alpha = krippendorff_alpha(ratings, scale)
    values, counts = _value_counts(ratings)
    replicates = np.empty(resamples)
    for rows, drawn in draw_units(len(counts), resamples=resamples, seed=seed):
        replicates[rows] = [_alpha(counts[units], values, scale) for units in drawn]
    defined = replicates[~np.isnan(replicates)]
    return KrippendorffAlpha(alpha, percentile_interval(defined, level), len(counts))


def differential_error_p(
    human: tuple[FloatArray, FloatArray],
    judged: tuple[FloatArray, FloatArray],
    *,
    seed: int = DEFAULT_SEED,
) -> float:
    """Return the p of "the judge errs alike on both variants".

    Each argument is (baseline, candidate) on the same labelled examples. A judge may be wrong
    on both sides alike without harm to the difference; what biases it is error that differs.
    """
    errors = [
        as_finite_vector(score, "judged") - as_finite_vector(label, "human")
        for score, label in zip(judged, human, strict=True)
    ]
    return sign_flip_test(errors[1] - errors[0], seed=seed).p_value
