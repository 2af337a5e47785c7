"""`workbench import evaluation`: another tool's tests as prompts, a dataset and an experiment.

Only files that the user names are opened, nothing in them is run, and no file of the workspace is
overwritten.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from app.core.errors import Invalid
from app.core.hashing import JSON, ordered_json
from workbench.cli.context import ExitCode, FormatOption, command, out, print_json
from workbench.cli.imports import MODEL_TO_TRY, one_line, path_from_here
from workbench.cli.losses import print_losses
from workbench.interchange.evaluations import ForeignFile, ImportedEvaluation
from workbench.interchange.foreign_json import MAX_BYTES
from workbench.interchange.formats import decode
from workbench.interchange.openai_evals import CLASSES, read_openai_evals
from workbench.interchange.promptfoo import read_promptfoo
from workbench.workspace.drafts import NewPrompt, Placed, place_prompt, place_text, write_new
from workbench.workspace.marker import find_workspace
from workbench.workspace.prompt_files import PROMPTS_FOLDER, PromptFile, write_prompt
from workbench.yaml_text import dump_yaml

__all__ = ["evaluation"]

_AUTO = "auto"
_PROMPTFOO, _EVALS = "promptfoo", "openai-evals"
_FORMATS = (_AUTO, _PROMPTFOO, _EVALS)
_NO_MODEL = (
    f"No model that can be reached is named; the experiment has {MODEL_TO_TRY}. "
    "Write yours into it, or name one with --model."
)


@dataclass
class _Written:
    """The files of an import: path, what it is, whether it is new; and the texts to write."""

    files: list[tuple[Placed, str]] = field(default_factory=list)
    texts: dict[Path, str] = field(default_factory=dict)
    dataset: str = ""
    dataset_name: str = ""
    experiment: str = ""

    def add(self, path: Path, text: str, what: str) -> Placed:
        placed = place_text(path, text, taken=set(self.texts))
        self.files.append((placed, what))
        if placed.is_new:
            self.texts[placed.path] = text
        return placed


@command
async def evaluation(
    file: Annotated[
        Path, typer.Argument(help="promptfooconfig.yaml, or samples or a registry of OpenAI Evals.")
    ],
    format_from: Annotated[
        str, typer.Option("--from", help=f"The file's format: {', '.join(_FORMATS)}.")
    ] = _AUTO,
    tests: Annotated[
        list[Path] | None,
        typer.Option(
            "--tests", help="A file of tests that belongs to it (CSV, JSON, JSONL, YAML)."
        ),
    ] = None,
    prompt: Annotated[
        list[Path] | None,
        typer.Option(
            "--prompt", help="A prompt file that belongs to it (.txt, .md, .json, .yaml)."
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="Ask this model instead of those that the file names."),
    ] = None,
    judge_model: Annotated[
        str | None,
        typer.Option("--judge-model", help="The model that judges where the file names none."),
    ] = None,
    eval_class: Annotated[
        str | None,
        typer.Option("--eval-class", help=f"How samples are judged: {', '.join(CLASSES)}."),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", help="The name of dataset and experiment; default: its own.")
    ] = "",
    to: Annotated[
        Path | None, typer.Option("--to", help="The folder to write to; default: this workspace.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be written and lost.")
    ] = False,
    lossy: Annotated[
        bool, typer.Option("--lossy", help="Take it although a model would see another text.")
    ] = False,
    format_: FormatOption = "text",
) -> int:
    """Write prompts, a dataset and an experiment from another tool's evaluation."""
    root = find_workspace(Path.cwd()) if to is None else to.resolve()
    read = _reader(_file(file), format_from, eval_class)
    found = read(
        name=_checked_name(name),
        tests=[_file(path) for path in tests or ()],
        prompts=[_file(path) for path in prompt or ()],
        judge_model=judge_model,
    )
    if model:
        found = replace(found, models=tuple(model))
    elif not found.models:
        found = replace(found, models=(MODEL_TO_TRY,), notes=(_NO_MODEL, *found.notes))
    meaning = [loss for _, report in found.reports for loss in report.of_meaning]
    if meaning and not lossy:
        refusal = Invalid(
            f"{file} would ask a model something else here than there: it is not imported.",
            hint="Change the places marked meaning!, or take it with --lossy.",
        )
        if format_ == "json":
            told = {"message": refusal.message, "hint": refusal.hint}
            print_json({"refused": told, "losses": _losses_json(found)})
            return ExitCode.USAGE
        _print_reports(found)
        raise refusal
    written = _place(found, root)
    if not dry_run:
        for path, text in written.texts.items():
            write_new(path, text)
    if format_ == "json":
        print_json(_json(found, written, dry_run=dry_run))
    else:
        _print(found, written, dry_run=dry_run)
    return ExitCode.DONE


# Reading


def _file(path: Path) -> ForeignFile:
    try:
        with path.open("rb") as file:
            return ForeignFile(str(path), decode(file.read(MAX_BYTES + 1), str(path)))
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.") from error


def _reader(
    file: ForeignFile, format_from: str, eval_class: str | None
) -> Callable[..., ImportedEvaluation]:
    """Return the reader of the file's format, which takes the other files by name."""
    if format_from not in _FORMATS:
        raise Invalid(f"--from {format_from}: known are {', '.join(_FORMATS)}.", path="from")
    if format_from == _AUTO:
        format_from = _EVALS if _is_evals(file, eval_class) else _PROMPTFOO

    def read_evals(
        *,
        name: str,
        tests: Sequence[ForeignFile],
        prompts: Sequence[ForeignFile],
        judge_model: str | None,
    ) -> ImportedEvaluation:
        if prompts:
            raise Invalid("--prompt: samples of OpenAI Evals bring their prompts along.")
        return read_openai_evals(
            file, name=name, eval_class=eval_class, samples=tests, judge_model=judge_model
        )

    def read_config(**more: object) -> ImportedEvaluation:
        if eval_class is not None:
            raise Invalid("--eval-class belongs to --from openai-evals.", path="eval-class")
        return read_promptfoo(file, **more)  # type: ignore[arg-type]  # the command's own options

    return read_evals if format_from == _EVALS else read_config


def _is_evals(file: ForeignFile, eval_class: str | None) -> bool:
    registry = re.search(r"^  class: *['\"]?evals\.", file.text, re.MULTILINE)
    return eval_class is not None or file.suffix == ".jsonl" or registry is not None


def _checked_name(name: str) -> str:
    if name and not re.fullmatch(r"[a-z0-9]([a-z0-9._-]{0,98}[a-z0-9])?", name):
        raise Invalid(
            f"--name {name}: names are lower-case ASCII letters, digits, '.', '_' and '-'.",
            path="name",
        )
    return name


# Placing


def _place(found: ImportedEvaluation, root: Path) -> _Written:
    written = _Written()
    files: dict[Path, PromptFile] = {}
    references = list(found.registered)
    for prompt in found.prompts:
        new = NewPrompt(prompt.name, prompt.content, prompt.description, prompt.message)
        placed, file = place_prompt(root / PROMPTS_FOLDER, new, taken=files)
        written.files.append((placed, f"prompt {prompt.name}"))
        if placed.is_new:
            files[placed.path] = file
            written.texts[placed.path] = write_prompt(file)
        references.append(placed.path.relative_to(root).as_posix())
    rows = "".join(ordered_json(dict(row)) + "\n" for row in found.examples)
    count = len(found.examples)
    noun = "example" if count == 1 else "examples"
    dataset = written.add(root / "datasets" / f"{found.name}.jsonl", rows, f"{count:,} {noun}")
    written.dataset, written.dataset_name = path_from_here(dataset.path), dataset.path.stem
    text = dump_yaml(_experiment(found, references, written.dataset_name))
    experiment = written.add(
        root / "experiments" / f"{found.name}.yaml", text, "an experiment with their scorers"
    )
    written.experiment = path_from_here(experiment.path)
    return written


def _experiment(
    found: ImportedEvaluation, references: Sequence[str], dataset: str
) -> dict[str, JSON]:
    shape: dict[str, JSON] = {"name": found.name}
    if found.description:
        shape["description"] = found.description
    shape |= {
        "dataset": f"{dataset}@1",
        "prompts": list(references),
        "models": list(found.models),
    }
    if found.parameters:
        own = found.parameters
        shape["parameters"] = dict(own) if isinstance(own, Mapping) else [dict(one) for one in own]
    if found.repetitions > 1:
        shape["repetitions"] = found.repetitions
    shape["scorers"] = [one if isinstance(one, str) else dict(one) for one in found.scorers]
    return shape


# Printing


def _print(found: ImportedEvaluation, written: _Written, *, dry_run: bool) -> None:
    console = out()
    verb = "would write" if dry_run else "written"
    for placed, what in written.files:
        state = (verb, "green") if placed.is_new else ("is there already", "dim")
        console.print(Text.assemble(state, f"  {path_from_here(placed.path)}  {one_line(what)}"))
    for note in found.notes:
        console.print(Text.assemble(("note", "cyan"), f"  {one_line(note)}"))
    _print_reports(found)
    if not dry_run:
        for line in _next(written):
            console.print(Text.assemble(("next", "bold"), f"  {line}"))


def _print_reports(found: ImportedEvaluation) -> None:
    for title, report in found.reports:
        print_losses(out(), report, one_line(title))


def _next(written: _Written) -> Iterator[str]:
    yield f"workbench datasets import {written.dataset} --name {written.dataset_name}"
    yield f"workbench run {written.experiment}"


def _json(found: ImportedEvaluation, written: _Written, *, dry_run: bool) -> dict[str, JSON]:
    return {
        "dry_run": dry_run,
        "name": found.name,
        "files": [
            {"path": path_from_here(placed.path), "written": placed.is_new, "what": what}
            for placed, what in written.files
        ],
        "examples": len(found.examples),
        "prompts": [prompt.name for prompt in found.prompts] + list(found.registered),
        "models": list(found.models),
        "scorers": [one if isinstance(one, str) else dict(one) for one in found.scorers],
        "notes": list(found.notes),
        "refused": None,
        "losses": _losses_json(found),
        "next": list(_next(written)),
    }


def _losses_json(found: ImportedEvaluation) -> list[JSON]:
    return [{"file": title, **loss.to_json()} for title, report in found.reports for loss in report]
