"""The cells of a comparison's sides, as arrays; and which examples of two versions meet. Pure.

Examples meet by key, and only if they say the same: of two versions of a dataset those are
compared that have the same key and the same content. What is left out is counted, never dropped
in silence.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from app.schemas.scores import CellColumns, ScorerView
from workbench.scorers import AnyScorer
from workbench.statistics.arrays import FloatArray
from workbench.statistics.observations import STATUSES, Observations

__all__ = [
    "Coverage",
    "SideCells",
    "content_coverage",
    "input_hash",
    "side_cells",
]


@dataclass(frozen=True, slots=True, eq=False)
class SideCells:
    """One side of a comparison. Costs (US dollars) and latencies (milliseconds) are NaN where
    they are not known; `repetitions` counts from 0. `n_stored` is the number of cells of the whole
    run, also of those whose examples are not compared."""

    observations: Observations
    repetitions: Sequence[int]
    costs: FloatArray
    latencies_ms: FloatArray
    statuses: Mapping[str, int]
    n_reopened: int
    n_reused: int
    n_stored: int

    @property
    def n_cells(self) -> int:
        return len(self.repetitions)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which examples two runs have in common. `changed` have the same key on both sides and
    say something else; `only_*` are in use on one side alone."""

    baseline_examples: int
    candidate_examples: int
    common: int
    only_baseline: int
    only_candidate: int
    changed: int
    baseline_dataset: str
    candidate_dataset: str


def side_cells(
    columns: CellColumns, rule: AnyScorer[Any], kept: Collection[str] | None = None
) -> SideCells:
    """Return a run's cells; with `kept` only those of the examples with these keys."""
    n_stored = len(columns.keys)
    if kept is not None:
        columns = _only(columns, [i for i, key in enumerate(columns.keys) if key in kept])
    low, high = rule.range
    known = {status: status if status in STATUSES else "failed" for status in set(columns.statuses)}
    statuses = list(map(known.__getitem__, columns.statuses))
    clusters = columns.clusters if any(columns.clusters) else None
    return SideCells(
        observations=Observations(
            keys=columns.keys,
            values=np.array(columns.values, dtype=np.float64),
            statuses=statuses,
            clusters=clusters,
            binary=rule.binary,
            lower=low,
            upper=high,
        ),
        repetitions=columns.repetitions,
        costs=np.array(columns.costs, dtype=np.float64),
        latencies_ms=np.array(columns.latencies_ms, dtype=np.float64),
        statuses=Counter(statuses),
        n_reopened=sum(columns.reopened),
        n_reused=sum(columns.reused),
        n_stored=n_stored,
    )


def _only(columns: CellColumns, positions: Sequence[int]) -> CellColumns:
    return CellColumns(
        keys=[columns.keys[i] for i in positions],
        repetitions=[columns.repetitions[i] for i in positions],
        statuses=[columns.statuses[i] for i in positions],
        values=[columns.values[i] for i in positions],
        clusters=[columns.clusters[i] for i in positions],
        costs=[columns.costs[i] for i in positions],
        latencies_ms=[columns.latencies_ms[i] for i in positions],
        reopened=[columns.reopened[i] for i in positions],
        reused=[columns.reused[i] for i in positions],
    )


def content_coverage(
    hashes: tuple[Mapping[str, str], Mapping[str, str]], datasets: tuple[str, str]
) -> tuple[Coverage, frozenset[str]]:
    """Hold the examples of two sides against each other; return also the keys that are alike.

    `hashes` has the content hash of each example in use, by key.
    """
    before, after = hashes
    alike = frozenset(key for key, content in before.items() if after.get(key) == content)
    shared = len(before.keys() & after.keys())
    coverage = Coverage(
        baseline_examples=len(before),
        candidate_examples=len(after),
        common=len(alike),
        only_baseline=len(before) - shared,
        only_candidate=len(after) - shared,
        changed=shared - len(alike),
        baseline_dataset=datasets[0],
        candidate_dataset=datasets[1],
    )
    return coverage, alike


def input_hash(scorer: ScorerView, cells: tuple[SideCells, SideCells]) -> str:
    """Return the hash over every score that went into the analysis.

    Over columns, numbers as little-endian bytes, and without the canonical form of
    `content_hash`, which takes seconds for very many cells: the order of cells is fixed, so the
    bytes are.
    """
    digest = hashlib.sha256(scorer.content_hash.encode())
    for side in cells:
        run = side.observations
        for texts in (run.keys, run.statuses):
            digest.update(orjson.dumps(list(texts)))
        digest.update(np.array(side.repetitions, dtype="<i4").tobytes())
        values = np.where(run.is_scored, run.values, np.nan)  # one NaN: it has many bit patterns
        digest.update(values.astype("<f8").tobytes())
    return f"sha256:{digest.hexdigest()}"
