"""Carry out an experiment from the command line: progress, Ctrl-C, what to do afterwards."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape

from app.schemas.budgets import BudgetView
from app.schemas.experiments import ExperimentView
from workbench.cli.context import ExitCode, Workspace, err
from workbench.cli.progress import Before, ProgressMode, show_progress
from workbench.cli.spending import budget_sentence, settle_spending
from workbench.runner.carrying_out import CarriedOut, Ending, conclude, generate
from workbench.runner.generation.execute import ExecutionOptions
from workbench.runner.generation.executor import ExecutionReport, FatalError, Progress, Work
from workbench.runner.generation.lock import experiment_lock

__all__ = ["carry_out", "exit_code"]


@dataclass
class _Handle:
    """The work once it has begun; Ctrl-C may come before."""

    work: Work | None = None
    stopped: bool = False

    def begin(self, work: Work) -> None:
        self.work = work
        if self.stopped:
            work.stop()

    def progress(self) -> Progress:
        return self.work.progress if self.work else Progress()

    def stop(self) -> None:
        self.stopped = True
        if self.work:
            self.work.stop()


async def carry_out(
    workspace: Workspace,
    experiment: ExperimentView,
    options: ExecutionOptions,
    *,
    processes: int = 1,
    mode: ProgressMode = ProgressMode.AUTO,
) -> CarriedOut:
    """Generate what is open, score, compare; say on standard error what keeps it from its end."""
    services, actor, console = workspace.services, workspace.actor, err()
    with experiment_lock(workspace.root, experiment.number):
        budget = await settle_spending(services, actor, experiment)
        await _tell_lost_calls(workspace, experiment, console)
        report = await _generate(workspace, experiment, options, processes, mode, budget)
        done = await conclude(services, actor, experiment, report)
    _tell_ending(done, console)
    return done


def exit_code(done: CarriedOut) -> ExitCode:
    """Return what `run` and `resume` exit with when no gate is asked for."""
    match done.ending:
        case Ending.COMPLETED:
            return ExitCode.CELLS_FAILED if done.failed else ExitCode.DONE
        case Ending.FATAL:
            return ExitCode.USAGE
        case Ending.STOPPED | Ending.BUDGET_REACHED | Ending.CANCELLED:
            return ExitCode.STOPPED


async def _generate(
    workspace: Workspace,
    experiment: ExperimentView,
    options: ExecutionOptions,
    processes: int,
    mode: ProgressMode,
    budget: BudgetView | None,
) -> ExecutionReport:
    """Generate under Ctrl-C and with progress; ended at once, it is reported as stopped."""
    before = await _before(workspace, experiment, options, budget)
    handle = _Handle()
    try:
        with _interrupts(handle):
            async with show_progress(err(), mode, experiment.wanted, before, handle.progress):
                return await generate(
                    workspace.services,
                    workspace.actor,
                    experiment,
                    options,
                    processes=processes,
                    on_start=handle.begin,
                )
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        return ExecutionReport(handle.progress(), stopped=True)


async def _before(
    workspace: Workspace,
    experiment: ExperimentView,
    options: ExecutionOptions,
    budget: BudgetView | None,
) -> Before:
    """Return what the experiment had before; cells that are tried again count as open."""
    found = await workspace.services.generations.totals([run.id for run in experiment.runs])
    totals = found.values()
    reopened = sum(
        count
        for total in totals
        for code, count in total.by_error.items()
        if "*" in options.reopen or code in options.reopen
    )
    already = sum(sum(total.by_status.values()) for total in totals) - reopened
    return Before(
        # Of a sequential plan that has ended, more may be done than is wanted.
        done=min(already, experiment.wanted),
        spent=sum(float(total.cost or 0) for total in totals),
        budget=None if budget is None else float(budget.amount),
    )


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
    """Say it if the last process left its job running: we hold the lock, so it is gone."""
    jobs = await workspace.services.jobs.of_experiment(experiment.id)
    last = next((job for job in reversed(jobs) if job.kind == "run"), None)
    if last is not None and last.status == "running":
        console.print(
            f"The last process was cut off: about {last.concurrency} calls that were under "
            "way then may have been charged and are not on the ledger."
        )


def _tell_ending(done: CarriedOut, console: Console) -> None:
    """Say why there is work left and how to go on, or which cells failed."""
    number = done.experiment.number
    for note in done.notes:
        console.print(escape(f"{note} Go on with: workbench resume {number}"))
    match done.ending:
        case Ending.FATAL:
            assert done.report.fatal is not None  # noqa: S101 - it is what the ending says
            _tell_fatal(done.report.fatal, done.experiment, done.done, console)
        case Ending.CANCELLED:
            console.print(f"Experiment {number} was cancelled; its outcomes stay.")
        case Ending.BUDGET_REACHED:
            assert done.budget is not None  # noqa: S101 - without one nothing can be reached
            console.print(
                budget_sentence(
                    done.budget,
                    number,
                    done.done,
                    done.experiment.wanted,
                    next_call=done.report.progress.unpaid_call,
                )
            )
        case Ending.STOPPED:
            console.print(
                f"Stopped with {done.open_cells} of {done.experiment.wanted} cells open. "
                f"Go on with: workbench resume {number}"
            )
        case Ending.COMPLETED if done.failed:
            console.print(
                f"{done.failed} cells failed. Look: workbench show "
                f"{escape(done.experiment.runs[0].name)} --failed. "
                f"Try them again: workbench resume {number} --retry-failed"
            )


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
