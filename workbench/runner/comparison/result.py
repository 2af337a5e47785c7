"""A comparison as it is stored, printed and reported: one plain JSON object. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from app.schemas.experiments import RunView
from app.schemas.scores import ScorerView
from workbench.runner.comparison.cells import Coverage, SideCells
from workbench.statistics.amounts import compare_aligned_amounts
from workbench.statistics.analysis import Analysis, Examined, SideSummary
from workbench.statistics.interval import Interval
from workbench.statistics.observations import Aligned

__all__ = ["MAX_FLIPS", "Comparison", "comparison_result"]

MAX_FLIPS = 200
"""Examples that changed and are named in the result: half losses, half gains, worst first."""

Sides = tuple[SideCells, SideCells]


@dataclass(frozen=True)
class Comparison:
    """A stored analysis; `result` is what is stored, printed and reported, `input_hash` covers
    every score that went in."""

    baseline: RunView
    candidate: RunView
    scorer: ScorerView
    analysis: Analysis
    result: dict[str, Any]
    input_hash: str


def comparison_result(
    examined: Examined,
    runs: tuple[RunView, RunView],
    scorer: ScorerView,
    cells: Sides,
    coverage: Coverage,
    facts: Mapping[str, Any],
    notes: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the whole answer. Means and costs are in their own units, differences oriented
    so that positive is better; `notes` are warnings that do not come from the scores, `facts`
    the further looks at the same data by the names under which they are stored."""
    analysis, aligned = examined.analysis, examined.aligned
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
        "flips": _flips(aligned, higher_is_better=analysis.higher_is_better),
        "cost": _cost(aligned, cells),
        "latency": _latency(aligned, cells),
        "coverage": asdict(coverage),
        **facts,
        "simulated": any(run.simulated for run in runs),
        "policy": asdict(analysis.policy),
        "seed": analysis.seed,
    }


def _side(side: SideSummary, cells: SideCells) -> dict[str, Any]:
    return {
        "mean": side.mean,
        "interval": None if side.interval is None else [side.interval.low, side.interval.high],
        "n_examples": side.n_examples,
        "n_cells": side.n_cells,
        "n_scored": side.n_scored,
        "n_correct": side.n_correct,
        "statuses": {name: count for name, count in side.statuses.items() if count},
        "reopened": cells.n_reopened,
        "reused": cells.n_reused,
    }


def _cost(aligned: Aligned, cells: Sides) -> dict[str, Any] | None:
    """Cost of an example on either side, with the ratio of the means; None if none is known."""
    compared = compare_aligned_amounts(aligned, (cells[0].costs, cells[1].costs))
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


def _latency(aligned: Aligned, cells: Sides) -> dict[str, Any] | None:
    """Median and 95th percentile over the examples, in milliseconds; None if not known."""
    compared = compare_aligned_amounts(
        aligned, (cells[0].latencies_ms, cells[1].latencies_ms), quantiles=(0.5, 0.95)
    )
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


def _flips(aligned: Aligned, *, higher_is_better: bool) -> list[dict[str, str | float]]:
    """Return the examples whose mean score changed, worst losses first, then best gains.

    `change` is oriented so that positive is better with the candidate.
    """
    before, after = aligned.baseline.means, aligned.candidate.means
    changes = (1.0 if higher_is_better else -1.0) * (after - before)
    losses, gains = np.flatnonzero(changes < 0.0), np.flatnonzero(changes > 0.0)
    # Stable: equal changes stay in the order of their keys.
    losses = losses[np.argsort(changes[losses], kind="stable")][: MAX_FLIPS // 2]
    gains = gains[np.argsort(-changes[gains], kind="stable")][: MAX_FLIPS // 2]
    return [
        {
            "key": aligned.keys[i],
            "baseline": float(before[i]),
            "candidate": float(after[i]),
            "change": float(changes[i]),
        }
        for i in (*losses, *gains)
    ]
