"""`workbench resume`: finish what was begun."""

from __future__ import annotations

from typing import Annotated

import typer

from app.core.errors import Conflict
from workbench.cli.context import ExitCode, FormatOption, command, err, open_workspace
from workbench.cli.execution import carry_out
from workbench.cli.progress import ProgressMode
from workbench.cli.run import parse_concurrency, print_outcome
from workbench.runner.execute import ExecutionOptions
from workbench.runner.processes import prepare_processes

__all__ = ["app"]

app = typer.Typer(
    help="Finish an experiment that was stopped, cut off or has failed cells.", add_completion=False
)


@app.command()
@command
async def resume(
    experiment: Annotated[
        str | None, typer.Argument(help="Its number (default: the last unfinished one).")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also try failed cells again.")
    ] = False,
    error: Annotated[
        list[str] | None,
        typer.Option(help="With --retry-failed: only this class, as in timeout or server_error."),
    ] = None,
    concurrency: Annotated[str, typer.Option(help="A number, or auto.")] = "auto",
    processes: Annotated[int, typer.Option(min=1, max=64, help="Share the work out.")] = 1,
    format_: FormatOption = "text",
    progress: Annotated[ProgressMode, typer.Option(help="How progress is shown.")] = (
        ProgressMode.AUTO
    ),
) -> int:
    """Finish an experiment that was stopped, cut off or has failed cells.

    What is left to do is derived from the stored outcomes; nothing is done twice.
    """
    if processes > 1:
        prepare_processes()
    async with open_workspace() as workspace:
        services = workspace.services
        reference = experiment or "latest"
        found = await services.experiments.get(
            reference, unfinished=experiment is None and not retry_failed
        )
        if found.status == "cancelled":
            raise Conflict(
                f"Experiment {found.number} was cancelled.", hint="Start anew: workbench run --new"
            )
        reopen = tuple(error or ("*",)) if retry_failed else ()
        err().print(
            f"Experiment {found.number}: {len(found.runs)} runs, {found.wanted} cells wanted."
        )
        done = await carry_out(
            workspace,
            found,
            ExecutionOptions(concurrency=parse_concurrency(concurrency), reopen=reopen),
            processes=processes,
            mode=progress,
        )
        await print_outcome(workspace, done, format_)
        return ExitCode(done.exit_code)
