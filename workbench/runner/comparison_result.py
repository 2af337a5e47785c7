"""A comparison as it is stored, printed and reported: one plain JSON object. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from app.core.hashing import content_hash
from app.schemas.experiments import RunView
from app.schemas.scores import ScoredCell, ScorerView
from workbench.scored_cells import clusters
from workbench.statistics.amounts import AmountComparison, compare_amounts
from workbench.statistics.analysis import Analysis, SideSummary
from workbench.statistics.interval import Interval
from workbench.statistics.observations import Observations

__all__ = ["MAX_FLIPS", "comparison_result", "input_hash"]

MAX_FLIPS = 200
"""Examples that changed and are named in the result: half losses, half gains, worst first."""

Sides = Sequence[Sequence[ScoredCell]]


def comparison_result(
    analysis: Analysis,
    runs: tuple[RunView, RunView],
    scorer: ScorerView,
    cells: Sides,
    notes: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the whole answer. Means and costs are in their own units, differences oriented
    so that positive is better; `notes` are warnings that do not come from the scores."""
    return {
        "baseline_run": runs[0].name,
        "candidate_run": runs[1].name,
        "dataset": runs[0].dataset,
        "scorer": {
            "name": scorer.name,
            "version": scorer.version,
            "config": scorer.config,
            "content_hash": scorer.content_hash,
        },
        "verdict": analysis.verdict.value,
        "sentence": analysis.sentence,
        "method": None if analysis.method is None else analysis.method.value,
        "reason": analysis.reason,
        "n_pairs": analysis.n_pairs,
        "n_clusters": analysis.n_clusters,
        "baseline": _side(analysis.baseline, cells[0]),
        "candidate": _side(analysis.candidate, cells[1]),
        "difference": None if analysis.difference is None else asdict(analysis.difference),
        "standard_error": analysis.standard_error,
        "candidate_only": analysis.candidate_only,
        "baseline_only": analysis.baseline_only,
        "p_value": analysis.p_value,
        "p_method": None if analysis.p_method is None else analysis.p_method.value,
        "p_mid": analysis.p_mid,
        "borderline": analysis.borderline,
        "margin": analysis.margin,
        "smallest_margin": analysis.smallest_margin,
        "detectable_difference": analysis.mde,
        "n_for_margin": analysis.n_for_margin,
        "planning_margin": analysis.planning_margin,
        "comparisons": analysis.comparisons,
        "variance": None if analysis.variance is None else asdict(analysis.variance),
        "sensitivity": asdict(analysis.sensitivity),
        "warnings": [
            *(
                {"code": w.code.value, "blocking": w.blocking, "text": w.text}
                for w in analysis.warnings
            ),
            *notes,
        ],
        "flips": _flips(cells, higher_is_better=analysis.higher_is_better),
        "cost": _cost(cells),
        "latency": _latency(cells),
        "simulated": any(run.simulated for run in runs),
        "policy": asdict(analysis.policy),
        "seed": analysis.seed,
    }


def input_hash(scorer: ScorerView, cells: Sides) -> str:
    """Return the hash over every score that went into the analysis."""
    return content_hash(
        {
            "scorer": scorer.content_hash,
            "sides": [[[c.key, c.repetition, c.status, c.value] for c in side] for side in cells],
        }
    )


def _side(side: SideSummary, cells: Sequence[ScoredCell]) -> dict[str, Any]:
    return {
        "mean": side.mean,
        "interval": None if side.interval is None else [side.interval.low, side.interval.high],
        "n_examples": side.n_examples,
        "n_cells": side.n_cells,
        "n_scored": side.n_scored,
        "n_correct": side.n_correct,
        "statuses": {name: count for name, count in side.statuses.items() if count},
        "reopened": sum(cell.reopened for cell in cells),
    }


def _amounts(cells: Sides, name: str, quantiles: Sequence[float] = ()) -> AmountComparison:
    """Compare costs or latencies; what is not known is missing."""
    sides = [
        Observations.from_values(
            [cell.key for cell in side],
            np.array([_amount(cell, name) for cell in side], dtype=float),
            clusters(side),
        )
        for side in cells
    ]
    return compare_amounts(sides[0], sides[1], quantiles=quantiles)


def _amount(cell: ScoredCell, name: str) -> float:
    """Return a cost, or the latency of an answer: that of a failed call says nothing of the
    model, that of an answer used again nothing of this run."""
    value = getattr(cell, name)
    known = value is not None and (name == "cost" or (cell.answered and not cell.reused))
    return float(value) if known else np.nan


def _cost(cells: Sides) -> dict[str, Any] | None:
    """Cost of an example on either side, with the ratio of the means; None if none is known."""
    compared = _amounts(cells, "cost")
    if compared.n_pairs == 0:
        return None
    return {
        "unit": "USD per example",
        "n_pairs": compared.n_pairs,
        "baseline": compared.baseline_mean,
        "candidate": compared.candidate_mean,
        "baseline_total": compared.baseline_total,
        "candidate_total": compared.candidate_total,
        "ratio": None
        if compared.ratio is None
        else _estimate(compared.ratio.ratio, compared.ratio.interval),
    }


def _latency(cells: Sides) -> dict[str, Any] | None:
    """Median and 95th percentile over the examples, in milliseconds; None if not known."""
    compared = _amounts(cells, "latency_ms", (0.5, 0.95))
    if not compared.quantiles:
        return None
    median, tail = compared.quantiles
    return {
        "unit": "ms",
        "n_pairs": compared.n_pairs,
        "baseline": {"p50": median.baseline, "p95": tail.baseline},
        "candidate": {"p50": median.candidate, "p95": tail.candidate},
        "p50_difference": _estimate(median.difference, median.interval),
        "p95_difference": _estimate(tail.difference, tail.interval),
    }


def _estimate(value: float, interval: Interval) -> dict[str, float]:
    return {
        "estimate": value,
        "low": interval.low,
        "high": interval.high,
        "level": interval.level,
    }


def _means(cells: Iterable[ScoredCell]) -> dict[str, float]:
    """Return the mean score over the repetitions of each example that has one."""
    values: dict[str, list[float]] = defaultdict(list)
    for cell in cells:
        if cell.value is not None:
            values[cell.key].append(cell.value)
    return {key: sum(scores) / len(scores) for key, scores in values.items()}


def _flips(cells: Sides, *, higher_is_better: bool) -> list[dict[str, str | float]]:
    """Return the examples whose mean score changed, worst losses first, then best gains.

    `change` is oriented so that positive is better with the candidate.
    """
    before, after = (_means(side) for side in cells)
    sign = 1 if higher_is_better else -1
    changes = {key: sign * (after[key] - before[key]) for key in before if key in after}
    losses = sorted((c, key) for key, c in changes.items() if c < 0)[: MAX_FLIPS // 2]
    gains = sorted((-c, key) for key, c in changes.items() if c > 0)[: MAX_FLIPS // 2]
    return [
        {
            "key": key,
            "baseline": before[key],
            "candidate": after[key],
            "change": changes[key],
        }
        for _, key in (*losses, *gains)
    ]
