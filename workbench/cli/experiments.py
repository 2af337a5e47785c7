"""`workbench experiments`: what was asked, how far it is, stop it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.markup import escape

from app.core.errors import Conflict
from app.schemas.experiments import ExperimentView
from app.schemas.generations import RunTotals
from workbench.cli.context import (
    FormatOption,
    Workspace,
    command,
    open_workspace,
    out,
    print_json,
)
from workbench.cli.counts import (
    counts_text,
    done_and_failed,
    judging_json,
    judging_text,
    sequential_text,
)
from workbench.cli.spending import budget_json, budget_line
from workbench.cli.tables import plain_table, print_with_whole_names
from workbench.reports.text import comparison_text

__all__ = ["app"]

app = typer.Typer(
    help="Experiments: list, show, cancel.", no_args_is_help=True, add_completion=False
)


@app.command("list")
@command
async def list_(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    format_: FormatOption = "text",
) -> None:
    """List the newest experiments."""
    async with open_workspace() as workspace:
        experiments = await workspace.services.experiments.list(limit=limit)
        totals = await _totals(workspace, experiments)
        if format_ == "json":
            print_json(
                [_json(e, totals[e.number], await _parent(workspace, e)) for e in experiments]
            )
            return
        if not experiments:
            out().print("No experiment yet. Start one: workbench run --help")
            return
        table = plain_table("experiment", "dataset", "runs", "done", "failed", "status", "created")
        for experiment in experiments:
            done, failed = done_and_failed(totals[experiment.number])
            name = f" {escape(experiment.name)}" if experiment.name else ""
            if (parent := await _parent(workspace, experiment)) is not None:
                name += f" (extends {parent})"
            table.add_row(
                f"{experiment.number}{name}",
                escape(experiment.dataset),
                str(len(experiment.runs)),
                f"{min(done, experiment.wanted)}/{experiment.wanted}",
                str(failed) if failed else "",
                experiment.status,
                experiment.created_at.strftime("%Y-%m-%d %H:%M UTC"),
            )
        print_with_whole_names(out(), table, columns=2)


@app.command()
@command
async def show(
    experiment: Annotated[str, typer.Argument(help="Its number, or latest.")] = "latest",
    format_: FormatOption = "text",
) -> None:
    """Show one experiment: its runs, how far they are, the stored comparisons."""
    async with open_workspace() as workspace:
        services = workspace.services
        found = await services.experiments.get(experiment)
        totals = (await _totals(workspace, [found]))[found.number]
        comparisons = await services.comparisons.of_runs([run.id for run in found.runs])
        newest = {
            (c.baseline_run_id, c.candidate_run_id, c.scorer_id): c for c in comparisons[::-1]
        }
        parent = await _parent(workspace, found)
        budget = await services.budgets.get(found.id)
        judging = await services.judgements.totals([run.id for run in found.runs])
        if format_ == "json":
            shape = _json(found, totals, parent)
            for run, told in zip(found.runs, shape["runs"], strict=True):
                told["judging"] = judging_json(judging[run.id])
            shape["budget"] = budget_json(budget)
            shape["comparisons"] = [c.result for c in newest.values()]
            jobs = await services.jobs.of_experiment(found.id)
            shape["jobs"] = [job.model_dump(mode="json") for job in jobs]
            print_json(shape)
            return
        console = out()
        name = f" {escape(found.name)}" if found.name else ""
        console.print(
            f"[bold]Experiment {found.number}[/]{name}: {found.status}, {escape(found.dataset)}, "
            f"{found.example_count} examples x {found.repetitions}"
            + ("" if parent is None else f", extends experiment {parent}")
        )
        if (ended := sequential_text(found, totals)) is not None:
            console.print(escape(ended))
        if budget is not None:
            console.print(f"  {budget_line(budget)}")
        for run, total in zip(found.runs, totals, strict=True):
            counts = counts_text(total)
            cost = "" if total.cost is None else f", ${total.cost:.4f}"
            mark = " [yellow](simulated)[/]" if run.simulated else ""
            console.print(f"  {escape(run.name)}{mark}: {counts or 'nothing yet'}{cost}")
            if (asked := judging_text(judging[run.id])) is not None:
                console.print(f"    {asked}")
            if total.by_error:
                errors = ", ".join(f"{code} {n}" for code, n in sorted(total.by_error.items()))
                console.print(f"    errors: {errors}")
        for comparison in newest.values():
            console.print()
            console.print(comparison_text(comparison.result), soft_wrap=False)
        if found.status == "open":
            console.print(f"\nGo on with: workbench resume {found.number}")


@app.command()
@command
async def cancel(
    experiment: Annotated[str, typer.Argument(help="Its number.")],
) -> None:
    """Stop an experiment for good: a process at work on it finishes its calls and ends."""
    async with open_workspace() as workspace:
        found = await workspace.services.experiments.get(experiment)
        if found.status != "open":
            raise Conflict(f"Experiment {found.number} is {found.status} already.")
        await workspace.services.experiments.set_status(workspace.actor, found, "cancelled")
        out().print(f"Experiment {found.number} is cancelled; its outcomes stay.")


async def _totals(
    workspace: Workspace, experiments: Sequence[ExperimentView]
) -> dict[int, list[RunTotals]]:
    ids = [run.id for experiment in experiments for run in experiment.runs]
    totals = await workspace.services.generations.totals(ids)
    return {e.number: [totals[run.id] for run in e.runs] for e in experiments}


async def _parent(workspace: Workspace, experiment: ExperimentView) -> int | None:
    """Return the number of the experiment that this one extends."""
    if experiment.extends_id is None:
        return None
    return (await workspace.services.experiments.by_id(experiment.extends_id)).number


def _json(
    experiment: ExperimentView, totals: list[RunTotals], parent: int | None
) -> dict[str, Any]:
    return {
        "experiment": experiment.number,
        "id": str(experiment.id),
        "name": experiment.name,
        "dataset": experiment.dataset,
        "status": experiment.status,
        "wanted": experiment.wanted,
        "extends": parent,
        "sequential": experiment.sequential and experiment.sequential.model_dump(mode="json"),
        "created_at": experiment.created_at.isoformat(),
        "created_by": experiment.created_by,
        "spec": experiment.spec,
        "runs": [
            {
                "name": run.name,
                "id": str(run.id),
                "prompt": run.prompt,
                "model": run.model,
                "simulated": run.simulated,
                "counts": total.by_status,
                "errors": total.by_error,
                "input_tokens": total.input_tokens,
                "output_tokens": total.output_tokens,
                "cost": None if total.cost is None else float(total.cost),
                "unpriced": total.unpriced,
                "reopened": total.reopened,
                "reused": total.reused,
            }
            for run, total in zip(experiment.runs, totals, strict=True)
        ],
    }
