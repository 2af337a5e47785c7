"""Carry out an experiment from the command line: progress, Ctrl-C, what to do afterwards."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape

from app.llm.budget import BudgetReached
from app.schemas.budgets import BudgetView
from app.schemas.experiments import ExperimentView
from app.schemas.generations import RunTotals
from workbench.cli.context import ExitCode, Workspace, err
from workbench.cli.progress import Before, ProgressMode, show_progress
from workbench.cli.spending import budget_sentence, settle_spending
from workbench.reports.scores import score_text
from workbench.runner.execute import (
    AUTO_CONCURRENCY,
    ExecutionOptions,
    execute,
    may_stop_early,
    progress_detail,
)
from workbench.runner.executor import ExecutionReport, Executor, FatalError, Progress
from workbench.runner.lock import experiment_lock
from workbench.runner.processes import ProcessGroup

__all__ = ["CarriedOut", "carry_out"]


class _Work(Protocol):
    """Something at work that can be watched and stopped."""

    @property
    def progress(self) -> Progress: ...

    def stop(self) -> None: ...


@dataclass
class _Handle:
    """The work once it has begun; Ctrl-C may come before."""

    work: _Work | None = None
    stopped: bool = False

    def begin(self, work: _Work) -> None:
        self.work = work
        if self.stopped:
            work.stop()

    def progress(self) -> Progress:
        return self.work.progress if self.work else Progress()

    def stop(self) -> None:
        self.stopped = True
        if self.work:
            self.work.stop()


@dataclass(frozen=True)
class CarriedOut:
    """What came of it: how the execution ended, sums by run, the comparisons' results,
    score lines by run, and the budget if there is one."""

    experiment: ExperimentView
    exit_code: ExitCode
    totals: Sequence[RunTotals]
    comparisons: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    scores: Sequence[Sequence[str]] = field(default_factory=tuple)
    budget: BudgetView | None = None


async def carry_out(
    workspace: Workspace,
    experiment: ExperimentView,
    options: ExecutionOptions,
    *,
    processes: int = 1,
    mode: ProgressMode = ProgressMode.AUTO,
) -> CarriedOut:
    """Generate what is open, score, compare; exit codes as the design has them."""
    services, actor, console = workspace.services, workspace.actor, err()
    with experiment_lock(workspace.root, experiment.number):
        budget = await settle_spending(services, actor, experiment)
        job_id = await services.experiments.begin_job(
            actor, experiment.id, concurrency=options.concurrency or AUTO_CONCURRENCY
        )
        await _tell_lost_calls(workspace, experiment, console)
        status = "failed"
        handle = _Handle()
        try:
            report = await _execute(workspace, experiment, options, processes, mode, handle, budget)
            status = "stopped" if report.stopped or report.fatal else "done"
        except asyncio.CancelledError:
            status = "stopped"
            report = ExecutionReport(handle.progress(), stopped=True)
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
        finally:
            await services.experiments.end_job(
                actor, job_id, status=status, detail=progress_detail(handle.progress())
            )
        done = await _conclude(workspace, experiment, report, console)
        return replace(done, budget=await services.budgets.get(experiment.id))


async def _execute(
    workspace: Workspace,
    experiment: ExperimentView,
    options: ExecutionOptions,
    processes: int,
    mode: ProgressMode,
    handle: _Handle,
    budget: BudgetView | None,
) -> ExecutionReport:
    services = workspace.services
    totals = await services.generations.totals([run.id for run in experiment.runs])
    reopened = sum(
        count
        for total in totals.values()
        for code, count in total.by_error.items()
        if "*" in options.reopen or code in options.reopen
    )
    already = sum(sum(total.by_status.values()) for total in totals.values()) - reopened
    with _interrupts(handle):
        spent = sum(float(total.cost or 0) for total in totals.values())
        # Of a sequential plan that has ended, more may be done than is wanted.
        already = min(already, experiment.wanted)
        before = Before(already, spent, None if budget is None else float(budget.amount))
        async with show_progress(err(), mode, experiment.wanted, before, handle.progress):
            if processes > 1:
                group = ProcessGroup(
                    services.settings, workspace.actor, experiment, options, processes
                )
                handle.begin(group)
                if not may_stop_early(experiment):
                    return await group.run()
                # Imported here for the same reason as below.
                from workbench.runner.following import run_sequentially

                return await run_sequentially(services, workspace.actor, experiment, group)
            begin: Callable[[Executor], None] = handle.begin
            return await execute(services, workspace.actor, experiment, options, on_start=begin)


class _interrupts:  # noqa: N801 - a context manager reads as a verb
    """Ctrl-C once: finish what is in flight. Twice: end at once."""

    def __init__(self, handle: _Handle) -> None:
        self._handle = handle
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError, RuntimeError):  # not in every kind of thread
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self._interrupt)

    def __exit__(self, *exception: object) -> None:
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError, RuntimeError):
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _interrupt(self) -> None:
        if not self._handle.stopped:
            err().print("\nStopping: calls in flight will finish. Ctrl-C again ends at once.")
            self._handle.stop()
        elif self._task is not None:
            self._task.cancel()


async def _tell_lost_calls(
    workspace: Workspace, experiment: ExperimentView, console: Console
) -> None:
    jobs = await workspace.services.experiments.jobs(experiment.id)
    jobs = [job for job in jobs if job.kind == "run"]
    lost = [job for job in jobs if job.status == "lost"]
    if lost and jobs[-2:-1] == lost[-1:]:
        console.print(
            f"The last process was cut off: about {lost[-1].concurrency} calls that were under "
            "way then may have been charged and are not on the ledger."
        )


async def _conclude(
    workspace: Workspace, experiment: ExperimentView, report: ExecutionReport, console: Console
) -> CarriedOut:
    # Imported here: scoring and comparing need libraries that would delay the first request.
    from workbench.runner.judging import JudgeStopped

    services = workspace.services
    experiment = await services.experiments.by_id(experiment.id)  # a look may have ended it
    run_ids = [run.id for run in experiment.runs]
    totals_by_run = await services.generations.totals(run_ids)
    totals = [totals_by_run[run_id] for run_id in run_ids]
    done = sum(sum(total.by_status.values()) for total in totals)
    if report.fatal is not None:
        _tell_fatal(report.fatal, experiment, done, console)
        return CarriedOut(experiment, ExitCode.USAGE, totals)
    try:
        return await _evaluate(workspace, experiment, report, totals, console)
    except JudgeStopped as stopped:
        if stopped.reason != BudgetReached.code:
            raise
        await _tell_budget_reached(workspace, experiment, done, report.progress, console)
        return CarriedOut(experiment, ExitCode.STOPPED, totals)


async def _evaluate(
    workspace: Workspace,
    experiment: ExperimentView,
    report: ExecutionReport,
    totals: Sequence[RunTotals],
    console: Console,
) -> CarriedOut:
    """Score what is there; compare if nothing is open."""
    from workbench.runner.pipeline import compare_all, score_all  # as above

    services, actor = workspace.services, workspace.actor
    done = sum(sum(total.by_status.values()) for total in totals)
    await score_all(services, actor, experiment)
    if await services.experiments.status(experiment.id) == "cancelled":
        console.print(f"Experiment {experiment.number} was cancelled; its outcomes stay.")
        return CarriedOut(experiment, ExitCode.STOPPED, totals)
    if done < experiment.wanted and report.progress.unpaid:
        await _tell_budget_reached(workspace, experiment, done, report.progress, console)
        return CarriedOut(experiment, ExitCode.STOPPED, totals)
    if done < experiment.wanted:
        left = experiment.wanted - done
        console.print(
            f"Stopped with {left} of {experiment.wanted} cells open. "
            f"Go on with: workbench resume {experiment.number}"
        )
        return CarriedOut(experiment, ExitCode.STOPPED, totals)
    if experiment.status == "open":
        await services.experiments.set_status(actor, experiment, "completed")
        experiment = await services.experiments.by_id(experiment.id)
    comparisons = await compare_all(services, actor, experiment)
    failed = done - sum(
        total.by_status.get("completed", 0) + total.by_status.get("refused", 0) for total in totals
    )
    code = ExitCode.CELLS_FAILED if failed else ExitCode.DONE
    if failed:
        console.print(
            f"{failed} cells failed. Look: workbench show {escape(experiment.runs[0].name)} "
            f"--failed. Try them again: workbench resume {experiment.number} --retry-failed"
        )
    results = [comparison.result for comparison in comparisons]
    return CarriedOut(experiment, code, totals, results, await _scores(workspace, experiment))


async def _tell_budget_reached(
    workspace: Workspace,
    experiment: ExperimentView,
    done: int,
    progress: Progress,
    console: Console,
) -> None:
    budget = await workspace.services.budgets.get(experiment.id)
    assert budget is not None  # noqa: S101 - without one nothing can be reached
    console.print(
        budget_sentence(
            budget,
            experiment.number,
            done,
            experiment.wanted,
            next_call=progress.unpaid_call,
        )
    )


async def _scores(workspace: Workspace, experiment: ExperimentView) -> list[list[str]]:
    """Return for each run a line for each scorer that scored it."""
    scores = workspace.services.scores
    return [
        [
            f"{view.name}: {score_text(await scores.summary(run.id, view.id))}"
            for view in await scores.scorers_of(run.id)
        ]
        for run in experiment.runs
    ]


_REMEDIES = {
    "authentication": "Set the endpoint's key ({key} in the environment or in .env), then: {go}",
    "quota_exhausted": "Add credit to the account, then: {go}",
    "unknown_model": "Check the model's name with `workbench models probe {model}`, then: {go}",
    "endpoint_unreachable": "Start the server or correct its address ({url}), then: {go}",
    "parameter_not_supported": (
        "Tell the catalog: workbench models set {model} --parameter {fact}\nthen: {go}"
    ),
    "bad_request": "Look at the request that was refused: workbench show {run} --failed",
}


def _tell_fatal(fatal: FatalError, experiment: ExperimentView, done: int, console: Console) -> None:
    """Say what stopped the run, what to do about it and what is kept."""
    model = (fatal.run and fatal.run.model) or ""
    variables = {"openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL"), "ollama": ("", "OLLAMA_HOST")}
    prefix = f"WORKBENCH_ENDPOINT_{fatal.endpoint.upper()}"
    key, url = variables.get(fatal.endpoint, (f"{prefix}_API_KEY", f"{prefix}_BASE_URL"))
    console.print(f"[bold red]Stopped:[/] {escape(fatal.message)}")
    remedy = _REMEDIES.get(fatal.code, "Then: {go}")
    console.print(
        escape(
            remedy.format(
                key=key,
                url=url,
                model=model,
                run=fatal.run.name if fatal.run else "",
                fact=fatal.fact or "NAME=unsupported",
                go=f"workbench resume {experiment.number}",
            )
        )
    )
    kept = f"{done} of {experiment.wanted} cells are done" if done else "No cell was marked done"
    console.print(f"[dim]{kept}; the others stay open.[/]")
