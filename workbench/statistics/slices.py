"""The same differences, slice by slice of the examples. Exploratory: no gate stands on it.

A slice is the examples that share a value of a column. Every slice of every column is one look,
so the q-values (Benjamini & Hochberg 1995) are over all of them together. A slice below the
number of pairs or clusters that a verdict needs is not looked at: its interval would invite
conclusions that it cannot bear.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.statistics.arrays import IntArray, encode_labels
from workbench.statistics.effect import (
    Differences,
    Effect,
    EffectTest,
    effect_test,
    estimate_effect,
)
from workbench.statistics.multiplicity import benjamini_hochberg
from workbench.statistics.policy import DEFAULT_POLICY, DEFAULT_SEED, Policy
from workbench.statistics.verdict import enough_data

__all__ = ["SliceEffect", "SmallSlice", "slice_effects"]


@dataclass(frozen=True, slots=True)
class SliceEffect:
    """The difference within one slice; `q_value` is adjusted for all slices that were looked at."""

    column: str
    value: str
    effect: Effect
    test: EffectTest
    q_value: float


@dataclass(frozen=True, slots=True)
class SmallSlice:
    """A slice with too few pairs or clusters to be looked at."""

    column: str
    value: str
    n_pairs: int
    n_clusters: int | None


def slice_effects(
    differences: Differences,
    labels: Mapping[str, Sequence[str | None]],
    *,
    level: float = 0.95,
    seed: int = DEFAULT_SEED,
    policy: Policy = DEFAULT_POLICY,
) -> tuple[tuple[SliceEffect, ...], tuple[SmallSlice, ...]]:
    """Estimate the difference in each slice; return also the slices that are too small.

    `labels` holds for each column one value a difference, None where the example has none.
    Slices come by column as given, then by value.
    """
    found: list[tuple[str, str, Effect, EffectTest]] = []
    small: list[SmallSlice] = []
    for column, values in labels.items():
        for value, positions in _positions(values).items():
            part = _part(differences, positions)
            n_clusters = None if part.clusters is None else int(part.clusters.max()) + 1
            if not enough_data(positions.size, n_clusters, policy):
                small.append(SmallSlice(column, value, positions.size, n_clusters))
                continue
            effect = estimate_effect(part, level, policy)
            found.append((column, value, effect, effect_test(part, seed=seed)))
    q_values = benjamini_hochberg([test.p_value for *_, test in found]).tolist()
    effects = tuple(SliceEffect(*each, q) for each, q in zip(found, q_values, strict=True))
    return effects, tuple(small)


def _positions(values: Sequence[str | None]) -> dict[str, IntArray]:
    """Return where each value stands, by value."""
    codes = encode_labels(values)
    names = list(dict.fromkeys(values))
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(names)))
    parts = np.split(order, ends[:-1]) if names else []
    found = {name: part for name, part in zip(names, parts, strict=True) if name is not None}
    return dict(sorted(found.items()))


def _part(differences: Differences, positions: IntArray) -> Differences:
    """Keep some examples. Clusters that no two of them share are no clusters."""
    clusters = differences.clusters
    if clusters is not None:
        clusters = np.unique(clusters[positions], return_inverse=True)[1].astype(np.intp)
        if clusters.size == 0 or int(clusters.max()) + 1 == clusters.size:
            clusters = None
    return Differences(
        values=differences.values[positions],
        binary=differences.binary,
        score_range=differences.score_range,
        clusters=clusters,
    )
