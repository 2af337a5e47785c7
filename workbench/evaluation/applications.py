"""An application, any callable: its outputs become imported runs, scored and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

from app.core.errors import ConfigurationError, Invalid, NotFound
from app.llm.budget import in_memory_budget
from app.schemas.datasets import DatasetVersionView
from app.schemas.experiments import Plan, RunView
from workbench.evaluation.desk import Desk
from workbench.evaluation.question import checked_plan
from workbench.evaluation.result import Evaluation
from workbench.runner.comparison.comparing import compare_pairs
from workbench.runner.generation.application import run_application
from workbench.runner.scoring import score_run
from workbench.scorers import AnyScorer, ScorerConfig
from workbench.scorers.judges import JudgePreference
from workbench.workspace.experiments import resolve_scorer
from workbench.workspace.plan_check import check_plan

__all__ = ["measure_applications"]

_CONCURRENCY: Final = 8
_PLAN: Final = frozenset({"scorer", "margin"})  # the rest is of experiments and their gates


async def measure_applications(desk: Desk, dataset: DatasetVersionView) -> Evaluation:
    """Give every example to each application, score what they return, compare."""
    services, actor, question = desk.services, desk.actor, desk.question
    note = desk.notes.append
    plan = _plan_of_apps(checked_plan(question.plan))
    scorers = [await resolve_scorer(services, actor, spec, note) for spec in question.scorers]
    check_plan(plan, scorers, examples=dataset.example_count, gate=False)
    stored = await _stored_baseline(desk)
    runs = {name: await _run(desk, name, dataset) for name in question.apps}
    baseline = stored or runs[str(question.baseline or next(iter(runs)))]
    for name, app in question.apps.items():
        await run_application(
            services,
            actor,
            runs[name],
            app,
            dataset,
            repetitions=question.repetitions,
            limit=question.limit,
            concurrency=question.options.concurrency or _CONCURRENCY,
        )
    results = await _compared(desk, runs, baseline, scorers, plan)
    totals = await services.generations.totals([run.id for run in runs.values()])
    counts = {run.name: totals[run.id].by_status for run in runs.values()}
    return desk.evaluation("completed", None, counts, results)


async def _compared(
    desk: Desk,
    runs: Mapping[str, RunView],
    baseline: RunView,
    scorers: Sequence[AnyScorer[ScorerConfig]],
    plan: Plan,
) -> list[Mapping[str, Any]]:
    """Score all runs and hold the others against the baseline under the primary scorer."""
    services, actor = desk.services, desk.actor
    alone = [s for s in scorers if not isinstance(s, JudgePreference)]
    async with AsyncExitStack() as stack:
        amount, budget = desk.question.budget, None
        if amount is not None:
            budget = await stack.enter_async_context(in_memory_budget(amount))
        for run in {run.id: run for run in (baseline, *runs.values())}.values():
            await score_run(services, actor, run, alone, budget=budget, note=desk.notes.append)
        candidates = [run for run in runs.values() if run.id != baseline.id]
        if not scorers or not candidates:
            return []
        primary = next((s for s in scorers if s.name == plan.scorer), scorers[0])
        view = await services.scores.ensure_scorer(actor, primary.identity())
        compared = await compare_pairs(
            services,
            actor,
            [(baseline, candidate) for candidate in candidates],
            view,
            margin=plan.margin,
            budget=budget,
            note=desk.notes.append,
        )
    return [comparison.result for comparison in compared]


async def _stored_baseline(desk: Desk) -> RunView | None:
    """Return the stored run that is the baseline; None if it is one of the applications."""
    baseline = desk.question.baseline
    if baseline is None or str(baseline) in desk.question.apps:
        return None
    return await desk.services.experiments.run(str(baseline))


async def _run(desk: Desk, name: str, dataset: DatasetVersionView) -> RunView:
    """Return a new run with a free name; with `resume` the last one of this name."""
    last, free, number = None, name, 1
    while (found := await _run_named(desk, free)) is not None:
        last, number = found, number + 1
        free = f"{name}-{number}"
    if desk.question.resume and last is not None:
        if last.dataset_version_id != dataset.id or last.origin != "imported":
            raise Invalid(
                f"{last.name} cannot be carried on: it is no application's run over "
                f"{dataset.reference}.",
                path="resume",
            )
        return last
    return await desk.services.experiments.import_run(
        desk.actor, dataset, name=free, source=f"application {name}", outputs=()
    )


async def _run_named(desk: Desk, name: str) -> RunView | None:
    try:
        found = await desk.services.experiments.run(name)
    except NotFound:
        return None
    return found if found.name == name else None


def _plan_of_apps(plan: Plan) -> Plan:
    """Refuse what only an experiment and its gate have."""
    if further := sorted(plan.model_fields_set - _PLAN):
        raise ConfigurationError(
            f"plan.{further[0]} is of experiments and their gates; the plan of an application "
            f"has {' and '.join(sorted(_PLAN))}.",
            path=f"plan.{further[0]}",
        )
    return plan
