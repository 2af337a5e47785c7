"""`workbench export`: prompts in other tools' formats, results for other programs.

What a format has no place for is named, field by field. A text that would say something else
there is refused unless `--lossy` is given.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.core.errors import Invalid
from workbench.cli.context import (
    ExitCode,
    FormatOption,
    command,
    err,
    open_workspace,
    out,
    print_json,
)
from workbench.cli.losses import print_losses
from workbench.interchange.export_results import new_file, result_format, write_results
from workbench.interchange.formats import PROMPT_FORMATS
from workbench.interchange.prompts import Exportable
from workbench.interchange.result_files import RESULT_FORMATS
from workbench.interchange.writing import Written
from workbench.reports.files import check_report_path
from workbench.workspace.drafts import write_new
from workbench.workspace.prompts import PromptText, load_prompt

__all__ = ["app"]

app = typer.Typer(
    help="Prompts in other tools' formats; results as JSONL, CSV, Parquet, JUnit.",
    no_args_is_help=True,
    add_completion=False,
)

_WRITTEN = {name: known for name, known in PROMPT_FORMATS.items() if known.write is not None}


@app.callback()
def _root() -> None:
    """Prompts in other tools' formats; results as JSONL, CSV, Parquet, JUnit."""


@app.command()
@command
async def prompt(
    name: Annotated[
        str, typer.Argument(help="A version as in triage@3, a name (its newest), or a .yaml file.")
    ],
    as_: Annotated[str, typer.Option("--as", help=f"The format: {', '.join(_WRITTEN)}.")],
    output: Annotated[
        Path | None, typer.Option(help="Write to this new file; default: print the text.")
    ] = None,
    lossy: Annotated[
        bool, typer.Option("--lossy", help="Write it even if it says something else there.")
    ] = False,
    format_: FormatOption = "text",
) -> int:
    """Write one prompt version as another tool's file."""
    known = _WRITTEN.get(as_)
    if known is None or known.write is None:
        raise Invalid(f"--as {as_}: known formats are {', '.join(_WRITTEN)}.", path="as")
    if output is not None:
        check_report_path(output)
    async with open_workspace() as workspace:
        text = await load_prompt(workspace.services, workspace.root, name)
    written = known.write(_exportable(text))
    refused = bool(written.report.of_meaning) and not lossy
    if output is not None and not refused:
        write_new(output, written.text)
    title = f"{text.label} as {known.title}"
    if format_ == "json":
        _print_json(written, as_, output, refused=refused)
        return ExitCode.USAGE if refused else ExitCode.DONE
    if refused:
        print_losses(err(), written.report, title)
        raise Invalid(
            f"{text.label} would say something else as {known.title}: it is not exported.",
            hint="Change the places marked above, or write it all the same with --lossy.",
        )
    if output is None:
        print(written.text, end="")
    else:
        out().print(f"written  {output}", markup=False)
    print_losses(err() if output is None else out(), written.report, title)
    return ExitCode.DONE


@app.command()
@command
async def results(
    of: Annotated[str, typer.Argument(help="An experiment's number, latest, or a run.")] = "latest",
    as_: Annotated[
        str | None,
        typer.Option("--as", help=f"{', '.join(RESULT_FORMATS)}; default: by the file's name."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write to this new file; default: print, JSONL.")
    ] = None,
) -> None:
    """Write every cell of an experiment or a run: output, scores, cost, times, errors."""
    format_name = result_format(as_, output)
    async with open_workspace() as workspace:
        if output is None:
            count = await write_results(
                workspace.services, of, format_name, sys.stdout.buffer, workspace.services.clock
            )
        else:
            with new_file(output) as file:
                count = await write_results(
                    workspace.services, of, format_name, file, workspace.services.clock
                )
            out().print(f"written  {output}: {count} cells as {format_name}", markup=False)
        if not count:
            err().print("There is no outcome yet.")


def _exportable(text: PromptText) -> Exportable:
    said = text.version or text.file
    if said is None:
        return Exportable(text.label, text.content)
    return Exportable(said.name, text.content, said.description)


def _print_json(written: Written, format_name: str, output: Path | None, *, refused: bool) -> None:
    print_json(
        {
            "format": format_name,
            "refused": refused,
            "file": None if output is None or refused else str(output),
            "text": None if refused else written.text,
            "losses": [loss.to_json() for loss in written.report],
        }
    )
