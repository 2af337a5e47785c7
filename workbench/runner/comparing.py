"""Compare two runs under one scorer: read scores, analyse, store, and say it.

Aligned by example key, never by position. What the record knows and statistics cannot —
simulated or imported answers, retried cells, a model that changed its name, an experiment
that is not finished — is added to the warnings here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.bootstrap import Services
from app.core.errors import Invalid
from app.core.permissions import Actor
from app.schemas.comparisons import NewComparison
from app.schemas.experiments import RunView, check_margin
from app.schemas.scores import ScoredCell, ScorerView
from workbench.runner.comparison_result import comparison_result, input_hash
from workbench.scored_cells import observations
from workbench.scorers import parse_scorer
from workbench.statistics.analysis import Analysis, analyse_pair

__all__ = ["Comparison", "compare_runs"]


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
    accordingly. Raises `Invalid` if the runs are of different dataset versions, or for a
    margin that is no acceptable loss under this scorer.
    """
    if baseline.dataset_version_id != candidate.dataset_version_id:
        raise Invalid(
            f"{baseline.name} ran on {baseline.dataset} and {candidate.name} on "
            f"{candidate.dataset}: only runs over the same dataset version can be compared."
        )
    if baseline.id == candidate.id:
        raise Invalid("A run cannot be compared with itself: name two runs.")
    rule = parse_scorer({"name": scorer.name, **scorer.config})
    check_margin(margin, rule.range)
    cells = [await services.scores.cells(run.id, scorer.id) for run in (baseline, candidate)]
    analysis = analyse_pair(
        observations(cells[0], rule),
        observations(cells[1], rule),
        margin=margin,
        comparisons=comparisons,
        higher_is_better=rule.direction == "higher",
    )
    notes = await _notes(services, (baseline, candidate), cells)
    result = comparison_result(analysis, (baseline, candidate), scorer, cells, notes)
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
            input_hash=input_hash(scorer, cells),
        ),
    )
    return Comparison(baseline, candidate, scorer, analysis, result)


async def _notes(
    services: Services,
    runs: tuple[RunView, RunView],
    cells: Sequence[Sequence[ScoredCell]],
) -> list[dict[str, Any]]:
    """Return warnings about where the answers come from."""
    notes: list[tuple[str, bool, str]] = []
    if any(run.simulated for run in runs):
        notes.append(("simulated", True, "A simulated model answered, not a real one."))
    for run, side in zip(runs, cells, strict=True):
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
