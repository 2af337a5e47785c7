"""Generate: carry out the open cells of an experiment in this process.

What a worker process needs, and nothing that only scoring and comparing need: their
libraries would double its start.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from app.bootstrap import Services
from app.core.hashing import JSON
from app.core.permissions import Actor
from app.llm.budget import BudgetStore
from app.schemas.experiments import ExperimentView
from app.schemas.generations import AttemptOutcome, Outcome
from workbench.runner.generation.cells import CellSource
from workbench.runner.generation.executor import ExecutionReport, Executor, Progress, Work
from workbench.runner.generation.order import example_order
from workbench.runner.generation.plans import build_plans
from workbench.runner.generation.probation import MAX_FIRST_CALLS
from workbench.runner.generation.remaining import Shard
from workbench.runner.generation.reuse import open_reuse

__all__ = [
    "AUTO_CONCURRENCY",
    "ExecutionOptions",
    "execute",
    "may_stop_early",
    "progress_detail",
    "run_work",
]

_CANCEL_POLL_S = 2.0
AUTO_CONCURRENCY = 100  # an upper bound of workers where the limit adapts


@dataclass(frozen=True)
class ExecutionOptions:
    """How to work, none of which changes what is asked.

    `concurrency` (over all processes) None adapts to the provider. `reopen` are the error
    codes to retry. `cache` takes a stored answer where an equal request has one.
    """

    concurrency: int | None = None
    reopen: Collection[str] = ()
    cache: bool = False
    shard: Shard = field(default_factory=Shard)


async def execute(
    services: Services,
    actor: Actor,
    experiment: ExperimentView,
    options: ExecutionOptions,
    *,
    on_start: Callable[[Executor], None] = lambda executor: None,
) -> ExecutionReport:
    """Carry out the open cells of an experiment in this process.

    `on_start` is given the executor, to watch its progress and to stop it. If the experiment has
    a budget, what cannot be paid stays open.
    """
    async with services.budgets.open(actor, experiment.id, f"process {os.getpid()}") as budget:
        return await _execute(services, actor, experiment, options, budget, on_start)


async def _execute(
    services: Services,
    actor: Actor,
    experiment: ExperimentView,
    options: ExecutionOptions,
    budget: BudgetStore | None,
    on_start: Callable[[Executor], None],
) -> ExecutionReport:
    plans = await build_plans(services, experiment)
    totals = await services.generations.totals([run.id for run in experiment.runs])
    source = CellSource(
        experiment,
        services.datasets,
        services.generations,
        shard=options.shard,
        reopen=options.reopen,
        fresh=not any(total.by_status for total in totals.values()),
        order=await example_order(services, experiment),
        reuse=await open_reuse(
            services.experiments, services.generations, experiment, plans, cache=options.cache
        ),
    )
    client = services.llm_client(
        {plan.target.endpoint for plan in plans},
        concurrency=options.concurrency,
        share=1 / options.shard.count,
        budget=budget,
    )

    async def store(outcomes: Sequence[Outcome], attempts: Sequence[AttemptOutcome]) -> None:
        await services.generations.record(actor, outcomes, attempts)

    executor = Executor(
        plans,
        source,
        client,
        store,
        services.clock,
        concurrency=max(1, (options.concurrency or AUTO_CONCURRENCY) // options.shard.count),
        first_calls=max(1, MAX_FIRST_CALLS // options.shard.count),
        trusted={plan.target for plan in plans if totals[plan.run.id].by_status.get("completed")},
    )
    on_start(executor)
    watch = asyncio.create_task(_stop_when_cancelled(services, experiment, executor))
    try:
        if options.shard.count > 1:  # whoever shared the work out looks at it as a whole
            return await executor.run()
        return await run_work(services, actor, experiment, executor)
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        await client.close()


async def run_work(
    services: Services, actor: Actor, experiment: ExperimentView, work: Work
) -> ExecutionReport:
    """Do the work to its end; that of a sequential plan until a look has decided."""
    if not may_stop_early(experiment):
        return await work.run()
    # Imported here: looking needs libraries that would delay the first request.
    from workbench.runner.generation.following import run_sequentially

    return await run_sequentially(services, actor, experiment, work)


def may_stop_early(experiment: ExperimentView) -> bool:
    """Whether somebody has to look at the results while this goes on."""
    return experiment.plan.mode == "sequential" and experiment.sequential is None


async def _stop_when_cancelled(
    services: Services, experiment: ExperimentView, executor: Executor
) -> None:
    """Somebody may cancel the experiment from another process."""
    # A row in the database is no event that could be waited for.
    while await services.experiments.status(experiment.id) != "cancelled":  # noqa: ASYNC110
        await asyncio.sleep(_CANCEL_POLL_S)
    executor.stop()


def progress_detail(progress: Progress) -> dict[str, JSON]:
    """Return what a job's row keeps of the work."""
    return {
        "outcomes": progress.done,
        "reused": progress.reused,
        "calls": progress.calls,
        "first_call_at": progress.first_call_at.isoformat() if progress.first_call_at else None,
        "cpu_s": progress.cpu_s,
        "peak_mib": progress.peak_mib,
        "last_commit_at": progress.last_commit_at.isoformat() if progress.last_commit_at else None,
    }
