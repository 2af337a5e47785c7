"""`workbench import`: prompts, models and evaluations from other tools' files.

Nothing in a file is run, fetched or looked up, and no file of the workspace is overwritten.
What has no counterpart here is named, field by field. A prompt that would say something else
than before is refused unless `--lossy` is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from app.core.errors import Invalid, WorkbenchError
from app.core.hashing import JSON, ordered_json
from app.core.settings import WORKSPACE_MARKER
from workbench.cli.context import (
    ExitCode,
    FormatOption,
    command,
    err,
    open_workspace,
    out,
    print_json,
)
from workbench.cli.import_evaluation import evaluation
from workbench.cli.imports import MODEL_TO_TRY, one_line, path_from_here
from workbench.cli.losses import print_losses
from workbench.interchange.foreign_json import MAX_BYTES
from workbench.interchange.formats import PROMPT_FORMATS, decode, detect_format, file_stem
from workbench.interchange.litellm import ImportedModels, key_variable, read_litellm
from workbench.interchange.losses import LossReport
from workbench.interchange.prompts import Imported, ImportedPrompt
from workbench.workspace.drafts import NewPrompt, Placed, place_prompt, place_text, write_new
from workbench.workspace.marker import find_workspace
from workbench.workspace.prompt_files import PROMPTS_FOLDER, PromptFile, write_prompt
from workbench.yaml_text import dump_yaml

__all__ = ["app"]

app = typer.Typer(
    help="Prompts, models and evaluations from other tools' files.",
    no_args_is_help=True,
    add_completion=False,
)
app.command()(evaluation)

_AUTO = "auto"
_FORMATS = ", ".join(PROMPT_FORMATS)


@dataclass
class _FileResult:
    """What became of one file. `refusal` is None if it was taken over."""

    source: str
    format: str = ""
    imported: Imported | None = None
    refusal: WorkbenchError | None = None
    placed: list[tuple[ImportedPrompt, Placed]] = field(default_factory=list)
    others: list[tuple[Placed, str]] = field(default_factory=list)

    @property
    def report(self) -> LossReport:
        return LossReport() if self.imported is None else self.imported.report


@app.command()
@command
async def prompts(
    files: Annotated[list[Path], typer.Argument(help="Files of another tool.")],
    format_from: Annotated[
        str, typer.Option("--from", help=f"The files' format: {_AUTO}, {_FORMATS}.")
    ] = _AUTO,
    to: Annotated[
        Path | None,
        typer.Option(help="The folder for prompts; default: prompts/ of this workspace."),
    ] = None,
    as_version: Annotated[
        bool, typer.Option("--as-version", help="Write the next versions instead of drafts.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be written and lost.")
    ] = False,
    lossy: Annotated[
        bool,
        typer.Option(
            "--lossy", help="Take prompts whose meaning changes; their templates become text."
        ),
    ] = False,
    format_: FormatOption = "text",
) -> int:
    """Write prompt files from other tools' files, as drafts."""
    _check_format(format_from)
    folder = _folder(to)
    latest = await _latest_numbers() if as_version else None
    results = [_read(path, format_from, lossy=lossy) for path in files]
    texts = _place(results, folder, latest)
    if not dry_run:
        for path, text in texts.items():
            write_new(path, text)
    if format_ == "json":
        print_json({"dry_run": dry_run, "files": [_result_json(result) for result in results]})
    else:
        for result in results:
            _print_result(result, dry_run=dry_run)
    return ExitCode.USAGE if any(result.refusal for result in results) else ExitCode.DONE


@app.command()
@command
async def models(
    file: Annotated[Path, typer.Argument(help="A LiteLLM config.yaml.")],
    output: Annotated[
        Path | None, typer.Option(help="Write the entries to this new file, such as models.yaml.")
    ] = None,
    valid_from: Annotated[
        str, typer.Option(help="The day from which the file's prices hold; default: today.")
    ] = "",
    format_: FormatOption = "text",
) -> None:
    """Show models of a LiteLLM configuration as entries of models.yaml and workbench.yaml."""
    day = valid_from or datetime.now(UTC).date().isoformat()
    text = _text(file)
    imported = read_litellm(text, source=str(file), valid_from=day)
    if output is not None:
        write_new(output, dump_yaml({"models": list(imported.models)}))
    if format_ == "json":
        print_json(_models_json(imported))
    else:
        _print_models(imported, file, output)


# Reading


def _check_format(name: str) -> None:
    if name not in (_AUTO, *PROMPT_FORMATS):
        raise Invalid(f"--from {name}: known formats are {_AUTO}, {_FORMATS}.", path="from")


def _folder(to: Path | None) -> Path:
    """Return the folder of prompt names; refuse one in which names would not fit their places."""
    if to is None:
        return find_workspace(Path.cwd()) / PROMPTS_FOLDER
    folder = to.resolve()
    for root in folder.parents:
        if (root / WORKSPACE_MARKER).is_file() and root / PROMPTS_FOLDER in folder.parents:
            raise Invalid(
                f"--to {to} lies within {PROMPTS_FOLDER}/, where folders are the prompts' names.",
                hint=f"Leave --to out, or name the folder {PROMPTS_FOLDER} itself.",
                path="to",
            )
    return folder


async def _latest_numbers() -> Mapping[str, int]:
    async with open_workspace() as workspace:
        return {s.name: s.latest for s in await workspace.services.prompts.list()}


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return decode(file.read(MAX_BYTES + 1), str(path))


def _read(path: Path, format_from: str, *, lossy: bool) -> _FileResult:
    """Read one file; a refusal is part of the result, so that the other files are read too."""
    result = _FileResult(str(path))
    try:
        text = _text(path)
        name = detect_format(path.name, text) if format_from == _AUTO else format_from
        result.format = name
        known = PROMPT_FORMATS[name]
        result.imported = known.read(text, source=str(path), file_stem=file_stem(path.name))
        if result.report.of_meaning and not lossy:
            result.refusal = Invalid(
                f"{path} would say something else here than there: it is not imported.",
                hint="Change the places marked below, or take it with --lossy: they become plain "
                "text in the draft, to be worked on.",
            )
    except WorkbenchError as error:
        result.refusal = error
    except OSError as error:
        result.refusal = Invalid(f"{path} cannot be read: {error.strerror}.")
    return result


# Placing


def _place(
    results: Sequence[_FileResult], folder: Path, latest: Mapping[str, int] | None
) -> dict[Path, str]:
    """Settle every file's name; returns the texts to be written."""
    files: dict[Path, PromptFile] = {}
    texts: dict[Path, str] = {}
    for result in results:
        if result.refusal is not None or result.imported is None:
            continue
        for prompt in result.imported.prompts:
            new = NewPrompt(prompt.name, prompt.content, prompt.description, prompt.message)
            number = None if latest is None else latest.get(prompt.name, 0)
            placed, file = place_prompt(folder, new, taken=files, latest=number)
            result.placed.append((prompt, placed))
            if placed.is_new:
                files[placed.path] = file
                texts[placed.path] = write_prompt(file)
            for path, text, what in _companions(folder.parent, prompt, placed.path):
                other = place_text(path, text, taken=set(texts))
                result.others.append((other, what))
                if other.is_new:
                    texts[other.path] = text
    return texts


def _companions(root: Path, prompt: ImportedPrompt, path: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield path, text and description of what a prompt's examples and scorers become."""
    if not prompt.examples:
        return
    name = prompt.name.replace("/", "-")
    rows = "".join(
        ordered_json(
            {"input": dict(example.input)}
            | ({} if example.expected is None else {"expected_output": example.expected})
            | ({"metadata": dict(example.metadata)} if example.metadata else {})
        )
        + "\n"
        for example in prompt.examples
    )
    count = len(prompt.examples)
    told = f"{count} example{'s'[: count != 1]}; next: workbench datasets import FILE --name {name}"
    yield root / "datasets" / f"{name}.jsonl", rows, told
    if prompt.scorers:
        shape: dict[str, JSON] = {
            "name": name,
            "dataset": f"{name}@1",
            "prompts": [path_from_here(path)],
            "models": [MODEL_TO_TRY],
            "scorers": list(prompt.scorers),
        }
        yield root / "experiments" / f"{name}.yaml", dump_yaml(shape), "an experiment with scorers"


# Printing


def _print_result(result: _FileResult, *, dry_run: bool) -> None:
    verb = "would write" if dry_run else "written"
    console = out()
    for prompt, placed in result.placed:
        state = (verb, "green") if placed.is_new else ("is there already", "dim")
        console.print(
            Text.assemble(state, f"  {path_from_here(placed.path)}  prompt {prompt.name}")
        )
        for alias in prompt.aliases:
            console.print(
                Text(f"proposed  {one_line(alias)} for this text; nothing was moved", "cyan")
            )
    for placed, what in result.others:
        state = (verb, "green") if placed.is_new else ("is there already", "dim")
        console.print(Text.assemble(state, f"  {path_from_here(placed.path)}  {what}"))
    if result.refusal is not None:
        err().print(Text.assemble(("refused", "red"), f"  {one_line(result.refusal.message)}"))
        if result.refusal.hint:
            err().print(Text(f"  {result.refusal.hint}", style="dim"))
    if result.imported is not None:
        title = f"{result.source} ({PROMPT_FORMATS[result.format].title})"
        print_losses(console, result.report, one_line(title))


def _result_json(result: _FileResult) -> dict[str, JSON]:
    refusal = result.refusal
    return {
        "file": result.source,
        "format": result.format or None,
        "refused": None if refusal is None else {"message": refusal.message, "hint": refusal.hint},
        "prompts": [
            {
                "name": prompt.name,
                "path": path_from_here(placed.path),
                "written": placed.is_new,
                "content_hash": prompt.content.hash,
                "proposed_aliases": list(prompt.aliases),
            }
            for prompt, placed in result.placed
        ],
        "other_files": [
            {"path": path_from_here(placed.path), "written": placed.is_new, "what": what}
            for placed, what in result.others
        ],
        "losses": [loss.to_json() for loss in result.report],
    }


def _print_models(imported: ImportedModels, file: Path, output: Path | None) -> None:
    console = out()
    if output is None:
        console.print(Text("# for models.yaml", style="dim"))
        print(dump_yaml({"models": list(imported.models)}), end="")
    else:
        console.print(Text.assemble(("written", "green"), f"  {output}"))
    if imported.endpoints:
        console.print(Text("\n# for workbench.yaml", style="dim"))
        print(dump_yaml({"endpoints": dict(imported.endpoints)}), end="")
    for endpoint, variable in imported.keys.items():
        ours, theirs = key_variable(endpoint), one_line(variable)
        console.print(Text(f"# the key of {endpoint} is read from {ours}, there from {theirs}"))
    print_losses(console, imported.report, f"\n{one_line(str(file))} (LiteLLM)")


def _models_json(imported: ImportedModels) -> dict[str, JSON]:
    return {
        "models": list(imported.models),
        "endpoints": dict(imported.endpoints),
        "keys": dict(imported.keys),
        "losses": [loss.to_json() for loss in imported.report],
    }
