"""Generate: carry out the open cells of an experiment in this process.

What a worker process needs, and nothing that only scoring and comparing need: their
libraries would double its start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from app.bootstrap import Services
from app.core.hashing import JSON
from app.core.permissions import Actor
from app.schemas.experiments import ExperimentView
from app.schemas.generations import AttemptOutcome, Outcome
from workbench.runner.cells import CellSource
from workbench.runner.executor import ExecutionReport, Executor, Progress
from workbench.runner.plans import build_plans
from workbench.runner.probation import MAX_FIRST_CALLS
from workbench.runner.remaining import Shard

__all__ = ["AUTO_CONCURRENCY", "ExecutionOptions", "execute", "progress_detail"]

_CANCEL_POLL_S = 2.0
AUTO_CONCURRENCY = 100  # an upper bound of workers where the limit adapts


@dataclass(frozen=True)
class ExecutionOptions:
    """How to work, none of which changes what is answered.

    `concurrency` (over all processes) None adapts to the provider. `reopen` are the error
    codes to retry.
    """

    concurrency: int | None = None
    reopen: Collection[str] = ()
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

    `on_start` is given the executor, to watch its progress and to stop it.
    """
    plans = await build_plans(services, experiment)
    totals = await services.generations.totals([run.id for run in experiment.runs])
    source = CellSource(
        experiment,
        services.datasets,
        services.generations,
        shard=options.shard,
        reopen=options.reopen,
        fresh=not any(total.by_status for total in totals.values()),
    )
    client = services.llm_client(
        {plan.target.endpoint for plan in plans},
        concurrency=options.concurrency,
        share=1 / options.shard.count,
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
        return await executor.run()
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        await client.close()


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
        "calls": progress.calls,
        "first_call_at": progress.first_call_at.isoformat() if progress.first_call_at else None,
        "cpu_s": progress.cpu_s,
        "peak_mib": progress.peak_mib,
        "last_commit_at": progress.last_commit_at.isoformat() if progress.last_commit_at else None,
    }
