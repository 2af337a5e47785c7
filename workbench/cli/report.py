"""`workbench report`: an experiment as a page to read, keep and send."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.context import command, open_workspace, out
from workbench.reports.gather import check_page_path, write_page

__all__ = ["app"]

app = typer.Typer(
    help="Write an experiment as one HTML page that needs nothing else.", add_completion=False
)


@app.command()
@command
async def report(
    html: Annotated[Path, typer.Option("--html", help="The file to write; replaced if there.")],
    experiment: Annotated[str, typer.Argument(help="Its number, or latest.")] = "latest",
) -> None:
    """Write an experiment as one HTML page: verdicts, runs, changed examples, provenance.

    The page runs no script and loads nothing, so it can be mailed and kept. It holds prompts,
    inputs and answers of the examples it shows.

    Example:

      workbench report 12 --html report-12.html
    """
    check_page_path(html)
    async with open_workspace() as workspace:
        found = await workspace.services.experiments.get(experiment)
        page = await write_page(workspace.services, found, html)
        out().print(str(page), markup=False)
