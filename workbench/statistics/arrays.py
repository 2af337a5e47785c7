"""Array types and the few array operations that several statistics modules share.

Invariants: arrays handed to a statistics function are one-dimensional and finite unless its
docstring says that NaN marks a missing value; no function changes an array it was given.
"""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BoolArray",
    "FloatArray",
    "IntArray",
    "as_finite_vector",
    "encode_labels",
    "skewness",
]

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


def as_finite_vector(values: Sequence[float] | FloatArray, name: str) -> FloatArray:
    """Return `values` as a one-dimensional float array; refuse NaN and infinity by `name`."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, not of shape {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError(
            f"{name} holds NaN or infinity; leave out the examples without a score first."
        )
    return array


def encode_labels(labels: Sequence[Hashable]) -> IntArray:
    """Number equal labels alike, 0, 1, 2 and so on in order of first appearance."""
    codes = {label: code for code, label in enumerate(dict.fromkeys(labels))}
    return np.fromiter(map(codes.__getitem__, labels), dtype=np.intp, count=len(labels))


def skewness(values: FloatArray) -> float:
    """Return the moment skewness g1 = m3 / m2^(3/2); infinite when all values are equal.

    Equal values carry no information about the shape behind them, so they count as the
    worst case and not as symmetric.
    """
    if values.size == 0:
        raise ValueError("Skewness needs at least one value.")
    deviations = values - values.mean()
    scale = float(np.abs(deviations).max())
    # Rounding leaves deviations of this order when every value is the same number.
    if scale <= 1e-12 * max(1.0, float(np.abs(values).max())):
        return float("inf")
    standardised = deviations / scale
    second = float(np.mean(standardised**2))
    third = float(np.mean(standardised**3))
    return float(third / second**1.5)
