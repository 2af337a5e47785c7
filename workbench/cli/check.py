"""`workbench check`: the files of a workspace, without a database, a model or a key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from app.core.errors import ConfigurationError
from workbench.cli.context import ExitCode, FormatOption, command, err, out, print_json
from workbench.number_text import count_text
from workbench.workspace.checking import CheckReport, check_workspace
from workbench.workspace.marker import find_workspace

__all__ = ["app"]

app = typer.Typer(
    help="Check prompt, dataset and experiment files; nothing is called or stored.",
    add_completion=False,
)


@app.command()
@command
async def check(
    path: Annotated[
        Path | None, typer.Argument(help="A file or folder of the workspace (default: all of it).")
    ] = None,
    format_: FormatOption = "text",
) -> int:
    """Check prompt, dataset and experiment files, and render every experiment's requests.

    Needs no key, calls no model, opens no database: safe where no secret may be. Exits with 2 if
    anything is wrong, and names file and line.
    """
    root, only = _asked(path)
    report = await check_workspace(root, only)
    if format_ == "json":
        print_json(_json(report))
    else:
        _print(report)
    return ExitCode.USAGE if report.problems else ExitCode.DONE


def _asked(path: Path | None) -> tuple[Path, Path | None]:
    """Return the workspace, named from the current folder, and what of it was asked for."""
    if path is not None and not path.exists():
        raise ConfigurationError(f"There is no file or folder {path}.")
    root = find_workspace(Path.cwd() if path is None else path.absolute())
    whole = path is None or path.resolve() == root
    return Path(os.path.relpath(root)), None if whole else path


def _print(report: CheckReport) -> None:
    for problem in report.problems:
        err().print(f"[bold red]Error:[/] {escape(problem.message)}")
        if problem.hint:
            err().print(f"[dim]{escape(problem.hint)}[/]")
    for note in report.notes:
        err().print(escape(note), style="dim")
    read = ", ".join(
        count_text(count, noun)
        for count, noun in (
            (report.prompts, "prompt"),
            (report.datasets, "dataset"),
            (report.experiments, "experiment"),
        )
    )
    wrong = count_text(len(report.problems), "problem") if report.problems else "no problem"
    out().print(
        f"{read}; {count_text(report.rendered, 'request')} rendered, no model called: {wrong}."
    )


def _json(report: CheckReport) -> dict[str, object]:
    return {
        "prompts": report.prompts,
        "datasets": report.datasets,
        "experiments": report.experiments,
        "rendered": report.rendered,
        "problems": [{"message": p.message, "hint": p.hint} for p in report.problems],
        "notes": report.notes,
    }
