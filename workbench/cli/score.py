"""`workbench score`: score stored outputs. Rules and functions call no model, judges do."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import AsyncExitStack
from typing import Annotated
from uuid import UUID

import typer
from rich.markup import escape

from app.schemas.scores import ScorerView
from workbench.cli.context import Workspace, command, err, open_workspace, out
from workbench.reports.scores import score_text
from workbench.reports.visible import visible
from workbench.runner.scoring import score_run
from workbench.workspace.experiments import resolve_scorer

__all__ = ["app"]

_SAMPLE = 100

app = typer.Typer(help="Score the stored outputs of a run.", add_completion=False)


@app.command()
@command
async def score(
    run: Annotated[str, typer.Argument(help="Its name, a unique beginning of it, or latest.")],
    scorer: Annotated[
        list[str], typer.Option(help="As in numeric_answer or json_field:path=total.")
    ],
) -> None:
    """Score the stored outputs of a run; what was scored before stays as it is.

    The outputs are not asked for again. A judge asks its model about each of them, within the
    budget of the run's experiment if that has one; other scorers call no model.
    """
    async with open_workspace() as workspace:
        services = workspace.services
        found = await services.experiments.run(run)
        rules = [await resolve_scorer(services, workspace.actor, text, _note) for text in scorer]
        async with AsyncExitStack() as stack:
            budget = None
            if found.experiment_id is not None:
                opened = services.budgets.open(
                    workspace.actor, found.experiment_id, f"judges {os.getpid()}"
                )
                budget = await stack.enter_async_context(opened)
            views = await score_run(
                services, workspace.actor, found, rules, budget=budget, note=_note
            )
        for view in views:
            summary = await services.scores.summary(found.id, view.id)
            told = score_text(summary)
            if summary.n_scored == 0:
                told += await _why_none(workspace, found.id, view)
            line = visible(f"{found.name} · {view.name} v{view.version}: {told}")
            out().print(escape(line))


def _note(text: str) -> None:
    err().print(escape(text), style="dim")


async def _why_none(workspace: Workspace, run_id: UUID, scorer: ScorerView) -> str:
    """Return the most common reason, among the first outputs, that a scorer gave none a value."""
    services = workspace.services
    stories = await services.generations.stories(run_id, statuses=("completed",), limit=_SAMPLE)
    given = await services.scores.of_generations([story.id for story in stories])
    reasons = Counter(
        score.explanation
        for scores in given.values()
        for score in scores
        if score.scorer_id == scorer.id and score.explanation
    )
    return "".join(f": {reason}" for reason, _ in reasons.most_common(1))
