"""`workbench report`: an experiment as a page to read, keep and send."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.core.errors import ConfigurationError
from workbench.cli.context import command, open_workspace, out
from workbench.reports.files import check_report_path
from workbench.reports.write import ReportForm, write_reports

__all__ = ["app"]

app = typer.Typer(
    help="Write an experiment as HTML, Markdown or JSON, each one file that needs nothing else.",
    add_completion=False,
)


@app.command()
@command
async def report(
    experiment: Annotated[str, typer.Argument(help="Its number, or latest.")] = "latest",
    html: Annotated[
        Path | None, typer.Option("--html", help="A page to look at; replaced if there.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", help="A text for a pull request; likewise.")
    ] = None,
    json_: Annotated[
        Path | None, typer.Option("--json", help="The same facts for a program; likewise.")
    ] = None,
) -> None:
    """Write an experiment to files: verdicts, changed examples, runs, warnings, provenance.

    The page runs no script and loads nothing, so it can be mailed and kept. All forms hold
    inputs and answers of the examples they show.

    Examples:

      workbench report 12 --html report-12.html

      workbench report latest --markdown comment.md --json facts.json
    """
    asked = {ReportForm.HTML: html, ReportForm.MARKDOWN: markdown, ReportForm.JSON: json_}
    paths = {form: path for form, path in asked.items() if path is not None}
    if not paths:
        raise ConfigurationError(
            "Say what to write.", hint="As in workbench report latest --html report.html"
        )
    for path in paths.values():
        check_report_path(path)
    if len({path.resolve() for path in paths.values()}) < len(paths):
        raise ConfigurationError("Each form needs a file of its own: one would replace another.")
    async with open_workspace() as workspace:
        found = await workspace.services.experiments.get(experiment)
        await write_reports(workspace.services, found, paths)
        for path in paths.values():
            out().print(str(path), markup=False)
