"""`workbench init`: make a folder a workspace."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from workbench.cli.context import command, err, out
from workbench.workspace.init import IGNORED, InitReport, init_workspace

__all__ = ["app"]

app = typer.Typer(help="Make this folder a workspace.", add_completion=False)

_EXAMPLE_STEPS = (
    "workbench prompts sync",
    "workbench datasets import datasets/review-mood.jsonl --name review-mood --input review "
    "--expected mood --key key",
    "workbench run experiments/review-mood.yaml",
)
_SAMPLE_STEPS = (
    "workbench prompts sync",
    "workbench datasets import datasets/support-triage.jsonl --name support-triage",
    "workbench run experiments/triage.yaml",
)


@app.command()
@command
async def init(
    folder: Annotated[Path, typer.Argument(help="Which folder; made if it is missing.")] = Path(),
    sample: Annotated[
        bool,
        typer.Option("--sample", help="With the sample prompts, datasets and experiments."),
    ] = False,
) -> None:
    """Write workbench.yaml, .gitignore, .env.example and an example that runs.

    Files that are there are never overwritten.
    """
    report = init_workspace(folder, sample=sample)
    console = out()
    for name in report.written:
        console.print(Text(f"written  {name}"))
    for name in report.kept:
        err().print(Text(f"kept     {name}: it was there already", style="dim"))
    if not report.ignores_results:
        err().print(f"Let your .gitignore name {', '.join(IGNORED)}.", style="yellow")
    console.print(Text(_next_steps(report, sample=sample)))


def _next_steps(report: InitReport, *, sample: bool) -> str:
    steps = list(_SAMPLE_STEPS if sample else _EXAMPLE_STEPS)
    if Path.cwd() != report.folder:
        steps.insert(0, f"cd {shlex.quote(os.path.relpath(report.folder))}")
    return "\nNext, no key needed (the model is simulated):\n" + "".join(
        f"  {step}\n" for step in steps
    )
