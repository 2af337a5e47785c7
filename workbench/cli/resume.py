"""`workbench resume`: finish what was begun."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

import typer

from app.core.errors import ConfigurationError, Conflict
from app.llm.errors import LLMError
from workbench.cli.context import FormatOption, command, err, open_workspace
from workbench.cli.execution import carry_out
from workbench.cli.gate_options import (
    DEFAULT_FAIL_ON,
    FailOnOption,
    GateOption,
    JunitOption,
    MarkdownOption,
    output_of_gate,
)
from workbench.cli.outcome import print_outcome_and_gate
from workbench.cli.progress import ProgressMode
from workbench.cli.run_options import (
    CacheOption,
    ProcessesOption,
    ProgressOption,
    parse_concurrency,
)
from workbench.cli.spending import BudgetOption, parse_budget, set_budget
from workbench.runner.generation.execute import ExecutionOptions
from workbench.workspace.plan_check import check_gate

__all__ = ["ERROR_CLASSES", "app", "read_targets"]

app = typer.Typer(
    help="Finish an experiment that was stopped, cut off or has failed cells.", add_completion=False
)


def _codes(error: type[LLMError]) -> Iterator[str]:
    yield error.code
    for kind in error.__subclasses__():
        yield from _codes(kind)


ERROR_CLASSES: Final = frozenset(
    {*_codes(LLMError), "invalid_input", "failed", "incomplete", "cancelled", "abandoned"}
)
"""What a cell without an answer is filed under: its error's code, else its status."""


@app.command()
@command
async def resume(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[EXPERIMENT] [CLASS]...",
            help="A number (default: the last unfinished one), and the error classes to retry.",
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also try failed cells again.")
    ] = False,
    error: Annotated[
        list[str] | None,
        typer.Option(
            help="Retry only this class, as in timeout or server_error; implies --retry-failed."
        ),
    ] = None,
    cache: CacheOption = False,
    budget: BudgetOption = None,
    concurrency: Annotated[str, typer.Option(help="A number, or auto.")] = "auto",
    processes: ProcessesOption = 1,
    gate: GateOption = False,
    fail_on: FailOnOption = DEFAULT_FAIL_ON,
    markdown: MarkdownOption = None,
    junit: JunitOption = None,
    format_: FormatOption = "text",
    progress: ProgressOption = ProgressMode.AUTO,
) -> int:
    """Finish an experiment that was stopped, cut off or has failed cells.

    What is left to do is derived from the stored outcomes; nothing is done twice.
    """
    experiment, classes = read_targets(targets or (), error or ())
    if classes and not (retry_failed or error):
        raise ConfigurationError(
            f"{classes[0]} is an error class.",
            hint=f"To try its cells again: workbench resume --retry-failed {classes[0]}",
        )
    retry_failed = retry_failed or bool(error)
    at_once, amount = parse_concurrency(concurrency), parse_budget(budget)
    decided = output_of_gate(gate, fail_on, markdown, junit)
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
        if decided is not None:  # before the money is spent
            if found.extends_id is not None:
                raise Conflict(
                    f"Experiment {found.number} is an extension: its gate never passes, since its "
                    "examples were added after a look.",
                    hint="Leave --gate out, or ask the newer version in a new experiment.",
                )
            check_gate(found.plan, found.spec["scorers"], examples=found.example_count)
        reopen = (classes or ("*",)) if retry_failed else ()
        runs, cells = _counted(len(found.runs), "run"), _counted(found.wanted, "cell")
        err().print(f"Experiment {found.number}: {runs}, {cells} wanted.")
        await set_budget(workspace, found, amount)
        done = await carry_out(
            workspace,
            found,
            ExecutionOptions(concurrency=at_once, reopen=reopen, cache=cache),
            processes=processes,
            mode=progress,
        )
        return await print_outcome_and_gate(workspace, done, format_, decided)


def read_targets(
    positional: Sequence[str], errors: Sequence[str]
) -> tuple[str | None, tuple[str, ...]]:
    """Return the experiment, if one is named, and the error classes to try again.

    `--retry-failed` stands before a class as often as before an experiment, so a word says
    itself which it is. Raises `ConfigurationError` for one that is neither.
    """
    experiments = [word for word in positional if word.isdecimal() or word == "latest"]
    classes = (*errors, *(word for word in positional if word not in experiments))
    if unknown := [name for name in classes if name not in ERROR_CLASSES]:
        what = "error class" if unknown[0] in errors else "experiment and no error class"
        raise ConfigurationError(
            f"{unknown[0]!r} is no {what}.",
            hint="An experiment is a number or latest. "
            f"Error classes: {', '.join(sorted(ERROR_CLASSES))}.",
        )
    if len(experiments) > 1:
        raise ConfigurationError("Name one experiment at a time.")
    return (experiments[0] if experiments else None), classes


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count != 1 else ''}"
