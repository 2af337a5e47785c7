"""How much two collections have in common: precision, recall, F1, Jaccard index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Literal, TypeAlias

__all__ = ["Metric", "common_items", "overlap_value"]

Metric: TypeAlias = Literal["f1", "precision", "recall", "jaccard"]
"""precision = common / found, recall = common / expected, f1 = their harmonic mean
2 common / (found + expected), jaccard = common / (found + expected - common)."""


def common_items(found: Iterable[Hashable], expected: Iterable[Hashable]) -> int:
    """Return how many items both have, each counted as often as both have it."""
    return (Counter(found) & Counter(expected)).total()


def overlap_value(metric: Metric, common: int, found: int, expected: int) -> float:
    """Return the metric, 0 to 1; two empty collections are equal, hence 1."""
    if found == expected == 0:
        return 1.0
    below = {
        "f1": (found + expected) / 2,
        "precision": found,
        "recall": expected,
        "jaccard": found + expected - common,
    }[metric]
    return common / below if below else 0.0
