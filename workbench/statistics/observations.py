"""One run under one scorer, and how two of them are put side by side.

A cell is one repetition of one example. It has a score or it has none, with a status that
says why; a cell without a score is NaN and never 0. Repetitions are averaged within the
example first, because repetitions of one example are not new examples. Two runs meet by example
key, never by position.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Final

import numpy as np

from workbench.statistics.arrays import BoolArray, FloatArray, IntArray, encode_labels

__all__ = [
    "STATUSES",
    "Aligned",
    "ExampleScores",
    "Observations",
    "PairedExamples",
    "align",
    "all_pass_or_fail",
    "are_binary",
    "paired_examples",
    "score_bounds",
    "shared_clusters",
    "summarise_examples",
]

STATUSES: Final = ("scored", "unscored", "failed", "refused", "cancelled", "missing")
"""What can become of a cell; only `scored` has a value."""


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """One entry a cell: example key, value (NaN without a score), status and cluster.

    `binary` says that values are 0 or 1 only (None: look at the values). `lower` and `upper`
    are the worst and best that the metric can be, or best and worst when lower is better
    (None: taken from the values together with 0 and 1).
    """

    keys: Sequence[str]
    values: FloatArray
    statuses: Sequence[str]
    clusters: Sequence[str | None] | None = None
    binary: bool | None = None
    lower: float | None = None
    upper: float | None = None

    @classmethod
    def from_values(
        cls,
        keys: Sequence[str],
        values: FloatArray,
        clusters: Sequence[str | None] | None = None,
    ) -> "Observations":
        """Take values alone, of which NaN is missing: costs, latencies, human ratings."""
        statuses = ["missing" if is_nan else "scored" for is_nan in np.isnan(values)]
        return cls(keys, values, statuses, clusters)

    def __post_init__(self) -> None:
        n = len(self.keys)
        lengths = {len(self.values), len(self.statuses)}
        if self.clusters is not None:
            lengths.add(len(self.clusters))
        if lengths != {n}:
            raise ValueError("Keys, values, statuses and clusters must have one entry a cell.")
        unknown = set(self.statuses).difference(STATUSES)
        if unknown:
            raise ValueError(
                f"Unknown status {sorted(unknown)[0]!r}; use one of {', '.join(STATUSES)}."
            )
        self._check_values()

    def _check_values(self) -> None:
        if np.isinf(self.values).any():
            raise ValueError("A score must be finite; give a cell without a score as NaN.")
        has_status = np.fromiter(
            map("scored".__eq__, self.statuses), dtype=np.bool_, count=len(self.keys)
        )
        wrong = np.flatnonzero(has_status != self.is_scored)
        if wrong.size:
            first = int(wrong[0])
            raise ValueError(
                f"Example {self.keys[first]!r} has status {self.statuses[first]!r} and value "
                f"{self.values[first]!s}: exactly the scored cells have a value."
            )
        scores = self.values[self.is_scored]
        if self.binary and not are_binary(scores):
            raise ValueError("A binary metric has the values 0 and 1 only.")
        self._check_bounds(scores)

    def _check_bounds(self, scores: FloatArray) -> None:
        low = -np.inf if self.lower is None else self.lower
        high = np.inf if self.upper is None else self.upper
        if low >= high:
            raise ValueError("The lower end of the score's range must lie below the upper one.")
        if scores.size and (scores.min() < low or scores.max() > high):
            raise ValueError(f"A score lies outside the declared range {low:g} to {high:g}.")

    @property
    def is_scored(self) -> BoolArray:
        """Which cells have a score."""
        is_scored: BoolArray = ~np.isnan(self.values)
        return is_scored

    @property
    def is_binary(self) -> bool:
        """Whether every score is 0 or 1, declared or seen."""
        if self.binary is not None:
            return self.binary
        scores = self.values[self.is_scored]
        return scores.size > 0 and are_binary(scores)

    def count_statuses(self) -> dict[str, int]:
        """Number of cells by status, every status named."""
        counts = Counter(self.statuses)
        return {status: counts[status] for status in STATUSES}


def are_binary(scores: FloatArray) -> bool:
    """Tell whether every score is 0 or 1."""
    return bool(((scores == 0.0) | (scores == 1.0)).all())


def all_pass_or_fail(*runs: Observations) -> bool:
    """Tell whether the metric is pass or fail; a run without any score does not object."""
    scored = [run for run in runs if run.is_scored.any()]
    return bool(scored) and all(run.is_binary for run in scored)


def score_bounds(*runs: Observations) -> tuple[float, float]:
    """Return lowest and highest possible score: declared, or the values seen with 0 and 1."""
    lows = [run.lower for run in runs if run.lower is not None]
    highs = [run.upper for run in runs if run.upper is not None]
    seen = [run.values[run.is_scored] for run in runs]
    low = min(lows) if lows else min(0.0, *(float(v.min(initial=0.0)) for v in seen))
    high = max(highs) if highs else max(1.0, *(float(v.max(initial=1.0)) for v in seen))
    if low >= high:
        raise ValueError("The lower end of the score's range must lie below the upper one.")
    return low, high


@dataclass(frozen=True, slots=True, eq=False)
class ExampleScores:
    """Cells gathered by example; all arrays have one entry an example.

    `within` is the sum of squared deviations of an example's scores from their own mean.
    """

    n_cells: IntArray
    n_scored: IntArray
    sums: FloatArray
    within: FloatArray

    @property
    def means(self) -> FloatArray:
        """Mean over the scored repetitions; NaN where there is none."""
        with np.errstate(invalid="ignore"):
            means: FloatArray = np.where(
                self.n_scored > 0, self.sums / np.maximum(self.n_scored, 1), np.nan
            )
        return means

    @property
    def is_incomplete(self) -> BoolArray:
        """Whether an example has no cell, or a cell without a score."""
        is_incomplete: BoolArray = (self.n_cells == 0) | (self.n_scored < self.n_cells)
        return is_incomplete

    def filled_means(self, value: float) -> FloatArray:
        """Mean with `value` in place of every score that is not there."""
        cells = np.maximum(self.n_cells, 1)
        filled: FloatArray = (self.sums + value * (cells - self.n_scored)) / cells
        return filled

    def missing_share(self) -> float:
        """Share of cells without a score; an example without a cell counts as one."""
        cells = np.maximum(self.n_cells, 1)
        return float((cells - self.n_scored).sum() / cells.sum()) if cells.size else 0.0


def summarise_examples(run: Observations, index: IntArray, n_examples: int) -> ExampleScores:
    """Gather the cells of a run by example; `index` is each cell's example, 0 to n - 1."""
    n_cells = np.bincount(index, minlength=n_examples)
    scored = np.flatnonzero(run.is_scored)
    if n_cells.max(initial=0) > 1:
        # Sums of floats depend on their order, and cells come in the order in which calls ended.
        order = np.lexsort((run.values, index))
        scored = order[run.is_scored[order]]
    where, values = index[scored], run.values[scored]
    n_scored = np.bincount(where, minlength=n_examples)
    sums: FloatArray = np.bincount(where, weights=values, minlength=n_examples).astype(np.float64)
    means = sums / np.maximum(n_scored, 1)
    squares = (values - means[where]) ** 2
    within = np.bincount(where, weights=squares, minlength=n_examples).astype(np.float64)
    return ExampleScores(n_cells, n_scored, sums, within)


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """Two runs by example key: every key that either has, sorted.

    `cells` holds the example of each cell, 0 to n - 1, of the baseline and of the candidate.
    """

    keys: tuple[str, ...]
    baseline: ExampleScores
    candidate: ExampleScores
    cluster_labels: tuple[str, ...] | None
    cells: tuple[IntArray, IntArray]

    @property
    def is_paired(self) -> BoolArray:
        """Which examples have a score on both sides."""
        is_paired: BoolArray = (self.baseline.n_scored > 0) & (self.candidate.n_scored > 0)
        return is_paired


def align(baseline: Observations, candidate: Observations) -> Aligned:
    """Put two runs side by side by example key.

    The order in which cells came in leaves no trace, not even in the last digit of a sum.
    The cluster of an example must be the same wherever it is given, else ValueError; an
    example without one is a cluster of its own once any example has one.
    """
    # Without a set in between: keys come nearly sorted, which makes sorting them cheap.
    keys = tuple(sorted(dict.fromkeys((*baseline.keys, *candidate.keys))))
    numbers = dict(zip(keys, range(len(keys)), strict=True))
    cells = [
        np.fromiter(map(numbers.__getitem__, run.keys), dtype=np.intp, count=len(run.keys))
        for run in (baseline, candidate)
    ]
    sides = [
        summarise_examples(run, index, len(keys))
        for run, index in zip((baseline, candidate), cells, strict=True)
    ]
    labels = _cluster_labels(keys, baseline, candidate)
    return Aligned(keys, sides[0], sides[1], labels, (cells[0], cells[1]))


def _declared_clusters(run: Observations) -> Iterator[tuple[str, str]]:
    for key, cluster in zip(run.keys, run.clusters or (), strict=False):
        if cluster is not None:
            yield key, cluster


def _cluster_labels(keys: tuple[str, ...], *runs: Observations) -> tuple[str, ...] | None:
    declared: dict[str, str] = {}
    for run in runs:
        for key, cluster in _declared_clusters(run):
            if declared.setdefault(key, cluster) != cluster:
                raise ValueError(
                    f"Example {key!r} is in cluster {declared[key]!r} and in {cluster!r}; an "
                    "example has one cluster."
                )
    if not declared:
        return None
    # The prefixes keep a lone example's key from meeting a cluster of the same name.
    return tuple(f"c:{declared[key]}" if key in declared else f"e:{key}" for key in keys)


@dataclass(frozen=True, slots=True, eq=False)
class PairedExamples:
    """The examples that have a score on both sides, with their means over repetitions."""

    keys: tuple[str, ...]
    baseline: FloatArray
    candidate: FloatArray
    clusters: IntArray | None
    """Cluster codes 0 to C - 1, or None when no two of these examples share one."""


def shared_clusters(aligned: Aligned, positions: IntArray) -> IntArray | None:
    """Return the cluster codes, 0 to C - 1, of the examples at `positions`.

    None when no clusters are declared or no two of these examples share one: clusters of one
    are no clusters.
    """
    if aligned.cluster_labels is None:
        return None
    codes = encode_labels([aligned.cluster_labels[i] for i in positions])
    return codes if codes.size and int(codes.max()) + 1 < codes.size else None


def paired_examples(aligned: Aligned) -> PairedExamples:
    """Return the examples of `aligned` that can be compared."""
    chosen = aligned.is_paired
    positions = np.flatnonzero(chosen)
    return PairedExamples(
        keys=aligned.keys if chosen.all() else tuple(compress(aligned.keys, chosen.tolist())),
        baseline=aligned.baseline.means[chosen],
        candidate=aligned.candidate.means[chosen],
        clusters=shared_clusters(aligned, positions),
    )
