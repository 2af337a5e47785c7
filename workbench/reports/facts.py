"""What a report says, as plain JSON for programs: the same facts as on the page.

Every unknown figure is null. Money is a string of US dollars, exact to the last digit; rates and
scores are numbers in the scorer's own unit (0.03 is 3 points); times are milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from app.core.hashing import content_hash
from workbench.reports.experiment import (
    Answer,
    ComparisonReport,
    Example,
    ExperimentReport,
    RunReport,
    RunScore,
)

__all__ = ["experiment_facts"]


def experiment_facts(report: ExperimentReport) -> dict[str, Any]:
    """Return the whole report as JSON values; texts are cut as on the page."""
    experiment, dataset = report.experiment, report.dataset
    return {
        "experiment": {
            "number": experiment.number,
            "id": str(experiment.id),
            "name": experiment.name,
            "status": experiment.status,
            "spec": experiment.spec,
            "spec_hash": content_hash(experiment.spec),
            "plan": experiment.plan.model_dump(mode="json"),
            "repetitions": experiment.repetitions,
            "example_count": experiment.example_count,
            "extends": report.extends,
            "created_at": experiment.created_at.isoformat(),
            "created_by": experiment.created_by,
        },
        "dataset": {"reference": dataset.reference, "content_hash": dataset.content_hash},
        "baseline": report.baseline.run.name,
        "comparisons": [_comparison(comparison) for comparison in report.comparisons],
        "gates": [decision.model_dump(mode="json") for decision in report.gates],
        "runs": [_run(run) for run in report.runs],
        "examples": [_example(example) for example in report.examples],
        "prompts": [{"reference": p.reference, "hash": p.content_hash} for p in report.prompts],
        "models": [
            {"reference": model.reference, "floating": model.floating, "digest": model.digest}
            for model in report.models
        ],
        "made_at": report.made_at.isoformat(),
    }


def _comparison(comparison: ComparisonReport) -> dict[str, Any]:
    return {
        **comparison.result,
        "declared": comparison.declared,
        "stale": comparison.stale,
        "input_hash": comparison.input_hash,
        "created_at": comparison.created_at.isoformat(),
        "created_by": comparison.created_by,
        "changed_examples": [_example(example) for example in comparison.examples],
    }


def _run(report: RunReport) -> dict[str, Any]:
    run, totals = report.run, report.totals
    return {
        "name": run.name,
        "id": str(run.id),
        "origin": run.origin,
        "simulated": run.simulated,
        "dataset": run.dataset,
        "prompt": run.prompt,
        "model": run.model,
        "wanted": report.wanted,
        "open": report.cells_open,
        "statuses": totals.by_status,
        "errors": totals.by_error,
        "reused": totals.reused,
        "reopened": totals.reopened,
        "input_tokens": totals.input_tokens,
        "output_tokens": totals.output_tokens,
        "cost": None if totals.cost is None else str(totals.cost),
        "unpriced": totals.unpriced,
        "latency_ms": None if report.latency is None else asdict(report.latency),
        "scores": [_score(score) for score in report.scores],
        "parameters": None if report.variant is None else report.variant.applied,
        "reported": [list(pair) for pair in report.reported],
    }


def _score(score: RunScore) -> dict[str, Any]:
    statuses: Mapping[str, int] = score.statuses
    return {
        "scorer": score.scorer.name,
        "version": score.scorer.version,
        "config": score.scorer.config,
        "content_hash": score.scorer.content_hash,
        "mean": score.mean,
        "interval": None if score.interval is None else list(score.interval),
        "level": 0.95,
        "n_scored": score.n_scored,
        "n_correct": score.n_correct,
        "statuses": dict(statuses),
    }


def _example(example: Example) -> dict[str, Any]:
    return {
        "key": example.key,
        "change": example.change,
        "scores": None if example.scores is None else list(example.scores),
        "input": None if example.input is None else asdict(example.input),
        "expected": None if example.expected is None else asdict(example.expected),
        "answers": [None if answer is None else _answer(answer) for answer in example.answers],
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "run": answer.run,
        "status": answer.status,
        "repetition": answer.repetition,
        "text": None if answer.text is None else asdict(answer.text),
        "error": answer.error,
        "scores": [score.model_dump(mode="json") for score in answer.scores],
    }
