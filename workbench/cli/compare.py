"""`workbench compare`: two runs, one scorer, an honest verdict."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from rich.markup import escape

from app.core.errors import ConfigurationError
from app.schemas.experiments import RunView, check_margin
from app.schemas.scores import ScorerView
from workbench.cli.context import Workspace, command, err, open_workspace, out, print_json
from workbench.reports.markdown import comparison_markdown
from workbench.reports.text import comparison_text
from workbench.runner.comparing import compare_runs
from workbench.runner.scoring import score_run
from workbench.scorers import parse_scorer

__all__ = ["app"]

app = typer.Typer(
    help="Compare two runs under a scorer: difference, interval, verdict.", add_completion=False
)


@app.command()
@command
async def compare(
    baseline: Annotated[
        str | None, typer.Argument(help="A run (default: the baseline of the last experiment).")
    ] = None,
    candidate: Annotated[str | None, typer.Argument(help="A run.")] = None,
    scorer: Annotated[
        str | None, typer.Option(help="As in exact_match (default: the one both were scored with).")
    ] = None,
    margin: Annotated[
        float | None, typer.Option(help="The acceptable loss: 0.03 is 3 points of a rate.")
    ] = None,
    format_: Annotated[
        Literal["text", "json", "markdown"], typer.Option("--format", help="text, json, markdown.")
    ] = "text",
) -> None:
    """Compare two runs, paired on the example's key; stores the comparison.

    Without runs: the runs of the last experiment, each with its baseline.
    """
    check_margin(margin)
    async with open_workspace() as workspace:
        pairs = await _pairs(workspace, baseline, candidate)
        results = []
        for first, second in pairs:
            view = await _scorer(workspace, first, second, scorer)
            compared = await compare_runs(
                workspace.services,
                workspace.actor,
                first,
                second,
                view,
                margin=margin,
                comparisons=len(pairs),
            )
            results.append(compared.result)
        if format_ == "json":
            print_json(results[0] if len(results) == 1 else results)
        elif format_ == "markdown":
            print("\n\n".join(comparison_markdown(result) for result in results))
        else:
            for index, result in enumerate(results):
                if index:
                    out().print()
                out().print(comparison_text(result), soft_wrap=False)


async def _pairs(
    workspace: Workspace, baseline: str | None, candidate: str | None
) -> list[tuple[RunView, RunView]]:
    experiments = workspace.services.experiments
    if baseline is not None and candidate is not None:
        return [(await experiments.run(baseline), await experiments.run(candidate))]
    if baseline is not None:
        raise ConfigurationError(
            "Name two runs, the baseline first.", hint="See `workbench runs list`."
        )
    latest = await experiments.get("latest")
    first = latest.runs[latest.spec["baseline"]]
    others = [run for run in latest.runs if run.id != first.id]
    if not others:
        raise ConfigurationError(
            f"Experiment {latest.number} has one run: there is nothing to compare it with.",
            hint="Name two runs: workbench compare BASELINE CANDIDATE",
        )
    err().print(f"Experiment {latest.number}, baseline {escape(first.name)}", style="dim")
    return [(first, run) for run in others]


async def _scorer(
    workspace: Workspace, baseline: RunView, candidate: RunView, text: str | None
) -> ScorerView:
    """Return the scorer to compare under; a bare name means the one both were scored with."""
    scores = workspace.services.scores
    of_baseline = await scores.scorers_of(baseline.id)
    shared_ids = {view.id for view in await scores.scorers_of(candidate.id)}
    shared = [view for view in of_baseline if view.id in shared_ids]
    named = [view for view in shared if text in (None, view.name)]
    if len(named) == 1:
        return named[0]
    if text is None:
        names = ", ".join(view.name for view in shared)
        raise ConfigurationError(
            f"Say which scorer: --scorer ({names})."
            if names
            else "Say which scorer: --scorer NAME.",
            hint="Both runs are scored on the way where they are not yet; no model is called.",
        )
    rule = parse_scorer(text)
    for run in (baseline, candidate):
        views = await score_run(workspace.services, workspace.actor, run, [rule])
    return views[0]
