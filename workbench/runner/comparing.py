"""Compare two runs under one scorer: read scores, analyse, store, and say it.

Aligned by example key, never by position. What the record knows and statistics cannot —
simulated or imported answers, retried cells, a model that changed its name, an experiment
that is not finished — is added to the warnings here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.bootstrap import Services
from app.core.errors import Invalid
from app.core.hashing import content_hash
from app.core.permissions import Actor
from app.schemas.comparisons import NewComparison
from app.schemas.experiments import RunView
from app.schemas.scores import ScoredCell, ScorerView
from workbench.scorers import Scorer, parse_scorer
from workbench.statistics.analysis import Analysis, SideSummary, analyse_pair
from workbench.statistics.observations import STATUSES, Observations
from workbench.statistics.ratios import quantile_difference, ratio_of_means

__all__ = ["MAX_FLIPS", "Comparison", "compare_runs"]

MAX_FLIPS = 200


@dataclass(frozen=True)
class Comparison:
    """A stored analysis; `result` is what is stored, printed and reported."""

    baseline: RunView
    candidate: RunView
    scorer: ScorerView
    analysis: Analysis
    result: dict[str, Any]


async def compare_runs(
    services: Services,
    actor: Actor,
    baseline: RunView,
    candidate: RunView,
    scorer: ScorerView,
    *,
    margin: float | None = None,
    comparisons: int = 1,
) -> Comparison:
    """Analyse the stored scores of two runs and store the comparison.

    `comparisons` is the number of candidates held against this baseline: intervals widen
    accordingly. Raises `Invalid` if the runs are of different dataset versions.
    """
    if baseline.dataset_version_id != candidate.dataset_version_id:
        raise Invalid(
            f"{baseline.name} ran on {baseline.dataset} and {candidate.name} on "
            f"{candidate.dataset}: only runs over the same dataset version can be compared."
        )
    if baseline.id == candidate.id:
        raise Invalid("A run cannot be compared with itself: name two runs.")
    rule = parse_scorer({"name": scorer.name, **scorer.config})
    cells = [await services.scores.cells(run.id, scorer.id) for run in (baseline, candidate)]
    analysis = analyse_pair(
        _observations(cells[0], rule),
        _observations(cells[1], rule),
        margin=margin,
        comparisons=comparisons,
        higher_is_better=rule.direction == "higher",
    )
    notes = await _notes(services, (baseline, candidate), cells)
    result = _result(analysis, (baseline, candidate), scorer, cells, notes)
    await services.comparisons.record(
        actor,
        NewComparison(
            baseline_run_id=baseline.id,
            candidate_run_id=candidate.id,
            scorer_id=scorer.id,
            plan={"margin": margin, "comparisons": comparisons},
            verdict=analysis.verdict.value,
            method=result["method"] or "none",
            result=result,
            input_hash=_input_hash(scorer, cells),
        ),
    )
    return Comparison(baseline, candidate, scorer, analysis, result)


def _observations(cells: Sequence[ScoredCell], rule: Scorer[Any]) -> Observations:
    low, high = rule.range
    return Observations(
        keys=[cell.key for cell in cells],
        values=np.array([np.nan if c.value is None else c.value for c in cells], dtype=float),
        statuses=[c.status if c.status in STATUSES else "failed" for c in cells],
        clusters=[c.cluster for c in cells] if any(c.cluster for c in cells) else None,
        binary=rule.binary,
        lower=low,
        upper=high,
    )


def _means(cells: Iterable[ScoredCell], name: str) -> dict[str, float]:
    """Return the mean of one field over the repetitions of each example that has it."""
    sums: dict[str, list[float]] = defaultdict(list)
    for cell in cells:
        value = getattr(cell, name)
        if value is not None:
            sums[cell.key].append(float(value))
    return {key: sum(values) / len(values) for key, values in sums.items()}


def _paired(cells: Sequence[Sequence[ScoredCell]], name: str) -> tuple[Any, Any]:
    before, after = (_means(side, name) for side in cells)
    keys = [key for key in before if key in after]
    return np.array([before[key] for key in keys]), np.array([after[key] for key in keys])


def _cost(cells: Sequence[Sequence[ScoredCell]]) -> dict[str, Any] | None:
    """Cost per example and the ratio of its means; None where either side has none known."""
    before, after = _paired(cells, "cost")
    if before.size == 0:
        return None
    shape: dict[str, Any] = {
        "unit": "USD per example",
        "baseline": float(before.mean()),
        "candidate": float(after.mean()),
        "n_pairs": int(before.size),
        "ratio": None,
    }
    if before.size >= 2 and before.mean() > 0:
        ratio = ratio_of_means(before, after)
        shape["ratio"] = {
            "estimate": ratio.ratio,
            "low": ratio.interval.low,
            "high": ratio.interval.high,
            "level": 0.95,
        }
    return shape


def _latency(cells: Sequence[Sequence[ScoredCell]]) -> dict[str, Any] | None:
    """Median and 95th percentile of the latency per example, in milliseconds."""
    before, after = _paired(cells, "latency_ms")
    if before.size == 0:
        return None
    shape: dict[str, Any] = {
        "unit": "ms",
        "n_pairs": int(before.size),
        "baseline": {"p50": float(np.median(before)), "p95": float(np.quantile(before, 0.95))},
        "candidate": {"p50": float(np.median(after)), "p95": float(np.quantile(after, 0.95))},
        "p95_difference": None,
    }
    if before.size >= 2:
        tail = quantile_difference(before, after, 0.95)
        shape["p95_difference"] = {
            "estimate": tail.difference,
            "low": tail.interval.low,
            "high": tail.interval.high,
            "level": 0.95,
        }
    return shape


def _result(
    analysis: Analysis,
    runs: tuple[RunView, RunView],
    scorer: ScorerView,
    cells: Sequence[Sequence[ScoredCell]],
    notes: list[dict[str, Any]],
) -> dict[str, Any]:
    difference = analysis.difference
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
        "difference": None
        if difference is None
        else {
            "estimate": difference.estimate,
            "low": difference.low,
            "high": difference.high,
            "level": difference.level,
        },
        "candidate_only": analysis.candidate_only,
        "baseline_only": analysis.baseline_only,
        "p_value": analysis.p_value,
        "p_method": None if analysis.p_method is None else analysis.p_method.value,
        "margin": analysis.margin,
        "smallest_margin": analysis.smallest_margin,
        "detectable_difference": analysis.mde,
        "n_for_margin": analysis.n_for_margin,
        "planning_margin": analysis.planning_margin,
        "warnings": [
            *(
                {"code": w.code.value, "blocking": w.blocking, "text": w.text}
                for w in analysis.warnings
            ),
            *notes,
        ],
        "flips": _flips(cells, analysis.higher_is_better),
        "cost": _cost(cells),
        "latency": _latency(cells),
        "simulated": any(run.simulated for run in runs),
        "seed": analysis.seed,
    }


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


async def _notes(
    services: Services,
    runs: tuple[RunView, RunView],
    cells: Sequence[Sequence[ScoredCell]],
) -> list[dict[str, Any]]:
    """Return warnings about where the answers come from."""
    notes: list[tuple[str, bool, str]] = []
    for run, side in zip(runs, cells, strict=True):
        if run.simulated:
            notes.append(
                (
                    "simulated",
                    True,
                    f"{run.name} was answered by a simulated model, not a real one.",
                )
            )
        if run.origin == "imported":
            notes.append(("imported", True, f"{run.name} holds outputs that were made elsewhere."))
        if reopened := sum(cell.reopened for cell in side):
            notes.append(
                ("retried", False, f"{reopened} outcomes of {run.name} come from a retry.")
            )
        if wanted := await _missing_cells(services, run, len(side)):
            notes.append(
                (
                    "unfinished",
                    True,
                    f"{run.name} is not finished: {len(side)} of {wanted} cells have an outcome.",
                )
            )
        reported = await services.generations.reported(run.id)
        if len(reported) > 1:
            names = ", ".join(f"{m or '?'} ({f or 'no fingerprint'}): {n}" for m, f, n in reported)
            notes.append(
                ("drift", True, f"The model behind {run.name} changed during the run: {names}.")
            )
    notes.extend(await _drift_between(services, runs))
    return [{"code": c, "blocking": b, "text": t} for c, b, t in dict.fromkeys(notes)]


async def _missing_cells(services: Services, run: RunView, stored: int) -> int | None:
    """Return how many cells are wanted if some have no outcome yet."""
    if run.experiment_id is None:
        return None
    experiment = await services.experiments.by_id(run.experiment_id)
    wanted = experiment.example_count * experiment.repetitions
    return wanted if stored < wanted else None


async def _drift_between(
    services: Services, runs: tuple[RunView, RunView]
) -> list[tuple[str, bool, str]]:
    """The same model version must be the same model on both sides."""
    if runs[0].model is None or runs[0].model != runs[1].model:
        return []
    first, second = [{r[:2] for r in await services.generations.reported(run.id)} for run in runs]
    if first == second or len(first) != 1 or len(second) != 1:
        return []
    return [
        (
            "drift",
            True,
            f"{runs[0].model} reported itself as {_reported(first)} in {runs[0].name} and as "
            f"{_reported(second)} in {runs[1].name}.",
        )
    ]


def _reported(pairs: set[tuple[str | None, str | None]]) -> str:
    (model, fingerprint) = next(iter(pairs))
    return f"{model or '?'} ({fingerprint or 'no fingerprint'})"


def _flips(
    cells: Sequence[Sequence[ScoredCell]], higher_is_better: bool
) -> list[dict[str, str | float]]:
    """Return the examples whose mean score changed, worst losses first, then best gains.

    `change` is oriented so that positive is better with the candidate.
    """
    before, after = (_means(side, "value") for side in cells)
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


def _input_hash(scorer: ScorerView, cells: Sequence[Sequence[ScoredCell]]) -> str:
    return content_hash(
        {
            "scorer": scorer.content_hash,
            "sides": [[[c.key, c.repetition, c.status, c.value] for c in side] for side in cells],
        }
    )
