"""`workbench compare`: one baseline, one or more candidates, one scorer, an honest verdict."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Annotated, Literal

import typer
from rich.markup import escape

from app.core.errors import ConfigurationError
from app.core.hashing import content_hash
from app.llm.budget import BudgetStore
from app.schemas.experiments import ExperimentView, RunView, check_margin
from app.schemas.scores import ScorerView
from workbench.cli.context import Workspace, command, err, open_workspace, out, print_json
from workbench.reports.markdown import comparison_markdown
from workbench.reports.text import comparison_text, experiment_text
from workbench.runner.comparison.comparing import Slicing, compare_pairs
from workbench.runner.pipeline import compared_pairs, experiment_scorers
from workbench.runner.scoring import score_run
from workbench.scorers.judges import JudgePreference
from workbench.workspace.experiments import resolve_scorer

__all__ = ["app"]

app = typer.Typer(
    help="Compare runs under a scorer: difference, interval, verdict.", add_completion=False
)

Pairs = Sequence[tuple[RunView, RunView]]


@app.command()
@command
async def compare(
    baseline: Annotated[
        str | None, typer.Argument(help="A run (default: the baseline of the last experiment).")
    ] = None,
    candidates: Annotated[
        list[str] | None, typer.Argument(help="One or more runs to hold against it.")
    ] = None,
    experiment: Annotated[
        str | None, typer.Option(help="Compare the runs of this experiment: its number.")
    ] = None,
    scorer: Annotated[
        str | None, typer.Option(help="As in exact_match (default: the one all were scored with).")
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(help="The acceptable loss: 0.03 is 3 points (default: the plan's)."),
    ] = None,
    slice_: Annotated[
        list[str] | None, typer.Option("--slice", help="Slice by this metadata column only.")
    ] = None,
    no_slices: Annotated[bool, typer.Option("--no-slices", help="Look at no slices.")] = False,
    format_: Annotated[
        Literal["text", "json", "markdown"], typer.Option("--format", help="text, json, markdown.")
    ] = "text",
) -> None:
    """Compare runs, paired on the example's key; stores a comparison of each candidate.

    Without runs: the runs of the last experiment, each with its baseline. Intervals widen with the
    number of candidates, so that all of them hold together.
    """
    check_margin(margin)
    if no_slices and slice_:
        raise ConfigurationError("Say either --slice COLUMN or --no-slices, not both.")
    async with open_workspace() as workspace, AsyncExitStack() as stack:
        asked, pairs = await _pairs(workspace, baseline, candidates or (), experiment)
        view = await _scorer(workspace, pairs, asked, scorer)
        compared = await compare_pairs(
            workspace.services,
            workspace.actor,
            pairs,
            view,
            margin=margin if margin is not None else _planned_margin(asked, view),
            slicing=Slicing(wanted=not no_slices, columns=tuple(slice_ or ())),
            budget=await _budget(workspace, stack, asked),
            note=_note,
        )
        results = [comparison.result for comparison in compared]
        if format_ == "json":
            print_json(results[0] if len(results) == 1 else results)
        elif format_ == "markdown":
            print("\n\n".join(comparison_markdown(result) for result in results))
        else:
            text = comparison_text(results[0]) if len(results) == 1 else experiment_text(results)
            out().print(text, soft_wrap=False)


async def _pairs(
    workspace: Workspace, baseline: str | None, candidates: Sequence[str], number: str | None
) -> tuple[ExperimentView | None, Pairs]:
    """Return what to compare, and the experiment whose plan holds for all of it."""
    experiments = workspace.services.experiments
    if baseline is not None and number is not None:
        raise ConfigurationError("Say either --experiment N or the runs, not both.")
    if baseline is not None:
        if not candidates:
            raise ConfigurationError(
                "Name two runs, the baseline first.", hint="See `workbench runs list`."
            )
        first = await experiments.run(baseline)
        pairs = [(first, await experiments.run(name)) for name in dict.fromkeys(candidates)]
        return await _experiment_of(workspace, pairs), pairs
    found = await experiments.get(number or "latest")
    of_plan = await compared_pairs(workspace.services, found)
    if not of_plan:
        raise ConfigurationError(
            f"Experiment {found.number} has one run: there is nothing to compare it with.",
            hint="Name two runs: workbench compare BASELINE CANDIDATE",
        )
    names = dict.fromkeys(first.name for first, _ in of_plan)
    err().print(f"Experiment {found.number}, baseline {escape(', '.join(names))}", style="dim")
    return found, of_plan


async def _experiment_of(workspace: Workspace, pairs: Pairs) -> ExperimentView | None:
    """Return the experiment that all candidates are of, if it is one."""
    ids = {candidate.experiment_id for _, candidate in pairs}
    only = ids.pop() if len(ids) == 1 else None
    return None if only is None else await workspace.services.experiments.by_id(only)


def _planned_margin(experiment: ExperimentView | None, scorer: ScorerView) -> float | None:
    """Return the declared margin if this is the scorer that it was declared for."""
    if experiment is None:
        return None
    return experiment.plan.margin if _is_primary(experiment, scorer) else None


def _is_primary(experiment: ExperimentView, scorer: ScorerView) -> bool:
    declared = experiment.spec["scorers"]
    named = [i for i in declared if i["name"] == experiment.plan.scorer] or declared
    return bool(named) and content_hash(named[0]) == scorer.content_hash


async def _budget(
    workspace: Workspace, stack: AsyncExitStack, experiment: ExperimentView | None
) -> BudgetStore | None:
    """Return the budget of the experiment, if it has one: a judge of pairs is asked within it."""
    if experiment is None:
        return None
    budgets = workspace.services.budgets
    holder = f"judges {os.getpid()}"
    return await stack.enter_async_context(budgets.open(workspace.actor, experiment.id, holder))


async def _scorer(
    workspace: Workspace, pairs: Pairs, experiment: ExperimentView | None, text: str | None
) -> ScorerView:
    """Return the scorer to compare under; a bare name means the one all were scored with."""
    scores = workspace.services.scores
    runs = list({run.id: run for pair in pairs for run in pair}.values())
    shared = await scores.scorers_of(runs[0].id)
    for run in runs[1:]:
        ids = {view.id for view in await scores.scorers_of(run.id)}
        shared = [view for view in shared if view.id in ids]
    named = [view for view in shared if text in (None, view.name)]
    if len(named) > 1 and experiment is not None:
        named = [view for view in named if _is_primary(experiment, view)]
    if len(named) == 1:
        return named[0]
    if text is None and (declared := experiment and experiment_scorers(experiment)):
        names = [scorer.name for scorer in declared]
        primary = experiment.plan.scorer if experiment else None
        rule = declared[names.index(primary)] if primary in names else declared[0]
    elif text is None:
        told = ", ".join(view.name for view in shared)
        raise ConfigurationError(
            f"Say which scorer: --scorer ({told})." if told else "Say which scorer: --scorer NAME.",
            hint="Runs are scored on the way where they are not yet; only a judge calls a model.",
        )
    else:
        rule = await resolve_scorer(workspace.services, workspace.actor, text, _note)
    if isinstance(rule, JudgePreference):
        return await scores.ensure_scorer(workspace.actor, rule.identity())
    for run in runs:
        views = await score_run(workspace.services, workspace.actor, run, [rule], note=_note)
    return views[0]


def _note(text: str) -> None:
    err().print(escape(text), style="dim")
