"""Gather one experiment from the record for a report.

The record is only read. Scores and times of all cells are read, a run at a time; texts only of the
examples that are shown. So a report of a large experiment needs little more memory than
the facts of one run.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import numpy as np

from app.bootstrap import Services
from app.core.hashing import content_hash
from app.schemas.comparisons import ComparisonView
from app.schemas.datasets import DatasetVersionView
from app.schemas.experiments import ExperimentView, RunView
from app.schemas.generations import RunTotals
from app.schemas.scores import ScoredCell, ScorerView
from workbench.number_text import Scale
from workbench.reports.experiment import (
    ComparisonReport,
    ExperimentReport,
    Latency,
    RunReport,
    RunScore,
)
from workbench.reports.gather_examples import (
    MAX_EXAMPLES,
    examples_side_by_side,
    examples_that_changed,
)
from workbench.scored_cells import observations
from workbench.scorers import parse_scorer
from workbench.statistics.observations import align, are_binary, shared_clusters
from workbench.statistics.single_run import run_mean

__all__ = ["gather_report"]

_DECISIONS = 200  # looked at to find the newest about each candidate
_ANSWERED = ("missing", "refused")  # what the facts of a cell say if a model answered it


async def gather_report(services: Services, experiment: ExperimentView) -> ExperimentReport:
    """Return all that a report of this experiment shows."""
    dataset = await services.datasets.get(experiment.dataset)
    stored = await _comparisons(services, experiment)
    views = [*experiment.runs, *await _runs_from_elsewhere(services, experiment, stored)]
    totals = await services.generations.totals([run.id for run in views])
    runs = [await _run(services, experiment, run, totals[run.id]) for run in views]
    comparisons = await _with_examples(services, experiment, dataset, runs, stored)
    variants = [run.variant for run in runs if run.variant is not None]
    return ExperimentReport(
        experiment=experiment,
        dataset=dataset,
        runs=tuple(runs),
        made_at=services.clock.now(),
        comparisons=tuple(comparisons),
        examples=() if comparisons else await examples_side_by_side(services, dataset, experiment),
        prompts=tuple(
            [await services.prompts.get(name) for name in dict.fromkeys(v.prompt for v in variants)]
        ),
        models=tuple(
            [
                await services.models.by_id(version_id)
                for version_id in dict.fromkeys(v.model_version_id for v in variants)
            ]
        ),
        extends=await _extended(services, experiment),
        gates=tuple(await services.gates.list(experiment_id=experiment.id, limit=_DECISIONS)),
    )


async def _extended(services: Services, experiment: ExperimentView) -> int | None:
    if experiment.extends_id is None:
        return None
    return (await services.experiments.by_id(experiment.extends_id)).number


# Comparisons


async def _comparisons(services: Services, experiment: ExperimentView) -> list[ComparisonView]:
    """Return one comparison of each two runs under each scorer, the primary scorer first.

    The newest that was declared before the run counts, else the newest: looking again with
    another margin, or at one candidate of several alone, does not replace what was planned.
    """
    order = {run.id: position for position, run in enumerate(experiment.runs)}
    newest_first = await services.comparisons.of_runs(list(order))
    chosen: dict[tuple[UUID, UUID, UUID], ComparisonView] = {}
    for comparison in sorted(newest_first, key=lambda c: not _is_declared(c, experiment)):
        key = (comparison.baseline_run_id, comparison.candidate_run_id, comparison.scorer_id)
        chosen.setdefault(key, comparison)
    return sorted(
        chosen.values(),
        key=lambda c: (
            _scorer_rank(experiment, c.result["scorer"]["content_hash"]),
            order.get(c.baseline_run_id, len(order)),
            order[c.candidate_run_id],
        ),
    )


def _is_declared(comparison: ComparisonView, experiment: ExperimentView) -> bool:
    """Whether this is the analysis of the plan: its margin, and intervals wide enough for
    all candidates."""
    baselines = {str(run.id) for run in experiment.runs}
    if stored := experiment.spec.get("baseline_run"):
        baselines = {stored["id"]}
    return (
        str(comparison.baseline_run_id) in baselines
        and comparison.plan["margin"] == experiment.plan.margin
        and comparison.plan["comparisons"] >= len(experiment.runs) - 1
    )


def _scorer_rank(experiment: ExperimentView, scorer_hash: str) -> int:
    """The primary scorer is 0, the other declared ones follow, then those used later."""
    declared = list(experiment.spec["scorers"])
    declared.sort(key=lambda identity: identity["name"] != experiment.plan.scorer)
    hashes = [content_hash(identity) for identity in declared]
    return hashes.index(scorer_hash) if scorer_hash in hashes else len(hashes)


async def _runs_from_elsewhere(
    services: Services, experiment: ExperimentView, comparisons: Sequence[ComparisonView]
) -> list[RunView]:
    own = {run.id for run in experiment.runs}
    names = [c.result["baseline_run"] for c in comparisons if c.baseline_run_id not in own]
    if stored := experiment.spec.get("baseline_run"):
        names.append(stored["name"])
    return [await services.experiments.run(name) for name in dict.fromkeys(names)]


async def _with_examples(
    services: Services,
    experiment: ExperimentView,
    dataset: DatasetVersionView,
    runs: Sequence[RunReport],
    comparisons: Sequence[ComparisonView],
) -> list[ComparisonReport]:
    """Share the examples out among the comparisons; what one does not need the next may use."""
    by_id = {report.run.id: report for report in runs}
    left = MAX_EXAMPLES
    gathered = []
    for position, comparison in enumerate(comparisons):
        pair = by_id[comparison.baseline_run_id], by_id[comparison.candidate_run_id]
        limit = left // (len(comparisons) - position)
        examples = await examples_that_changed(
            services, dataset, comparison.result, (pair[0].run, pair[1].run), limit=limit
        )
        left -= len(examples)
        gathered.append(
            ComparisonReport(
                result=comparison.result,
                created_at=comparison.created_at,
                created_by=comparison.created_by,
                input_hash=comparison.input_hash,
                declared=_is_declared(comparison, experiment),
                stale=_is_stale(comparison, pair),
                examples=examples,
            )
        )
    return gathered


def _is_stale(comparison: ComparisonView, pair: tuple[RunReport, RunReport]) -> bool:
    """Whether cells or scores have come in since. Scores never change, so counts are enough."""
    for side, report in zip(("baseline", "candidate"), pair, strict=True):
        then = comparison.result[side]
        now = next((s for s in report.scores if s.scorer.id == comparison.scorer_id), None)
        if now is None:
            return True
        if (then["n_scored"], then["n_cells"]) != (now.n_scored, sum(now.statuses.values())):
            return True
    return False


# Runs


async def _run(
    services: Services, experiment: ExperimentView, run: RunView, totals: RunTotals
) -> RunReport:
    facts = await services.scores.cells(run.id, None)
    scorers = await services.scores.scorers_of(run.id)
    scorers.sort(key=lambda scorer: _scorer_rank(experiment, scorer.content_hash))
    return RunReport(
        run=run,
        totals=totals,
        wanted=await _wanted(services, experiment, run, totals),
        variant=None if run.variant_id is None else await services.variants.get(run.variant_id),
        latency=_latency(facts),
        scores=tuple([_score(s, await services.scores.cells(run.id, s.id)) for s in scorers]),
        reported=tuple(await services.generations.reported(run.id)),
    )


async def _wanted(
    services: Services, experiment: ExperimentView, run: RunView, totals: RunTotals
) -> int:
    """Return how many cells the run was to have; of imported ones, all that there are."""
    if run.experiment_id is None:
        return sum(totals.by_status.values())
    if run.experiment_id != experiment.id:
        experiment = await services.experiments.by_id(run.experiment_id)
    return experiment.example_count * experiment.repetitions


def _latency(facts: Sequence[ScoredCell]) -> Latency | None:
    known = [
        cell.latency_ms
        for cell in facts
        if cell.latency_ms is not None and cell.status in _ANSWERED
    ]
    if not known:
        return None
    p50, p95 = np.quantile(known, [0.5, 0.95])
    return Latency(float(p50), float(p95), len(known))


def _score(scorer: ScorerView, cells: Sequence[ScoredCell]) -> RunScore:
    """Summarise one run under one scorer exactly as a comparison does."""
    rule = parse_scorer({"name": scorer.name, **scorer.config})
    run = observations(cells, rule)
    aligned = align(run, run)
    scored = np.flatnonzero(aligned.baseline.n_scored > 0)
    mean = None
    if scored.size:
        means = aligned.baseline.means[scored]
        mean = run_mean(
            means,
            binary=rule.binary and are_binary(means),
            bounds=rule.range,
            clusters=shared_clusters(aligned, scored),
        )
    return RunScore(
        scorer=scorer,
        mean=None if mean is None else mean.mean,
        interval=None if mean is None else (mean.interval.low, mean.interval.high),
        n_scored=int(run.is_scored.sum()),
        n_correct=int(np.count_nonzero(run.values == 1.0)) if rule.binary else None,
        statuses=run.count_statuses(),
        scale=Scale.of(rule.range),
    )
