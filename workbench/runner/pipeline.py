"""After generating (`execute`): score, then compare.

Each step reads what the step before it stored, so each can be repeated alone:
`workbench resume`, `workbench score`, `workbench compare` call the same functions.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from app.bootstrap import Services
from app.core.permissions import Actor
from app.schemas.experiments import ExperimentView, RunView
from workbench.runner.comparison.comparing import Comparison, compare_pairs
from workbench.runner.scoring import score_run
from workbench.scorers import AnyScorer, parse_scorer
from workbench.scorers.judges import JudgePreference

__all__ = ["compare_all", "compared_pairs", "experiment_scorers", "score_all"]


def experiment_scorers(experiment: ExperimentView) -> list[AnyScorer[Any]]:
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
    *,
    note: Callable[[str], None] = lambda text: None,
) -> None:
    """Score every run of an experiment with the declared scorers, within its budget.

    `note` is told what `score_run` tells. A judge of pairs scores no run: it is asked when two
    are compared.
    """
    scorers = [s for s in experiment_scorers(experiment) if not isinstance(s, JudgePreference)]
    async with services.budgets.open(actor, experiment.id, f"judges {os.getpid()}") as budget:
        for run in experiment.runs:
            await score_run(services, actor, run, scorers, on_progress, budget=budget, note=note)


async def compare_all(
    services: Services,
    actor: Actor,
    experiment: ExperimentView,
    *,
    note: Callable[[str], None] = lambda text: None,
) -> list[Comparison]:
    """Compare every run with the declared baseline under the primary scorer.

    Runs on other models than the baseline are held against the baseline prompt's run on
    their own model, where there is one: like is compared with like.
    """
    scorers = experiment_scorers(experiment)
    pairs = await compared_pairs(services, experiment)
    if not scorers or not pairs:
        return []
    primary = next((s for s in scorers if s.name == experiment.plan.scorer), scorers[0])
    scorer = await services.scores.ensure_scorer(actor, primary.identity())
    async with services.budgets.open(actor, experiment.id, f"judges {os.getpid()}") as budget:
        return await compare_pairs(
            services,
            actor,
            pairs,
            scorer,
            margin=experiment.plan.margin,
            plan=experiment.plan,
            budget=budget,
            note=note,
        )


async def compared_pairs(
    services: Services, experiment: ExperimentView
) -> list[tuple[RunView, RunView]]:
    """Return (baseline, candidate) for every candidate; a stored run or an alias that was
    declared is the baseline of all of them."""
    stored = experiment.spec.get("baseline_run")
    if stored is None and "baseline_alias" not in experiment.spec:
        return _pairs(experiment)
    baseline = (
        experiment.runs[experiment.spec["baseline"]]
        if stored is None
        else await services.experiments.run(stored["name"])
    )
    return [(baseline, run) for run in experiment.runs if run.id != baseline.id]


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
