"""`workbench score`: score stored outputs, without calling a model."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from workbench.cli.context import command, open_workspace, out
from workbench.reports.scores import score_text
from workbench.runner.scoring import score_run
from workbench.scorers import parse_scorer

__all__ = ["app"]

app = typer.Typer(
    help="Score the stored outputs of a run; no model is called.", add_completion=False
)


@app.command()
@command
async def score(
    run: Annotated[str, typer.Argument(help="Its name, a unique beginning of it, or latest.")],
    scorer: Annotated[
        list[str], typer.Option(help="As in numeric_answer or json_field:path=total.")
    ],
) -> None:
    """Score the stored outputs of a run; what was scored before stays as it is."""
    async with open_workspace() as workspace:
        services = workspace.services
        found = await services.experiments.run(run)
        rules = [parse_scorer(text) for text in scorer]
        views = await score_run(services, workspace.actor, found, rules)
        for view in views:
            summary = await services.scores.summary(found.id, view.id)
            out().print(
                f"{escape(found.name)} · {view.name} v{view.version}: {score_text(summary)}"
            )
