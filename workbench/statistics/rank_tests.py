"""Tests by ranks and over several variants at once: second opinions, never the verdict.

Wilcoxon's signed-rank test looks at two variants. Cochran's Q (pass or fail) and Friedman's
test (graded) ask whether N variants differ at all on the same examples; they give no effect and
no interval, so that they only say whether a closer look is worth it.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import chdtrc, ndtr

from workbench.statistics.arrays import FloatArray, as_finite_vector
from workbench.statistics.permutation import Alternative

__all__ = ["OmnibusTest", "SignedRankTest", "cochran_q", "friedman", "wilcoxon_signed_rank"]

_EXACT_RANKS: Final = 200
"""Changed units up to which the distribution of the rank sum is computed exactly."""


@dataclass(frozen=True, slots=True)
class SignedRankTest:
    """Rank sums of the positive and negative differences and the p-value."""

    rank_sum_positive: float
    rank_sum_negative: float
    p_value: float
    exact: bool

    @property
    def statistic(self) -> float:
        """The smaller rank sum, which tables and other programs report."""
        return min(self.rank_sum_positive, self.rank_sum_negative)


@dataclass(frozen=True, slots=True)
class OmnibusTest:
    """Chi-squared statistic, degrees of freedom and p-value of "no variant differs"."""

    name: str
    statistic: float
    df: int
    p_value: float


def _mid_ranks(values: FloatArray) -> FloatArray:
    """Rank 1 to n; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: FloatArray = (last - (counts - 1) / 2.0)[inverse]
    return ranks


def wilcoxon_signed_rank(
    differences: FloatArray, alternative: Alternative = "two-sided"
) -> SignedRankTest:
    """Return Wilcoxon's test of `differences`; zero differences drop out, as usual.

    Exact up to 200 changed units, also with ties: given the ranks, every sign pattern is
    equally likely. Beyond that the normal approximation.
    """
    values = as_finite_vector(differences, "differences")
    values = values[values != 0.0]
    if values.size == 0:
        return SignedRankTest(0.0, 0.0, 1.0, exact=True)
    ranks = _mid_ranks(np.abs(values))
    positive = float(ranks[values > 0.0].sum())
    negative = float(ranks.sum()) - positive
    exact = values.size <= _EXACT_RANKS
    at_most = _exact_tail if exact else _normal_tail
    tails = at_most(ranks, positive), at_most(ranks, negative)
    if alternative == "two-sided":
        p_value = min(1.0, 2.0 * min(tails))
    else:
        p_value = tails[1] if alternative == "greater" else tails[0]
    return SignedRankTest(positive, negative, p_value, exact)


def _exact_tail(ranks: FloatArray, rank_sum: float) -> float:
    """Probability of a rank sum at most `rank_sum`; doubled, mid-ranks are whole numbers."""
    doubled = np.rint(2.0 * ranks).astype(np.intp)
    probabilities = np.zeros(int(doubled.sum()) + 1)
    probabilities[0] = 1.0
    for rank in doubled:
        probabilities[rank:] = (probabilities[rank:] + probabilities[:-rank]) / 2.0
        probabilities[:rank] /= 2.0
    return float(probabilities[: round(2.0 * rank_sum) + 1].sum())


def _normal_tail(ranks: FloatArray, rank_sum: float) -> float:
    mean = float(ranks.sum()) / 2.0
    deviation = math.sqrt(float(ranks @ ranks)) / 2.0
    return float(ndtr((rank_sum - mean) / deviation))


def _as_table(scores: FloatArray) -> FloatArray:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] < 2:
        raise ValueError("Give a table of at least two examples (rows) and two variants.")
    if not np.isfinite(table).all():
        raise ValueError("Leave out the examples that lack a score under any variant.")
    return table


def _row_ranks(table: FloatArray) -> FloatArray:
    """Rank each row by itself: one, plus the number of smaller values, plus half the ties."""
    one, other = table[:, :, np.newaxis], table[:, np.newaxis, :]
    ranks: FloatArray = (one > other).sum(axis=2) + ((one == other).sum(axis=2) + 1) / 2.0
    return ranks


def cochran_q(scores: FloatArray) -> OmnibusTest:
    """Return Cochran's Q (1950) of 0/1 `scores`, examples in rows and variants in columns."""
    table = _as_table(scores)
    if not ((table == 0.0) | (table == 1.0)).all():
        raise ValueError("Cochran's Q takes the scores 0 and 1; use Friedman's test otherwise.")
    k = table.shape[1]
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    spread = k * float(rows.sum()) - float(rows @ rows)
    if spread == 0.0:
        return OmnibusTest("cochran_q", 0.0, k - 1, 1.0)
    between = k * float(columns @ columns) - float(columns.sum()) ** 2
    statistic = (k - 1) * between / spread
    return OmnibusTest("cochran_q", statistic, k - 1, float(chdtrc(k - 1, statistic)))


def friedman(scores: FloatArray) -> OmnibusTest:
    """Return Friedman's test (1937) with correction for ties, examples in rows."""
    table = _as_table(scores)
    k = table.shape[1]
    ranks = _row_ranks(table)
    centred = ranks - (k + 1) / 2.0
    spread = float((centred**2).sum())
    if spread == 0.0:
        return OmnibusTest("friedman", 0.0, k - 1, 1.0)
    sums = centred.sum(axis=0)
    statistic = (k - 1) * float(sums @ sums) / spread
    return OmnibusTest("friedman", statistic, k - 1, float(chdtrc(k - 1, statistic)))
