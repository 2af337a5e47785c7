"""`workbench runs`: list, show, and bring in outputs that were made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from app.schemas.experiments import RunView
from app.schemas.generations import RunTotals
from app.schemas.names import parse_reference
from workbench.cli.context import FormatOption, command, open_workspace, out, print_json
from workbench.cli.counts import counts_text
from workbench.cli.tables import plain_table, print_with_whole_names
from workbench.reports.scores import score_text
from workbench.workspace.recorded_outputs import OutputColumns, read_recorded_outputs

__all__ = ["app"]

app = typer.Typer(
    help="Runs: list, show, import outputs made elsewhere.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command("list")
@command
async def list_(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 30,
    format_: FormatOption = "text",
) -> None:
    """List the newest runs."""
    async with open_workspace() as workspace:
        runs = await workspace.services.experiments.runs(limit=limit)
        totals = await workspace.services.generations.totals([run.id for run in runs])
        if format_ == "json":
            print_json([_json(run, totals[run.id]) for run in runs])
            return
        if not runs:
            out().print("No run yet. Start one: workbench run --help")
            return
        table = plain_table("run", "dataset", "outcomes", "cost", "created")
        for run in runs:
            total = totals[run.id]
            mark = " (simulated)" if run.simulated else ""
            mark = " (imported)" if run.origin == "imported" else mark
            table.add_row(
                escape(run.name) + mark,
                escape(run.dataset),
                _counts(total),
                "unknown" if total.cost is None else f"${total.cost:.4f}",
                run.created_at.strftime("%Y-%m-%d %H:%M UTC"),
            )
        print_with_whole_names(out(), table, columns=2)


@app.command()
@command
async def show(
    run: Annotated[str, typer.Argument(help="Its name, a unique beginning of it, or latest.")],
    format_: FormatOption = "text",
) -> None:
    """Show one run: what ran, sums, errors, what the provider called the model, its scores."""
    async with open_workspace() as workspace:
        services = workspace.services
        found = await services.experiments.run(run)
        total = (await services.generations.totals([found.id]))[found.id]
        reported = await services.generations.reported(found.id)
        scorers = await services.scores.scorers_of(found.id)
        means = {s.name: await services.scores.summary(found.id, s.id) for s in scorers}
        if format_ == "json":
            shape = _json(found, total)
            shape["reported"] = [{"model": m, "fingerprint": f, "count": n} for m, f, n in reported]
            shape["scores"] = {
                name: {"mean": s.mean, "n_scored": s.n_scored, "n_correct": s.n_correct}
                for name, s in means.items()
            }
            print_json(shape)
            return
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        rows = {
            "run": found.name + (" (simulated)" if found.simulated else ""),
            "origin": found.origin + (f" from {found.source}" if found.source else ""),
            "dataset": found.dataset,
            "prompt": found.prompt or "unknown",
            "model": found.model or "unknown",
            "outcomes": _counts(total),
            "errors": ", ".join(f"{c} {n}" for c, n in sorted(total.by_error.items())) or "none",
            "tokens": _tokens(total),
            "cost": "unknown" if total.cost is None else f"${total.cost:.6f}",
            "reported as": "; ".join(f"{m} {f or ''} x {n}" for m, f, n in reported if m),
        }
        for name, value in rows.items():
            table.add_row(name, escape(value))
        for name, summary in means.items():
            table.add_row(name, score_text(summary))
        out().print(table)


@app.command("import")
@command
async def import_(
    file: Annotated[Path, typer.Argument(help="CSV, JSONL, JSON or Parquet, a row an output.")],
    dataset: Annotated[str, typer.Option(help="The dataset version, as in gsm8k@1.")],
    match: Annotated[
        str, typer.Option(help="The field that finds the example: its key or an input's value.")
    ],
    output: Annotated[str, typer.Option(help="The field with the output; dotted paths allowed.")],
    name: Annotated[
        str | None, typer.Option(help="The run's name (default: the output's).")
    ] = None,
    latency_ms: Annotated[str | None, typer.Option(help="Field: latency in milliseconds.")] = None,
    input_tokens: Annotated[str | None, typer.Option(help="Field: tokens in.")] = None,
    output_tokens: Annotated[str | None, typer.Option(help="Field: tokens out.")] = None,
    cost: Annotated[str | None, typer.Option(help="Field: cost in US dollars.")] = None,
    error: Annotated[
        str | None, typer.Option(help="Field: why there is no output; stored as failed.")
    ] = None,
    format_: FormatOption = "text",
) -> None:
    """Bring in recorded outputs as a run, to be scored and compared like any other."""
    async with open_workspace() as workspace:
        services = workspace.services
        version = await services.datasets.get(parse_reference(dataset, noun="dataset"))
        columns = OutputColumns(
            match=match,
            output=output,
            latency_ms=latency_ms,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cost=cost,
            error=error,
        )
        recorded = await read_recorded_outputs(services, version, file, columns)
        run = await services.experiments.import_run(
            workspace.actor,
            version,
            name=name or output.rpartition(".")[0] or output,
            source=file.name,
            outputs=recorded.outputs,
        )
        if format_ == "json":
            total = (await services.generations.totals([run.id]))[run.id]
            print_json(_json(run, total))
            return
        console = out()
        console.print(f"Run {escape(run.name)}: {escape(recorded.summary)}")
        console.print(
            f"Score it: workbench score {escape(run.name)} --scorer SCORER "
            "(as in exact_match or numeric_answer)"
        )


def _tokens(total: RunTotals) -> str:
    if total.input_tokens is None or total.output_tokens is None:
        return "unreported"
    return f"{total.input_tokens:,} in, {total.output_tokens:,} out"


def _counts(total: RunTotals) -> str:
    return counts_text(total) or "none yet"


def _json(run: RunView, total: RunTotals) -> dict[str, object]:
    return {
        "name": run.name,
        "id": str(run.id),
        "origin": run.origin,
        "simulated": run.simulated,
        "experiment": run.experiment_number,
        "dataset": run.dataset,
        "prompt": run.prompt,
        "model": run.model,
        "source": run.source,
        "counts": total.by_status,
        "errors": total.by_error,
        "input_tokens": total.input_tokens,
        "output_tokens": total.output_tokens,
        "cost": None if total.cost is None else float(total.cost),
        "unpriced": total.unpriced,
        "reopened": total.reopened,
        "reused": total.reused,
        "created_at": run.created_at.isoformat(),
        "created_by": run.created_by,
    }
