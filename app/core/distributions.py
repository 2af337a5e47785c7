"""Distributions of durations in little space, with percentiles and how sure they are (pure).

A duration falls into bucket i if it lies in (g^(i-1), g^i] milliseconds, with g = (1+a)/(1-a); the
bucket stands for 2 g^i/(g+1), which is at most the share a = 2 % from anything in it (Masson, Rim
and Lee, "DDSketch", PVLDB 12, 2019). Buckets of different hours add up without further error.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Final, NamedTuple

__all__ = ["RELATIVE_ERROR", "Distribution", "Estimate", "bucket_of", "mean_estimate", "wilson"]

RELATIVE_ERROR: Final = 0.02
_GAMMA: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA: Final = math.log(_GAMMA)
_SHORTEST_MS: Final = 0.001
_Z: Final = 1.959963984540054  # of 95 %, two-sided
_LEVEL_TAIL: Final = 0.025
_EXACT_RANKS_UP_TO: Final = 200  # calls, up to which binomial probabilities are summed
_FEWEST_FOR_MEAN: Final = 10


class Estimate(NamedTuple):
    """A value with its 95 % interval; an end that the data cannot bound is None."""

    value: float
    low: float | None
    high: float | None


def bucket_of(duration_ms: float) -> int:
    """Return the bucket of a duration; what is below a microsecond counts as one."""
    return math.ceil(math.log(max(duration_ms, _SHORTEST_MS)) / _LOG_GAMMA)


@dataclass(frozen=True)
class Distribution:
    """How often each value was met: durations in milliseconds, exact or each for its bucket."""

    counts: Mapping[float, int]

    @classmethod
    def of_buckets(cls, buckets: Mapping[int, int]) -> Distribution:
        """Return the distribution that a histogram stands for."""
        return cls({2 * _GAMMA**i / (_GAMMA + 1): count for i, count in buckets.items()})

    @classmethod
    def of_values(cls, values: Iterable[float]) -> Distribution:
        """Return the exact distribution of values."""
        counts: dict[float, int] = {}
        for value in values:
            counts[value] = counts.get(value, 0) + 1
        return cls(counts)

    @property
    def n(self) -> int:
        return sum(self.counts.values())

    def percentiles(self, shares: Sequence[float]) -> list[Estimate]:
        """Return percentiles by nearest rank, each with its distribution-free 95 % interval: two
        order statistics (David and Nagaraja, "Order Statistics", 3rd ed., 7.1). The calls are taken
        to be independent; at least one is needed."""
        values = sorted(self.counts)
        upto = list(accumulate(map(self.counts.__getitem__, values)))

        def at(rank: int) -> float:
            return values[bisect_left(upto, rank)]

        n, found = upto[-1], []
        for share in shares:
            low, high = _ranks(n, share)
            found.append(
                Estimate(
                    at(max(1, math.ceil(share * n))),
                    at(low) if low >= 1 else None,
                    at(high) if high <= n else None,
                )
            )
        return found


def wilson(count: int, n: int) -> Estimate:
    """Return a share with Wilson's score interval (Wilson, JASA 22, 1927); `n` is at least 1."""
    share = count / n
    centre = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half))


def mean_estimate(n: int, total: float, squares: float, *, is_share: bool) -> Estimate:
    """Return the mean of `n` values, given their sum and that of their squares.

    Zeros and ones are a share, with Wilson's interval; otherwise the interval is the normal one, of
    ten values or more.
    """
    if is_share:
        return wilson(round(total), n)
    mean = total / n
    if n < _FEWEST_FOR_MEAN:
        return Estimate(mean, None, None)
    variance = max(0.0, (squares - n * mean**2) / (n - 1))
    half = _Z * math.sqrt(variance / n)
    return Estimate(mean, mean - half, mean + half)


@lru_cache(maxsize=3 * _EXACT_RANKS_UP_TO)
def _ranks(n: int, share: float) -> tuple[int, int]:
    """Return the ranks, from 1, of the values that enclose a quantile; 0 and n + 1 are none.

    The number of values below the quantile is binomial: summed up for few, normal for many.
    """
    if n > _EXACT_RANKS_UP_TO:
        half = _Z * math.sqrt(n * share * (1 - share))
        return math.floor(n * share - half), math.ceil(n * share + half) + 1
    below = list(
        accumulate(math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1))
    )
    low = sum(1 for chance in below if chance <= _LEVEL_TAIL)
    high = sum(1 for chance in below if chance < 1 - _LEVEL_TAIL) + 1
    return low, high
