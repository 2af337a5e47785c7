"""How much of a difference's variance lies between examples and how much within them.

Repetitions of an example shrink only the part within; more examples shrink both. The split is
by the method of moments (Miller 2024, arXiv 2411.00640, sections 3 and 4): the variance within
is the mean sample variance of an example's repetitions, and what remains of the variance of the
example differences lies between examples.
"""

import math
from dataclasses import dataclass

import numpy as np

from workbench.statistics.arrays import FloatArray
from workbench.statistics.observations import ExampleScores
from workbench.statistics.sample_size import Variance

__all__ = ["VarianceSplit", "split_variance"]


@dataclass(frozen=True, slots=True)
class VarianceSplit:
    """Variance of an example's difference by where it comes from.

    `between_raw` may be negative by chance; planning uses `between`, which is cut at zero.
    `repetitions_*` is the harmonic mean of the scored repetitions of an example.
    """

    total: float
    within_baseline: float
    within_candidate: float
    between_raw: float
    repetitions_baseline: float
    repetitions_candidate: float

    @property
    def between(self) -> float:
        """Variance between examples, at least zero."""
        return max(0.0, self.between_raw)

    @property
    def for_planning(self) -> Variance:
        """The split as sample-size formulas take it."""
        return Variance(self.between, self.within_baseline, self.within_candidate)

    @property
    def largest_gain(self) -> float:
        """Share by which endless repetitions could shrink the interval, between 0 and 1."""
        if self.total <= 0.0:
            return 0.0
        return 1.0 - math.sqrt(min(1.0, self.between / self.total))


def _within(n_scored: FloatArray, within: FloatArray) -> float | None:
    """Mean sample variance over the examples with at least two scores; None without any."""
    repeated = n_scored >= 2
    if not repeated.any():
        return None
    return float(np.mean(within[repeated] / (n_scored[repeated] - 1)))


def split_variance(baseline: ExampleScores, candidate: ExampleScores) -> VarianceSplit | None:
    """Split the variance of the paired differences of two aligned runs.

    None if fewer than two examples are scored on both sides, or a side never has two scored
    repetitions of an example: then nothing can be known about the part within.
    """
    paired = (baseline.n_scored > 0) & (candidate.n_scored > 0)
    if np.count_nonzero(paired) < 2:
        return None
    counts = [side.n_scored[paired].astype(np.float64) for side in (baseline, candidate)]
    within = [
        _within(n, side.within[paired])
        for n, side in zip(counts, (baseline, candidate), strict=True)
    ]
    if within[0] is None or within[1] is None:
        return None
    differences = (candidate.means - baseline.means)[paired]
    total = float(differences.var(ddof=1))
    inverse = [float(np.mean(1.0 / n)) for n in counts]
    return VarianceSplit(
        total=total,
        within_baseline=within[0],
        within_candidate=within[1],
        between_raw=total - within[0] * inverse[0] - within[1] * inverse[1],
        repetitions_baseline=1.0 / inverse[0],
        repetitions_candidate=1.0 / inverse[1],
    )
