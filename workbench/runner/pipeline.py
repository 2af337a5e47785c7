"""After generating (`execute`): score, then compare.

Each step reads what the step before it stored, so each can be repeated alone:
`workbench resume`, `workbench score`, `workbench compare` call the same functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.bootstrap import Services
from app.core.permissions import Actor
from app.schemas.experiments import ExperimentView, RunView
from workbench.runner.comparing import Comparison, compare_runs
from workbench.runner.scoring import score_run
from workbench.scorers import Scorer, parse_scorer

__all__ = ["compare_all", "experiment_scorers", "score_all"]


def experiment_scorers(experiment: ExperimentView) -> list[Scorer[Any]]:
    """Return the scorers that the specification declares."""
    return [
        parse_scorer({"name": identity["name"], **identity["config"]})
        for identity in experiment.spec["scorers"]
    ]


async def score_all(
    services: Services,
    actor: Actor,
    experiment: ExperimentView,
    on_progress: Callable[[int], None] = lambda count: None,
) -> None:
    """Score every run of an experiment with the declared scorers."""
    scorers = experiment_scorers(experiment)
    for run in experiment.runs:
        await score_run(services, actor, run, scorers, on_progress)


async def compare_all(
    services: Services, actor: Actor, experiment: ExperimentView
) -> list[Comparison]:
    """Compare every run with the declared baseline under the primary scorer.

    Runs on other models than the baseline are held against the baseline prompt's run on
    their own model, where there is one: like is compared with like.
    """
    scorers = experiment_scorers(experiment)
    if not scorers or len(experiment.runs) < 2:
        return []
    primary = next((s for s in scorers if s.name == experiment.plan.scorer), scorers[0])
    scorer = await services.scores.ensure_scorer(actor, primary.identity())
    pairs = _pairs(experiment)
    return [
        await compare_runs(
            services,
            actor,
            baseline,
            candidate,
            scorer,
            margin=experiment.plan.margin,
            comparisons=len(pairs),
        )
        for baseline, candidate in pairs
    ]


def _pairs(experiment: ExperimentView) -> list[tuple[RunView, RunView]]:
    declared = experiment.runs[experiment.spec["baseline"]]
    by_model = {run.model: run for run in experiment.runs if run.prompt == declared.prompt}
    by_model[declared.model] = declared
    pairs: list[tuple[RunView, RunView]] = []
    for run in experiment.runs:
        baseline = by_model.get(run.model, declared)
        if run.id == baseline.id:
            baseline = declared
        if run.id != baseline.id:
            pairs.append((baseline, run))
    return pairs
