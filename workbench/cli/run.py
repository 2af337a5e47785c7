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
from app.schemas.experiments import NewExperiment, check_margin
from app.schemas.names import parse_reference
from workbench.cli.context import (
    ExitCode,
    Format,
    FormatOption,
    Workspace,
    command,
    err,
    open_workspace,
    out,
    print_json,
)
from workbench.cli.counts import counts_text, sequential_text
from workbench.cli.execution import CarriedOut, carry_out
from workbench.cli.gate_options import (
    DEFAULT_FAIL_ON,
    FailOnOption,
    GateOption,
    GateOutput,
    JunitOption,
    MarkdownOption,
    output_of_gate,
)
from workbench.cli.progress import ProgressMode
from workbench.cli.spending import (
    BudgetOption,
    EstimateOption,
    Spending,
    YesOption,
    begin_spending,
    budget_json,
    budget_line,
    parse_budget,
    set_budget,
)
from workbench.reports.text import comparison_text, experiment_text
from workbench.runner.execute import ExecutionOptions
from workbench.runner.extending import extend
from workbench.workspace.dataset_files import import_file
from workbench.workspace.experiment_files import ExperimentFile, read_experiment_file
from workbench.workspace.experiments import resolve_experiment

__all__ = ["app", "conclude", "parse_concurrency", "print_outcome"]

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
        str | None,
        typer.Option(
            help="What to compare with: a prompt (default: the first), a run, or an alias as in "
            "@production."
        ),
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
    extend_: Annotated[
        str | None,
        typer.Option(
            "--extend",
            metavar="EXPERIMENT",
            help="Carry an experiment on over a newer version of its dataset.",
        ),
    ] = None,
    cache: Annotated[
        bool, typer.Option("--cache", help="Use stored answers to equal requests again.")
    ] = False,
    budget: BudgetOption = None,
    estimate: EstimateOption = False,
    yes: YesOption = False,
    new: Annotated[
        bool, typer.Option("--new", help="Start anew although the same one is unfinished.")
    ] = False,
    gate: GateOption = False,
    fail_on: FailOnOption = DEFAULT_FAIL_ON,
    markdown: MarkdownOption = None,
    junit: JunitOption = None,
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

      workbench run --extend 12 --dataset triage@4
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
    decided = output_of_gate(gate, fail_on, markdown, junit)
    if extend_ is not None:
        _check_extension(spec, {**flags, "data": data, "margin": margin})
    options = ExecutionOptions(concurrency=parse_concurrency(concurrency), cache=cache)
    spending = Spending(
        parse_budget(budget), estimate, yes, options.concurrency, options.cache, format_
    )
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
        if extend_ is not None:
            wanted, sentence = await _extended(workspace, extend_, dataset)
        else:
            asked = _asked(spec, flags, margin)
            if chosen is None:
                chosen = await workspace.services.datasets.get(
                    parse_reference(asked.dataset, noun="dataset")
                )
            wanted = await resolve_experiment(
                workspace.services, workspace.actor, asked, chosen, _note, gate=gate
            )
            sentence, spending = None, spending.or_budget(asked.budget)
        code = await begin_spending(workspace, wanted, spending)
        if code is not None:
            return code
        experiment = await workspace.services.experiments.create(
            workspace.actor, wanted, again=new
        )
        await set_budget(workspace, experiment, spending.budget)
        if sentence is not None:
            err().print(f"Experiment {experiment.number} {escape(sentence)}")
        if format_ == "text":
            out().print(f"[bold]Experiment {experiment.number}[/]: {_runs(len(experiment.runs))}")
        done = await carry_out(
            workspace,
            experiment,
            options,
            processes=processes,
            mode=progress,
        )
        return await conclude(workspace, done, format_, decided)


async def _extended(
    workspace: Workspace, reference: str, dataset: str | None
) -> tuple[NewExperiment, str | None]:
    """Return the experiment that carries another one on, and what to say of it."""
    extension = await extend(workspace.services, reference, dataset)
    return extension.new, extension.sentence


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


def _check_extension(spec: Path | None, flags: Mapping[str, object]) -> None:
    """Refuse what would make another question of the one that is carried on."""
    unread = [name for name, value in flags.items() if name != "dataset" and value is not None]
    if spec is not None or unread:
        several = ("prompts", "models", "scorers", "parameters")  # given once each
        option = next(iter(unread), "")
        told = str(spec or f"--{option.removesuffix('s') if option in several else option}")
        raise ConfigurationError(
            f"{told} cannot be used with --extend: an extension asks what its experiment asked.",
            hint="Only --dataset says over what; to ask something else, leave --extend out.",
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


async def conclude(
    workspace: Workspace, done: CarriedOut, format_: Format, gate: GateOutput | None
) -> int:
    """Print what came of an experiment, decide its gate if asked for; return the exit code.

    A run that is not finished keeps its own exit code: there is nothing to decide on yet.
    """
    if gate is None:
        await print_outcome(workspace, done, format_)
        return done.exit_code
    if done.exit_code not in (ExitCode.DONE, ExitCode.CELLS_FAILED):
        await print_outcome(workspace, done, format_)
        err().print("No gate decision: the experiment is not finished.")
        return done.exit_code
    # Imported here: computing needs libraries that would delay the first request.
    from workbench.cli.gate import decide, gate_exit_code, print_decisions, write_decisions

    decisions = await decide(workspace, done.experiment, None)
    code = gate_exit_code(decisions, gate.fail_on)
    write_decisions(decisions, gate)
    if format_ == "json":
        gates = [decision.model_dump(mode="json") for decision in decisions]
        print_json({**_json(done), "exit_code": code, "gates": gates})
    else:
        await print_outcome(workspace, done, format_)
        out().print()
        print_decisions(decisions, gate.fail_on, format_)
    return code


async def print_outcome(workspace: Workspace, done: CarriedOut, format_: Format) -> None:
    """Print what came of an experiment."""
    if format_ == "json":
        print_json(_json(done))
        return
    console = out()
    scores = done.scores or [()] * len(done.totals)
    for run_, totals, lines in zip(done.experiment.runs, done.totals, scores, strict=True):
        told = counts_text(totals)
        mark = " [yellow](simulated)[/]" if run_.simulated else ""
        cost = "" if totals.cost is None else f", ${totals.cost:.4f}"
        console.print(f"  {escape(run_.name)}{mark}: {told or 'nothing yet'}{cost}")
        for line in lines:
            console.print(f"    {escape(line)}")
    if (ended := sequential_text(done.experiment, done.totals)) is not None:
        console.print(f"  {escape(ended)}")
    if done.budget is not None:
        console.print(f"  {budget_line(done.budget)}")
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
                "reused": totals.reused,
            }
            for run_, totals in zip(done.experiment.runs, done.totals, strict=True)
        ],
        "wanted": done.experiment.wanted,
        "budget": budget_json(done.budget),
        "sequential": done.experiment.sequential
        and done.experiment.sequential.model_dump(mode="json"),
        "comparisons": list(done.comparisons),
    }
