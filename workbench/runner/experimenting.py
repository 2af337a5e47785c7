"""Carry out an experiment from Python: generate, score, compare, and say what came of it.

What `workbench run` does, without a console. Whatever ends it early, an interrupt or a budget,
leaves the experiment open, so that asking the same again goes on where it stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.bootstrap import Services
from app.core.errors import WorkbenchError
from app.core.permissions import Actor
from app.llm.budget import BudgetReached
from app.schemas.experiments import ExperimentView
from app.schemas.generations import RunTotals
from workbench.runner.execute import (
    AUTO_CONCURRENCY,
    ExecutionOptions,
    execute,
    progress_detail,
)
from workbench.runner.executor import ExecutionReport, Executor, FatalError, Progress
from workbench.runner.judging import JudgeStopped
from workbench.runner.lock import experiment_lock
from workbench.runner.pipeline import compare_all, score_all

__all__ = ["Carried", "RunStopped", "carry_out_quietly"]

_BUDGET_REACHED: Final = "The budget is reached: ask the same again with a larger one to go on."


class RunStopped(WorkbenchError):
    """An error that every further call would meet too, such as a wrong key."""

    code = "run_stopped"


@dataclass(frozen=True)
class Carried:
    """What came of an experiment: sums by run in its order, and the comparisons' results.

    `unfinished` says why there is work left, empty if there is none; with any, nothing was
    compared.
    """

    experiment: ExperimentView
    totals: tuple[RunTotals, ...]
    results: tuple[Mapping[str, Any], ...]
    unfinished: str = ""


async def carry_out_quietly(
    services: Services,
    actor: Actor,
    workspace: Path,
    experiment: ExperimentView,
    options: ExecutionOptions,
) -> Carried:
    """Generate what is open, score it and, once nothing is left, compare.

    Raises `RunStopped` for an error that no further call could get round, and `Conflict` if
    another process works on the experiment. A cancelled task ends at once; what has ended is
    stored.
    """
    with experiment_lock(workspace, experiment.number):
        report = await _generate(services, actor, experiment, options)
        if report.fatal is not None:
            raise _stopped(report.fatal, experiment)
        return await _conclude(services, actor, experiment, report)


async def _generate(
    services: Services, actor: Actor, experiment: ExperimentView, options: ExecutionOptions
) -> ExecutionReport:
    await services.budgets.settle_lost(actor, experiment.id)
    job_id = await services.experiments.begin_job(
        actor, experiment.id, concurrency=options.concurrency or AUTO_CONCURRENCY
    )
    started: list[Executor] = []
    status = "failed"
    try:
        report = await execute(services, actor, experiment, options, on_start=started.append)
        status = "stopped" if report.stopped or report.fatal else "done"
        return report
    except asyncio.CancelledError:
        status = "stopped"
        raise
    finally:
        progress = started[0].progress if started else Progress()
        await services.experiments.end_job(
            actor, job_id, status=status, detail=progress_detail(progress)
        )


def _stopped(fatal: FatalError, experiment: ExperimentView) -> RunStopped:
    return RunStopped(
        fatal.message,
        hint=f"Put that right, then ask the same again: experiment {experiment.number} goes on "
        "where it stopped.",
    )


async def _conclude(
    services: Services, actor: Actor, experiment: ExperimentView, report: ExecutionReport
) -> Carried:
    experiment = await services.experiments.by_id(experiment.id)  # a look may have ended it
    unfinished = ""
    try:
        await score_all(services, actor, experiment)
    except JudgeStopped as stopped:
        if stopped.reason != BudgetReached.code:
            raise
        unfinished = _BUDGET_REACHED
    run_ids = [run.id for run in experiment.runs]
    found = await services.generations.totals(run_ids)
    totals = tuple(found[run_id] for run_id in run_ids)
    left = experiment.wanted - sum(sum(total.by_status.values()) for total in totals)
    if left > 0:
        unpaid = report.progress.unpaid
        unfinished = _BUDGET_REACHED if unpaid else f"{left:,} cells have no outcome yet."
    if await services.experiments.status(experiment.id) == "cancelled":
        unfinished = "The experiment was cancelled; its outcomes stay."
    if unfinished:
        return Carried(experiment, totals, (), unfinished)
    if experiment.status == "open":
        await services.experiments.set_status(actor, experiment, "completed")
        experiment = await services.experiments.by_id(experiment.id)
    compared = await compare_all(services, actor, experiment)
    return Carried(experiment, totals, tuple(c.result for c in compared))
