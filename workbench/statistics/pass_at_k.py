"""pass@k and pass^k: what k samples of one example would do, from n samples of which c passed.

pass@k is the chance that at least one of k samples passes (Chen et al. 2021, arXiv 2107.03374,
equation 1), pass^k that all do (Yao et al. 2024, arXiv 2406.12045). Both are unbiased, unlike
1 - (1 - c/n)^k. They are scores of an example: their mean enters the ordinary analysis.
"""

from collections.abc import Sequence
from math import comb

import numpy as np

from workbench.statistics.arrays import FloatArray

__all__ = ["pass_at_k", "pass_at_k_scores", "pass_hat_k", "pass_hat_k_scores"]


def _check(n: int, c: int, k: int) -> None:
    if not 1 <= k <= n:
        raise ValueError(f"k must lie between 1 and the number of samples, {n}, not {k}.")
    if not 0 <= c <= n:
        raise ValueError(f"The number that passed must lie between 0 and {n}, not {c}.")


def pass_at_k(n: int, c: int, k: int) -> float:
    """Return the chance that at least one of `k` samples passes, given `c` of `n` did."""
    _check(n, c, k)
    return 1.0 - comb(n - c, k) / comb(n, k)


def pass_hat_k(n: int, c: int, k: int) -> float:
    """Return the chance that all of `k` samples pass, given `c` of `n` did."""
    _check(n, c, k)
    return comb(c, k) / comb(n, k)


def pass_at_k_scores(counts: Sequence[tuple[int, int]], k: int) -> FloatArray:
    """Return pass@k for each example's (samples, passed)."""
    return np.array([pass_at_k(n, c, k) for n, c in counts])


def pass_hat_k_scores(counts: Sequence[tuple[int, int]], k: int) -> FloatArray:
    """Return pass^k for each example's (samples, passed)."""
    return np.array([pass_hat_k(n, c, k) for n, c in counts])
