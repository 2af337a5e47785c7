"""`workbench score`: score stored outputs, without calling a model."""

from __future__ import annotations

from collections import Counter
from typing import Annotated
from uuid import UUID

import typer
from rich.markup import escape

from app.schemas.scores import ScorerView
from workbench.cli.context import Workspace, command, err, open_workspace, out
from workbench.reports.scores import score_text
from workbench.runner.scoring import score_run
from workbench.workspace.experiments import resolve_scorer

__all__ = ["app"]

_SAMPLE = 100

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
        rules = [await resolve_scorer(services, workspace.actor, text, _note) for text in scorer]
        views = await score_run(services, workspace.actor, found, rules)
        for view in views:
            summary = await services.scores.summary(found.id, view.id)
            told = score_text(summary)
            if summary.n_scored == 0:
                told += await _why_none(workspace, found.id, view)
            out().print(f"{escape(found.name)} · {view.name} v{view.version}: {escape(told)}")


def _note(text: str) -> None:
    err().print(escape(text), style="dim")


async def _why_none(workspace: Workspace, run_id: UUID, scorer: ScorerView) -> str:
    """Return the most common reason, among the first outputs, that a scorer gave none a value."""
    services = workspace.services
    stories = await services.generations.stories(run_id, statuses=("completed",), limit=_SAMPLE)
    reasons: Counter[str] = Counter()
    for story in stories:
        reasons.update(
            score.explanation
            for score in await services.scores.of_generation(story.id)
            if (score.scorer, score.version) == (scorer.name, scorer.version) and score.explanation
        )
    return "".join(f": {reason}" for reason, _ in reasons.most_common(1))
