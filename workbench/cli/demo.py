"""`workbench demo`: the main job once, on sample data, without a key and without a cost."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from app.schemas.names import parse_reference
from workbench.cli.context import Workspace, command, err, open_workspace, out
from workbench.cli.execution import carry_out, exit_code
from workbench.cli.outcome import print_outcome
from workbench.cli.progress import ProgressMode
from workbench.reports.write import write_page
from workbench.runner.carrying_out import CarriedOut
from workbench.runner.generation.execute import ExecutionOptions
from workbench.workspace.dataset_files import import_file
from workbench.workspace.experiment_files import read_experiment_file
from workbench.workspace.experiments import resolve_experiment
from workbench.workspace.init import init_workspace
from workbench.workspace.prompts import sync_prompts

__all__ = ["app"]

app = typer.Typer(
    help="See the main job done on sample data with simulated models.", add_completion=False
)

_EXPERIMENT = Path("experiments/triage.yaml")
_OWN_DATA = """\
text,answer
"The invoice of May was charged twice.",billing
"The app closes when I open settings.",bug
"I want to change the e-mail of my account.",account
"""
_OWN_PROMPT = """\
name: my-prompt
messages:
  - {role: system, content: "Answer with one word: billing, bug, account or other."}
  - {role: user, content: "{{ text }}"}
variables: {text: {type: string}}
parameters: {temperature: 0, max_tokens: 8}
"""
_DATASETS = ("support-triage", "invoice-extraction", "word-problems")


@app.command()
@command
async def demo(
    folder: Annotated[Path, typer.Option(help="Where; it becomes a workspace.")] = Path(
        "workbench-demo"
    ),
    prepare_only: Annotated[
        bool, typer.Option("--prepare-only", help="Only make the sample workspace.")
    ] = False,
) -> int:
    """Compare three versions of a prompt on two simulated models, on sample data.

    Nothing is called over the network and nothing costs money, also with a key set. Every
    result is marked simulated. Run it again: the workspace is used again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    init_workspace(folder, sample=True)
    folder, program = folder.resolve(), _program()  # both relative to where the command began
    os.chdir(folder)
    async with open_workspace() as workspace:
        await _prepare(workspace)
        if prepare_only:
            return 0
        done = await _run(workspace)
        await print_outcome(workspace, done, "text")
        page = await write_page(workspace.services, done.experiment, Path("report.html"))
        _write_own_example()
        _tell_next(program, folder, page)
        return exit_code(done)


async def _prepare(workspace: Workspace) -> None:
    synced = await sync_prompts(workspace.services, workspace.actor, workspace.root)
    err().print(f"Prompts: {synced.summary}")
    for name in _DATASETS:
        version = await import_file(
            workspace.services, workspace.actor, Path("datasets") / f"{name}.jsonl", name=name
        )
        err().print(f"Dataset: {escape(version.summary)}")


async def _run(workspace: Workspace) -> CarriedOut:
    services, actor = workspace.services, workspace.actor
    asked = read_experiment_file(_EXPERIMENT)
    dataset = await services.datasets.get(parse_reference(asked.dataset, noun="dataset"))
    new = await resolve_experiment(services, actor, asked, dataset, lambda note: None)
    experiment = await services.experiments.create(actor, new, again=True)
    out().print(
        f"\n[bold]Experiment {experiment.number}[/]: {len(experiment.runs)} runs, "
        f"{experiment.example_count} examples each, simulated models"
    )
    return await carry_out(
        workspace, experiment, ExecutionOptions(concurrency=50), mode=ProgressMode.AUTO
    )


def _write_own_example() -> None:
    """Write a small file and a draft for a person to replace by their own."""
    Path("my-data.csv").write_text(_OWN_DATA, encoding="utf-8")
    Path("my-prompt.yaml").write_text(_OWN_PROMPT, encoding="utf-8")


def _tell_next(program: str, folder: Path, page: Path) -> None:
    """Print commands that work when pasted as they stand."""
    here = shlex.quote(str(folder))
    versions = "--prompt support-triage@2 --prompt support-triage@3 --scorer exact_match --limit 50"
    console = out()
    console.print(f"\nReport: {page.resolve()}", markup=False)
    console.print("\n[bold]Next[/], each pasteable as it stands:")
    for title, line in (
        ("Look at single answers", "show latest --limit 3"),
        (
            "With an OpenAI key (in the environment as OPENAI_API_KEY)",
            f"run --dataset support-triage@1 {versions} --model openai/gpt-4.1-mini",
        ),
        (
            "With Ollama (after `ollama pull llama3.2`)",
            f"run --dataset support-triage@1 {versions} --model ollama/llama3.2",
        ),
        (
            "With your own CSV and prompt: edit my-data.csv and my-prompt.yaml first, or later",
            "run --data my-data.csv --expected answer --prompt my-prompt.yaml "
            "--model simulated/large --scorer exact_match:ignore_case=true",
        ),
    ):
        console.print(f"\n  # {title}", markup=False)
        console.print(f"  (cd {here} && {program} {line})", markup=False)


def _program() -> str:
    """Return how this command is called from any folder; asked before the folder changes."""
    this, on_path = Path(sys.argv[0]).resolve(), shutil.which("workbench")
    if this.name == "__main__.py":  # run by `python -m workbench`
        return f"{shlex.quote(sys.executable)} -m workbench"
    # Another installation may come first on the path; only this one is sure to know the data.
    if on_path is not None and Path(on_path).resolve() == this:
        return "workbench"
    return shlex.quote(str(this))
