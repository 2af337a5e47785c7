"""`workbench run`: a question in, a verdict out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.markup import escape

from app.core.errors import ConfigurationError, Invalid
from app.schemas.datasets import DatasetVersionView
from app.schemas.experiments import ExperimentView, check_margin
from app.schemas.names import parse_reference
from workbench.cli.context import (
    Format,
    FormatOption,
    Workspace,
    command,
    err,
    open_workspace,
    out,
    print_json,
)
from workbench.cli.execution import CarriedOut, carry_out
from workbench.cli.progress import ProgressMode
from workbench.reports.text import comparison_text, experiment_text
from workbench.runner.execute import ExecutionOptions
from workbench.workspace.dataset_files import import_file
from workbench.workspace.experiment_files import ExperimentFile, read_experiment_file
from workbench.workspace.experiments import resolve_experiment

__all__ = ["app", "parse_concurrency", "print_outcome"]

app = typer.Typer(
    help="Run an experiment: prompt versions x model versions on a dataset.",
    add_completion=False,
)


@app.command()
@command
async def run(
    spec: Annotated[
        Path | None, typer.Argument(help="An experiment file; flags below add to or replace it.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="A dataset version, as in triage@1.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="A CSV, JSONL or JSON file; it becomes a dataset.")
    ] = None,
    input_: Annotated[
        list[str] | None, typer.Option("--input", help="With --data: an input column.")
    ] = None,
    expected: Annotated[
        str | None, typer.Option(help="With --data: the column with the expected output.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="With --data: the column with the key.")] = None,
    prompt: Annotated[
        list[str] | None, typer.Option(help="A version (triage@2) or a file, drafts included.")
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="As in openai/gpt-4.1-mini.")] = None,
    scorer: Annotated[
        list[str] | None, typer.Option(help="As in exact_match or contains:ignore_case=true.")
    ] = None,
    parameter: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for every variant: temperature=0.")
    ] = None,
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="VARIABLE=COLUMN where names differ.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="The prompt to compare with (default: the first).")
    ] = None,
    margin: Annotated[
        float | None, typer.Option(help="The acceptable loss: 0.03 is 3 points of a rate.")
    ] = None,
    repetitions: Annotated[int | None, typer.Option(help="Answers for each example.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first examples.")] = None,
    name: Annotated[str | None, typer.Option(help="A name for the experiment.")] = None,
    concurrency: Annotated[
        str, typer.Option(help="Calls at once: a number, or auto (adapts to rate limits).")
    ] = "auto",
    processes: Annotated[int, typer.Option(min=1, max=64, help="Share the work out.")] = 1,
    new: Annotated[
        bool, typer.Option("--new", help="Start anew although the same one is unfinished.")
    ] = False,
    format_: FormatOption = "text",
    progress: Annotated[ProgressMode, typer.Option(help="How progress is shown.")] = (
        ProgressMode.AUTO
    ),
) -> int:
    """Run every prompt version on every model version over a dataset, score and compare.

    Examples:

      workbench run experiments/triage.yaml

      workbench run --data tickets.csv --expected queue --prompt a.yaml --prompt b.yaml
      --model openai/gpt-4.1-mini --scorer exact_match
    """
    flags = _flags(
        name=name,
        dataset=dataset,
        prompts=prompt,
        models=model,
        scorers=scorer,
        parameters=_pairs(parameter, "--parameter"),
        map={k: str(v) for k, v in _pairs(mapping, "--map").items()},
        baseline=baseline,
        repetitions=repetitions,
        limit=limit,
    )
    _check_data_flags(data, dataset, {"--input": input_, "--expected": expected, "--key": key})
    _check_count("--limit", limit)
    _check_count("--repetitions", repetitions, most=1000)
    check_margin(margin)
    options = ExecutionOptions(concurrency=parse_concurrency(concurrency))
    async with open_workspace() as workspace:
        chosen = None
        if data is not None:
            chosen = await import_file(
                workspace.services,
                workspace.actor,
                data,
                inputs=input_ or (),
                expected=expected,
                key=key,
                note=_note,
            )
            err().print(f"{escape(str(data))}: {escape(chosen.summary)}")
            flags["dataset"] = chosen.reference
        asked = _asked(spec, flags, margin)
        if chosen is None:
            chosen = await workspace.services.datasets.get(
                parse_reference(asked.dataset, noun="dataset")
            )
        experiment = await _create(workspace, asked, chosen, again=new)
        if format_ == "text":
            out().print(f"[bold]Experiment {experiment.number}[/]: {_runs(len(experiment.runs))}")
        done = await carry_out(
            workspace,
            experiment,
            options,
            processes=processes,
            mode=progress,
        )
        await print_outcome(workspace, done, format_)
        return done.exit_code


async def _create(
    workspace: Workspace, asked: ExperimentFile, dataset: DatasetVersionView, *, again: bool
) -> ExperimentView:
    services, actor = workspace.services, workspace.actor
    new = await resolve_experiment(services, actor, asked, dataset, _note)
    return await services.experiments.create(actor, new, again=again)


def _note(text: str) -> None:
    err().print(escape(text), style="dim")


def _check_data_flags(
    data: Path | None, dataset: str | None, columns: Mapping[str, object]
) -> None:
    """Refuse flags that contradict each other or would be left unread."""
    if data is not None and dataset is not None:
        raise ConfigurationError("Say either --data FILE or --dataset NAME@1, not both.")
    unread = [flag for flag, value in columns.items() if value]
    if data is None and unread:
        raise ConfigurationError(
            f"{unread[0]} names a column of the file of --data, and no --data is given.",
            hint="A dataset version knows its columns already; bind them with --map.",
        )


def _flags(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, [], {})}


def _check_count(flag: str, count: int | None, *, most: int | None = None) -> None:
    if count is not None and count < 1:
        raise Invalid(f"{flag} must be at least 1.", path=flag)
    if count is not None and most is not None and count > most:
        raise Invalid(f"{flag} must be at most {most:,}.", path=flag)


def _asked(spec: Path | None, flags: dict[str, Any], margin: float | None) -> ExperimentFile:
    """Put file and flags together; flags win."""
    base = read_experiment_file(spec).model_dump() if spec is not None else {}
    merged = {**base, **flags}
    if margin is not None:
        merged["plan"] = {**(merged.get("plan") or {}), "margin": margin}
    for field, remedy in (
        ("dataset", "--dataset NAME@1 or --data FILE"),
        ("prompts", "--prompt NAME@1 or --prompt FILE"),
        ("models", "--model openai/NAME or --model ollama/NAME"),
    ):
        if not merged.get(field):
            raise ConfigurationError(
                f"No {field} given: say {remedy}.",
                hint="Or run an experiment file: workbench run experiments/x.yaml",
            )
    try:
        return ExperimentFile.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Invalid(f"{where}: {first['msg']}.", path=where) from None


def _pairs(items: Sequence[str] | None, option: str) -> dict[str, Any]:
    """Read NAME=VALUE; values are JSON where they parse as such, else text."""
    pairs: dict[str, Any] = {}
    for item in items or ():
        name, separator, value = item.partition("=")
        if not separator or not name:
            raise Invalid(f"{option} {item}: write NAME=VALUE.", path=option)
        try:
            pairs[name] = json.loads(value)
        except json.JSONDecodeError:
            pairs[name] = value
    return pairs


def parse_concurrency(text: str) -> int | None:
    """Return the number, or None for `auto`."""
    if text == "auto":
        return None
    if text.isdecimal() and 1 <= int(text) <= 2000:
        return int(text)
    raise Invalid(f"--concurrency {text}: use auto, or a number from 1 to 2000.")


def _runs(count: int) -> str:
    return f"{count} run{'s' if count != 1 else ''}"


async def print_outcome(workspace: Workspace, done: CarriedOut, format_: Format) -> None:
    """Print what came of an experiment."""
    if format_ == "json":
        print_json(_json(done))
        return
    console = out()
    scores = done.scores or [()] * len(done.totals)
    for run_, totals, lines in zip(done.experiment.runs, done.totals, scores, strict=True):
        told = ", ".join(f"{count} {status}" for status, count in totals.by_status.items())
        mark = " [yellow](simulated)[/]" if run_.simulated else ""
        cost = "" if totals.cost is None else f", ${totals.cost:.4f}"
        console.print(f"  {escape(run_.name)}{mark}: {told or 'nothing yet'}{cost}")
        for line in lines:
            console.print(f"    {escape(line)}")
    results = done.comparisons
    if results:
        console.print()
        console.print(
            comparison_text(results[0]) if len(results) == 1 else experiment_text(results),
            soft_wrap=False,
        )
    if done.experiment.status == "completed":
        number = done.experiment.number
        what = "Examples that changed" if results else "Outputs side by side"
        console.print(f"\n{what}: workbench report {number} --html report-{number}.html")


def _json(done: CarriedOut) -> dict[str, Any]:
    return {
        "experiment": done.experiment.number,
        "experiment_id": str(done.experiment.id),
        "status": done.experiment.status,
        "exit_code": int(done.exit_code),
        "runs": [
            {
                "name": run_.name,
                "id": str(run_.id),
                "prompt": run_.prompt,
                "model": run_.model,
                "simulated": run_.simulated,
                "counts": totals.by_status,
                "errors": totals.by_error,
                "input_tokens": totals.input_tokens,
                "output_tokens": totals.output_tokens,
                "cost": None if totals.cost is None else float(totals.cost),
                "unpriced": totals.unpriced,
            }
            for run_, totals in zip(done.experiment.runs, done.totals, strict=True)
        ],
        "wanted": done.experiment.wanted,
        "comparisons": list(done.comparisons),
    }
