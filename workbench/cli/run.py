"""`workbench run`: a question in, a verdict out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from pydantic import ValidationError
from rich.markup import escape

from app.core.errors import ConfigurationError, Invalid
from app.schemas.datasets import DatasetVersionView
from app.schemas.experiments import NewExperiment, check_margin
from app.schemas.names import parse_reference
from workbench.cli.context import FormatOption, Workspace, command, err, open_workspace, out
from workbench.cli.execution import carry_out
from workbench.cli.gate_options import (
    DEFAULT_FAIL_ON,
    FailOnOption,
    GateOption,
    JunitOption,
    MarkdownOption,
    output_of_gate,
)
from workbench.cli.outcome import print_outcome_and_gate
from workbench.cli.progress import ProgressMode
from workbench.cli.run_options import (
    BaselineOption,
    CacheOption,
    ConcurrencyOption,
    DataOption,
    DatasetOption,
    ExpectedOption,
    ExtendOption,
    InputOption,
    KeyOption,
    LimitOption,
    MapOption,
    MarginOption,
    ModelOption,
    NameOption,
    NewOption,
    ParameterOption,
    ProcessesOption,
    ProgressOption,
    PromptOption,
    RepetitionsOption,
    ScorerOption,
    SpecArgument,
    check_count,
    parse_concurrency,
    parse_pairs,
)
from workbench.cli.spending import (
    BudgetOption,
    EstimateOption,
    Spending,
    YesOption,
    begin_spending,
    parse_budget,
    set_budget,
)
from workbench.runner.generation.execute import ExecutionOptions
from workbench.runner.generation.extending import extend
from workbench.workspace.dataset_files import import_file
from workbench.workspace.experiment_files import ExperimentFile, read_experiment_file
from workbench.workspace.experiments import resolve_experiment

__all__ = ["app"]

app = typer.Typer(
    help="Run an experiment: prompt versions x model versions on a dataset.",
    add_completion=False,
)


@app.command()
@command
async def run(
    spec: SpecArgument = None,
    dataset: DatasetOption = None,
    data: DataOption = None,
    input_: InputOption = None,
    expected: ExpectedOption = None,
    key: KeyOption = None,
    prompt: PromptOption = None,
    model: ModelOption = None,
    scorer: ScorerOption = None,
    parameter: ParameterOption = None,
    mapping: MapOption = None,
    baseline: BaselineOption = None,
    margin: MarginOption = None,
    repetitions: RepetitionsOption = None,
    limit: LimitOption = None,
    name: NameOption = None,
    concurrency: ConcurrencyOption = "auto",
    processes: ProcessesOption = 1,
    extend_: ExtendOption = None,
    cache: CacheOption = False,
    budget: BudgetOption = None,
    estimate: EstimateOption = False,
    yes: YesOption = False,
    new: NewOption = False,
    gate: GateOption = False,
    fail_on: FailOnOption = DEFAULT_FAIL_ON,
    markdown: MarkdownOption = None,
    junit: JunitOption = None,
    format_: FormatOption = "text",
    progress: ProgressOption = ProgressMode.AUTO,
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
        parameters=parse_pairs(parameter, "--parameter"),
        map={k: str(v) for k, v in parse_pairs(mapping, "--map").items()},
        baseline=baseline,
        repetitions=repetitions,
        limit=limit,
    )
    _check_data_flags(data, dataset, {"--input": input_, "--expected": expected, "--key": key})
    check_count("--limit", limit)
    check_count("--repetitions", repetitions, most=1000)
    check_margin(margin)
    decided = output_of_gate(gate, fail_on, markdown, junit)
    if extend_ is not None:
        _check_extension(spec, {**flags, "data": data, "margin": margin}, gate=gate)
    options = ExecutionOptions(concurrency=parse_concurrency(concurrency), cache=cache)
    spending = Spending(
        parse_budget(budget), estimate, yes, options.concurrency, options.cache, format_
    )
    async with open_workspace() as workspace:
        services, actor = workspace.services, workspace.actor
        chosen = None
        if data is not None:
            chosen = await import_file(
                services, actor, data, inputs=input_ or (), expected=expected, key=key, note=_note
            )
            err().print(f"{escape(str(data))}: {escape(chosen.summary)}")
            flags["dataset"] = chosen.reference
        sentence = None
        if extend_ is not None:
            extension = await extend(services, extend_, dataset)
            wanted, sentence = extension.new, extension.sentence
        else:
            asked = _asked(spec, flags, margin)
            spending = spending.or_budget(asked.budget)
            wanted = await _resolved(workspace, asked, chosen, gate=gate)
        code = await begin_spending(workspace, wanted, spending)
        if code is not None:
            return code
        experiment = await services.experiments.create(actor, wanted, again=new)
        await set_budget(workspace, experiment, spending.budget)
        if sentence is not None:
            err().print(f"Experiment {experiment.number} {escape(sentence)}")
        if format_ == "text":
            out().print(f"[bold]Experiment {experiment.number}[/]: {_runs(len(experiment.runs))}")
        done = await carry_out(workspace, experiment, options, processes=processes, mode=progress)
        return await print_outcome_and_gate(workspace, done, format_, decided)


async def _resolved(
    workspace: Workspace, asked: ExperimentFile, chosen: DatasetVersionView | None, *, gate: bool
) -> NewExperiment:
    """Resolve what was asked over the data of --data, or over the dataset version it names."""
    services = workspace.services
    if chosen is None:
        chosen = await services.datasets.get(parse_reference(asked.dataset, noun="dataset"))
    return await resolve_experiment(services, workspace.actor, asked, chosen, _note, gate=gate)


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


def _check_extension(spec: Path | None, flags: Mapping[str, object], *, gate: bool) -> None:
    """Refuse what would make another question of the one that is carried on, and a gate."""
    if gate:
        raise ConfigurationError(
            "The gate of an extension never passes: its examples were added after a look.",
            hint="Leave --gate out, or ask the newer version in a new experiment.",
        )
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


def _runs(count: int) -> str:
    return f"{count} run{'s' if count != 1 else ''}"
