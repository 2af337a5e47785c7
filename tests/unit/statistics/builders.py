"""Small runs for the tests of the statistics package."""

from collections.abc import Sequence

import numpy as np

from workbench.statistics.arrays import FloatArray
from workbench.statistics.observations import Observations

__all__ = ["floats", "paired_runs", "run_of", "runs_of_table"]


def floats(*values: float) -> FloatArray:
    return np.array(values, dtype=np.float64)


def run_of(
    scores: Sequence[float | None] | FloatArray,
    *,
    keys: Sequence[str] | None = None,
    clusters: Sequence[str | None] | None = None,
    statuses: Sequence[str] | None = None,
    lower: float | None = None,
    upper: float | None = None,
) -> Observations:
    """Make a run of one cell a score; None is a failed cell."""
    values = np.array([np.nan if score is None else score for score in scores], dtype=np.float64)
    return Observations(
        keys=[f"example-{i}" for i in range(len(values))] if keys is None else keys,
        values=values,
        statuses=["failed" if np.isnan(v) else "scored" for v in values]
        if statuses is None
        else statuses,
        clusters=clusters,
        lower=lower,
        upper=upper,
    )


def paired_runs(
    baseline: Sequence[float | None] | FloatArray,
    candidate: Sequence[float | None] | FloatArray,
    *,
    keys: Sequence[str] | None = None,
    clusters: Sequence[str | None] | None = None,
) -> tuple[Observations, Observations]:
    return (
        run_of(baseline, keys=keys, clusters=clusters),
        run_of(candidate, keys=keys, clusters=clusters),
    )


def runs_of_table(
    both: int, candidate_only: int, baseline_only: int, neither: int
) -> tuple[Observations, Observations]:
    """Make two pass-or-fail runs with these counts."""
    counts = (both, candidate_only, baseline_only, neither)
    return paired_runs(
        np.repeat((1.0, 0.0, 1.0, 0.0), counts), np.repeat((1.0, 1.0, 0.0, 0.0), counts)
    )
