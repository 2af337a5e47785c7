"""The main flow: generate what is open, score it and, once nothing is left, compare.

The command line and Python do the same here and only tell it differently. Whoever carries out
an experiment holds its lock (`workbench.runner.generation.lock`) from the first step to the last.
Every step reads what the one before it stored, so that an interrupted flow is simply begun again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.bootstrap import Services
from app.core.hashing import JSON
from app.core.permissions import Actor
from app.llm.budget import BudgetReached
from app.schemas.budgets import BudgetView
from app.schemas.experiments import ExperimentView
from app.schemas.generations import RunTotals
from app.schemas.jobs import JobStatus
from workbench.runner.generation.execute import (
    AUTO_CONCURRENCY,
    ExecutionOptions,
    execute,
    progress_detail,
    run_work,
)
from workbench.runner.generation.executor import ExecutionReport, Progress, Work
from workbench.runner.generation.processes import ProcessGroup

__all__ = ["CarriedOut", "Ending", "conclude", "generate"]


class Ending(StrEnum):
    """Why the work on an experiment ended. All but `completed` leave it open to go on with."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    """Cells are open: it was interrupted, here or in another process."""
    BUDGET_REACHED = "budget_reached"
    """What is open, cells or a judge's questions, may cost more than is left."""
    CANCELLED = "cancelled"
    FATAL = "fatal"
    """An error that every further call would meet too, such as a wrong key."""


@dataclass(frozen=True)
class CarriedOut:
    """What came of an experiment: `totals` by run in its order, and the comparisons' results,
    none unless it is completed. `budget` is None if it has none. `notes` are sentences about what
    judges could not judge for now."""

    experiment: ExperimentView
    ending: Ending
    report: ExecutionReport
    totals: Sequence[RunTotals]
    comparisons: Sequence[Mapping[str, Any]] = ()
    budget: BudgetView | None = None
    notes: Sequence[str] = ()

    @property
    def done(self) -> int:
        """The number of cells that have an outcome."""
        return sum(sum(total.by_status.values()) for total in self.totals)

    @property
    def open_cells(self) -> int:
        """The number of cells without one; below zero if a look ended it after they had one."""
        return self.experiment.wanted - self.done

    @property
    def failed(self) -> int:
        """The number of cells whose outcome is no answer; a refusal is one."""
        answered = ("completed", "refused")
        return self.done - sum(
            total.by_status.get(status, 0) for total in self.totals for status in answered
        )


async def generate(
    services: Services,
    actor: Actor,
    experiment: ExperimentView,
    options: ExecutionOptions,
    *,
    processes: int = 1,
    on_start: Callable[[Work], None] = lambda work: None,
    job_id: UUID | None = None,
) -> ExecutionReport:
    """Carry out the open cells as one job, in this process or shared out to several.

    `on_start` is given the work, to watch and to stop it. A cancelled task ends at once; what
    has ended is stored. `job_id` is the job that asked for it, which does not end here; without
    one the work has a job of its own.
    """
    async with _recorded(services, actor, experiment, options, job_id) as record:
        return await _work(services, actor, experiment, options, processes, on_start, record)


@dataclass
class _Record:
    """What the job's row is to say of the work."""

    status: JobStatus = "failed"
    work: Work | None = None

    @property
    def detail(self) -> dict[str, JSON]:
        return progress_detail(Progress() if self.work is None else self.work.progress)


@asynccontextmanager
async def _recorded(
    services: Services,
    actor: Actor,
    experiment: ExperimentView,
    options: ExecutionOptions,
    job_id: UUID | None,
) -> AsyncIterator[_Record]:
    """Yield what a job's row is to say, and store it however the work ends."""
    jobs, concurrency = services.jobs, options.concurrency or AUTO_CONCURRENCY
    record = _Record()
    if job_id is not None:
        await jobs.adopt(actor, job_id, experiment.id, concurrency=concurrency)
        try:
            yield record
        finally:
            await jobs.note(actor, job_id, record.detail)
        return
    own = await jobs.begin(actor, experiment.id, concurrency=concurrency)
    try:
        yield record
    finally:
        await jobs.end(actor, own, status=record.status, detail=record.detail)


async def _work(
    services: Services,
    actor: Actor,
    experiment: ExperimentView,
    options: ExecutionOptions,
    processes: int,
    on_start: Callable[[Work], None],
    record: _Record,
) -> ExecutionReport:
    def begin(work: Work) -> None:
        record.work = work
        on_start(work)

    try:
        if processes > 1:
            group = ProcessGroup(services.settings, actor, experiment, options, processes)
            begin(group)
            report = await run_work(services, actor, experiment, group)
        else:
            report = await execute(services, actor, experiment, options, on_start=begin)
    except asyncio.CancelledError:
        record.status = "stopped"
        raise
    record.status = "stopped" if report.stopped or report.fatal else "done"
    return report


async def conclude(
    services: Services, actor: Actor, experiment: ExperimentView, report: ExecutionReport
) -> CarriedOut:
    """Score what was answered; if nothing is open, complete the experiment and compare.

    `report` is what `generate` returned. After an error that stopped it nothing is scored.
    """
    experiment = await services.experiments.by_id(experiment.id)  # a look may have ended it
    found = await services.generations.totals([run.id for run in experiment.runs])
    totals = [found[run.id] for run in experiment.runs]
    done = CarriedOut(experiment, Ending.FATAL, report, totals)
    if report.fatal is None:
        done = await _evaluate(services, actor, done)
    return replace(done, budget=await services.budgets.get(experiment.id))


async def _evaluate(services: Services, actor: Actor, done: CarriedOut) -> CarriedOut:
    """Score and compare, as far as there is something to compare and money for judges."""
    # Imported here: scoring and comparing need libraries that would delay the first request.
    from workbench.runner.judging.answers import JudgeStopped
    from workbench.runner.pipeline import compare_all, score_all

    notes: list[str] = []
    try:
        await score_all(services, actor, done.experiment, note=notes.append)
        done = replace(done, ending=await _ending(services, done), notes=notes)
        if done.ending is not Ending.COMPLETED:
            return done
        done = replace(done, experiment=await _completed(services, actor, done.experiment))
        compared = await compare_all(services, actor, done.experiment, note=notes.append)
    except JudgeStopped as stopped:
        if stopped.reason != BudgetReached.code:
            raise
        return replace(done, ending=Ending.BUDGET_REACHED)
    return replace(done, comparisons=[comparison.result for comparison in compared])


async def _ending(services: Services, done: CarriedOut) -> Ending:
    """Say how things stand once everything that was answered is scored."""
    if await services.experiments.status(done.experiment.id) == "cancelled":
        return Ending.CANCELLED
    if done.open_cells <= 0:
        return Ending.COMPLETED
    return Ending.BUDGET_REACHED if done.report.progress.unpaid else Ending.STOPPED


async def _completed(
    services: Services, actor: Actor, experiment: ExperimentView
) -> ExperimentView:
    if experiment.status != "open":
        return experiment
    await services.experiments.set_status(actor, experiment, "completed")
    return await services.experiments.by_id(experiment.id)
