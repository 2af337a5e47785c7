"""The sign-flip test: is the sum of symmetric differences further from zero than chance allows?

If the two variants are exchangeable on every unit, each difference could as well have had the
other sign. The p-value is the share of sign assignments whose sum is at least as extreme
(Fisher 1935). Units that did not change cannot flip and drop out without changing the result.
Up to `EXACT_LIMIT` changed units all assignments are enumerated; beyond that they are drawn
from a seeded generator and p = (1 + hits) / (1 + draws), which is never zero and keeps the
level (Phipson & Smyth 2010). The same test serves clusters: their sums are the units then.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from workbench.statistics.arrays import FloatArray, as_finite_vector

__all__ = ["EXACT_LIMIT", "Alternative", "SignFlipTest", "sign_flip_test"]

Alternative = Literal["two-sided", "greater", "less"]

EXACT_LIMIT: Final = 20
"""Changed units up to which all 2^m sign assignments (a million at most) are enumerated."""

_SIGNS_PER_BYTE = 8
_GROUPS_AT_ONCE = 1_024
_TIE_TOLERANCE = 1e-10
"""Sums closer than this share of the total of absolute values are the same sum but rounding."""


@dataclass(frozen=True, slots=True)
class SignFlipTest:
    """Result: p-value, `exact` or drawn, and the number of sign assignments looked at."""

    p_value: float
    exact: bool
    assignments: int


def sign_flip_test(
    differences: FloatArray,
    *,
    seed: int,
    alternative: Alternative = "two-sided",
    resamples: int = 9_999,
) -> SignFlipTest:
    """Test whether `differences` are symmetric about zero.

    `seed` matters only beyond `EXACT_LIMIT` non-zero differences. "greater" asks whether the
    sum is larger than chance allows. Without a non-zero difference p is 1.
    """
    values = as_finite_vector(differences, "differences")
    changed = values[values != 0.0]
    observed = float(changed.sum())
    tolerance = _TIE_TOLERANCE * float(np.abs(changed).sum())
    if changed.size <= EXACT_LIMIT:
        sums = _all_signed_sums(changed)
        hits = _count_extreme(sums, observed, tolerance, alternative)
        return SignFlipTest(hits / sums.size, exact=True, assignments=sums.size)
    sums = _drawn_signed_sums(changed, resamples, np.random.default_rng(seed))
    hits = _count_extreme(sums, observed, tolerance, alternative)
    return SignFlipTest((1 + hits) / (1 + resamples), exact=False, assignments=resamples)


def _count_extreme(
    sums: FloatArray, observed: float, tolerance: float, alternative: Alternative
) -> int:
    if alternative == "two-sided":
        return int(np.count_nonzero(np.abs(sums) >= abs(observed) - tolerance))
    if alternative == "greater":
        return int(np.count_nonzero(sums >= observed - tolerance))
    return int(np.count_nonzero(sums <= observed + tolerance))


def _all_signed_sums(values: FloatArray) -> FloatArray:
    """Return the sums under all 2^m sign assignments."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate((sums - value, sums + value))
    return sums


def _drawn_signed_sums(values: FloatArray, resamples: int, rng: np.random.Generator) -> FloatArray:
    """Return the sums under `resamples` random sign assignments.

    One random byte stands for the signs of eight units: the 256 possible sums of a group are
    tabulated once, so that 100,000 units and 9,999 draws take a fraction of a second.
    """
    padded = np.zeros(-(-values.size // _SIGNS_PER_BYTE) * _SIGNS_PER_BYTE)
    padded[: values.size] = values
    groups = padded.reshape(-1, _SIGNS_PER_BYTE)
    codes = np.arange(256, dtype=np.uint8)[:, np.newaxis]
    signs = 2.0 * np.unpackbits(codes, axis=1).astype(np.float64) - 1.0
    words = -(-resamples // 8)
    sums = np.zeros(resamples)
    for start in range(0, len(groups), _GROUPS_AT_ONCE):
        tables = groups[start : start + _GROUPS_AT_ONCE] @ signs.T
        drawn = rng.integers(2**64, size=(len(tables), words), dtype=np.uint64).view(np.uint8)
        for table, bytes_drawn in zip(tables, drawn[:, :resamples], strict=True):
            # A byte is always a valid position; "wrap" spares the check.
            sums += table.take(bytes_drawn, mode="wrap")
    return sums
