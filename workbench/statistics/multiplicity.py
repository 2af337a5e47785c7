"""More than one question asked of the same data: p-values and levels that account for it.

Several candidates against one baseline: Holm's adjusted p-values (Holm 1979) and intervals at
level 1 - alpha / m, so that verdicts of different candidates can be read side by side. Many
metrics or slices: Benjamini and Hochberg's q-values (1995), and the word "exploratory".
Results come in the order of the input.
"""

from collections.abc import Sequence

import numpy as np

from workbench.statistics.arrays import FloatArray, as_finite_vector

__all__ = ["benjamini_hochberg", "bonferroni", "holm", "simultaneous_level"]


def _as_p_values(p_values: Sequence[float] | FloatArray) -> FloatArray:
    values = as_finite_vector(p_values, "p_values")
    if ((values < 0.0) | (values > 1.0)).any():
        raise ValueError("A p-value lies between 0 and 1.")
    return values


def bonferroni(p_values: Sequence[float] | FloatArray) -> FloatArray:
    """Return each p times their number, at most 1."""
    values = _as_p_values(p_values)
    return np.minimum(1.0, values * values.size)


def holm(p_values: Sequence[float] | FloatArray) -> FloatArray:
    """Return Holm's step-down adjusted p-values: reject what is at or below alpha."""
    values = _as_p_values(p_values)
    order = np.argsort(values, kind="stable")
    factors = np.arange(values.size, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * factors))
    return adjusted


def benjamini_hochberg(p_values: Sequence[float] | FloatArray) -> FloatArray:
    """Return q-values: the false discovery rate at which each would just be reported."""
    values = _as_p_values(p_values)
    order = np.argsort(values, kind="stable")[::-1]
    factors = values.size / np.arange(values.size, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(values[order] * factors))
    return adjusted


def simultaneous_level(level: float, comparisons: int) -> float:
    """Return the level of each of `comparisons` intervals that hold together at `level`."""
    if comparisons < 1:
        raise ValueError("The number of comparisons must be at least 1.")
    return 1.0 - (1.0 - level) / comparisons
