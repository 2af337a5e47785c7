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
from workbench.cli.execution import CarriedOut, carry_out
from workbench.cli.progress import ProgressMode
from workbench.cli.run import print_outcome
from workbench.reports.gather import write_page
from workbench.runner.pipeline import ExecutionOptions
from workbench.workspace.dataset_files import import_file
from workbench.workspace.experiment_files import read_experiment_file
from workbench.workspace.experiments import resolve_experiment
from workbench.workspace.init import init_workspace
from workbench.workspace.prompts import sync_prompts

__all__ = ["app"]

app = typer.Typer(help="See the main job done on sample data with simulated models.")

_EXPERIMENT = Path("experiments/triage.yaml")
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
    start = Path.cwd()
    os.chdir(folder)
    async with open_workspace() as workspace:
        await _prepare(workspace)
        if prepare_only:
            return 0
        done = await _run(workspace)
        await print_outcome(workspace, done, "text")
        page = await write_page(workspace.services, done.experiment, Path("report.html"))
        _tell_next(folder, page, start)
        return done.exit_code


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


def _tell_next(folder: Path, page: Path, start: Path) -> None:
    """Print commands that work when pasted as they stand."""
    program = _program()
    here = shlex.quote(str(folder))
    console = out()
    console.print(f"\nReport: {page.resolve()}")
    console.print("\n[bold]Next[/], each pasteable as it stands:")
    for title, line in (
        ("Look at single answers", f"{program} show latest --limit 3"),
        (
            "With an OpenAI key",
            f"OPENAI_API_KEY=sk-... {program} run --dataset support-triage@1 "
            "--prompt support-triage@2 --prompt support-triage@3 --model openai/gpt-4.1-mini "
            "--scorer exact_match --limit 50",
        ),
        (
            "With Ollama",
            f"{program} run --dataset support-triage@1 --prompt support-triage@2 "
            "--prompt support-triage@3 --model ollama/llama3.2 --scorer exact_match --limit 50",
        ),
        (
            "With your own CSV and prompt",
            f"{program} run --data my.csv --expected answer --prompt my-prompt.yaml "
            "--model openai/gpt-4.1-mini --scorer exact_match",
        ),
    ):
        console.print(f"\n  # {title}")
        console.print(f"  (cd {here} && {escape(line)})", soft_wrap=True)
    _ = start


def _program() -> str:
    """Return how this command is called from inside the demo folder."""
    found = shutil.which("workbench")
    if found is not None:
        return "workbench"
    return shlex.quote(str(Path(sys.argv[0]).resolve()))
