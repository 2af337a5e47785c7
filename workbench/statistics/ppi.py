"""A few human labels and many judge scores: prediction-powered inference.

The judge's mean is corrected by what the labelled examples say about its error, so the result
is right however bad the judge is; a good judge only makes it sharper. Plain PPI trusts the
judge fully (Angelopoulos et al. 2023, Science 382:669); PPI++ weights it by how much it helps
(Angelopoulos, Duchi & Zrnic 2023, arXiv 2311.01453):

    estimate = weight * mean(judge, unlabelled) + mean(human - weight * judge, labelled)
    variance = weight^2 Var(judge) / N + Var(human - weight * judge) / n

The labelled examples must be a random sample of all examples. For two variants hand in the
differences, candidate minus baseline, of the human and of the judge scores.
Variances divide by the number of values, as in the authors' reference package.
"""

import math
from dataclasses import dataclass

import numpy as np

from workbench.statistics.arrays import FloatArray, as_finite_vector
from workbench.statistics.interval import Interval, normal_critical, symmetric_interval

__all__ = ["CorrectedMean", "classical_mean", "ppi_difference", "ppi_mean", "tuned_weight"]


@dataclass(frozen=True, slots=True)
class CorrectedMean:
    """A mean of the human score with its normal interval; `weight` is the judge's, 0 to 1."""

    estimate: float
    standard_error: float
    interval: Interval
    weight: float
    n_labelled: int
    n_unlabelled: int


def _corrected(
    human: FloatArray,
    judged: FloatArray,
    unlabelled: FloatArray,
    weight: float,
    level: float,
) -> CorrectedMean:
    rectifier = human - weight * judged
    variance = float(rectifier.var()) / human.size
    estimate = float(rectifier.mean())
    if unlabelled.size:
        estimate += weight * float(unlabelled.mean())
        variance += weight**2 * float(unlabelled.var()) / unlabelled.size
    error = math.sqrt(variance)
    interval = symmetric_interval(estimate, error, normal_critical(level), level)
    return CorrectedMean(estimate, error, interval, weight, human.size, unlabelled.size)


def classical_mean(human: FloatArray, level: float = 0.95) -> CorrectedMean:
    """Return the mean of the human labels alone: what to beat."""
    labels = as_finite_vector(human, "human")
    if labels.size < 2:
        raise ValueError("At least two human labels are needed.")
    return _corrected(labels, np.zeros_like(labels), np.empty(0), 0.0, level)


def tuned_weight(human: FloatArray, judged: FloatArray, unlabelled: FloatArray) -> float:
    """Return the weight of the judge that makes the interval shortest, between 0 and 1."""
    variance = float(np.concatenate((judged, unlabelled)).var())
    if variance == 0.0:
        return 0.0
    covariance = float(np.mean((human - human.mean()) * (judged - judged.mean())))
    weight = covariance / ((1.0 + human.size / unlabelled.size) * variance)
    return min(1.0, max(0.0, weight))


def ppi_mean(
    human: FloatArray,
    judged: FloatArray,
    unlabelled: FloatArray,
    level: float = 0.95,
    *,
    weight: float | None = None,
) -> CorrectedMean:
    """Return the corrected mean.

    `human` and `judged` are the labelled examples in one order, `unlabelled` the judge's scores
    of the others. `weight` None is PPI++; 1 is plain PPI; 0 the human labels alone.
    """
    labels = as_finite_vector(human, "human")
    scores = as_finite_vector(judged, "judged")
    rest = as_finite_vector(unlabelled, "unlabelled")
    if labels.shape != scores.shape:
        raise ValueError("Human labels and judge scores must be of the same examples.")
    if labels.size < 2 or rest.size == 0:
        raise ValueError("At least two labelled and one unlabelled example are needed.")
    chosen = tuned_weight(labels, scores, rest) if weight is None else weight
    return _corrected(labels, scores, rest, chosen, level)


def ppi_difference(
    human: tuple[FloatArray, FloatArray],
    judged: tuple[FloatArray, FloatArray],
    unlabelled: tuple[FloatArray, FloatArray],
    level: float = 0.95,
) -> CorrectedMean:
    """Return the corrected difference; each argument is (baseline, candidate) of the same examples.

    This is the interval that decides when a judge's score is the primary metric and human labels
    are there.
    """
    differences = []
    for name, (before, after) in (
        ("human", human),
        ("judged", judged),
        ("unlabelled", unlabelled),
    ):
        sides = as_finite_vector(before, name), as_finite_vector(after, name)
        if sides[0].shape != sides[1].shape:
            raise ValueError(f"Both sides of {name} must be of the same examples.")
        differences.append(sides[1] - sides[0])
    return ppi_mean(differences[0], differences[1], differences[2], level)
