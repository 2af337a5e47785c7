"""The files of a workspace, checked without a database, a model or a key.

Every prompt file, dataset file and experiment file is read as the other commands read it, and
each experiment's prompts are rendered on each of its examples. Nothing is stored and nothing is
called, so this can run where no secret may be, as in the pipeline of a fork.

A dataset is found by its name: `triage@2` is `datasets/triage.jsonl` (or .csv, ...) as it is now.
What is only in a registry cannot be checked here and is told as a note.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

from app.core.errors import ConfigurationError, Invalid, WorkbenchError
from app.llm.types import Message
from app.schemas.datasets import MESSAGE_INPUT, ExampleInput
from app.schemas.models import parse_model_reference
from app.schemas.names import parse_reference
from app.schemas.prompts import parse_prompt_reference
from app.services.binding import bind_variables
from app.services.dataset_assembly import Assembly, prepared_batches
from app.services.rendering import PromptRenderer
from workbench.scorers import AnyScorer, ScorerConfig
from workbench.team_scorers import workspace_scorer
from workbench.workspace.dataset_files import dataset_name, read_examples
from workbench.workspace.experiment_files import ExperimentFile, read_experiment_file
from workbench.workspace.models_file import MODELS_FILE, read_models_file
from workbench.workspace.plan_check import check_plan
from workbench.workspace.prompt_files import (
    PromptFile,
    find_prompt_files,
    is_prompt_file,
    read_prompt_file,
)
from workbench.workspace.strict_yaml import FieldPath, YamlDocument, read_yaml

__all__ = ["CheckReport", "check_workspace"]

_DATASETS: Final = "datasets"
_EXPERIMENTS: Final = "experiments"
_TABLES: Final = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet"})
_YAML: Final = frozenset({".yaml", ".yml"})


@dataclass
class CheckReport:
    """What was read, how many requests were rendered, and what is wrong."""

    prompts: int = 0
    datasets: int = 0
    experiments: int = 0
    rendered: int = 0
    problems: list[WorkbenchError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _DatasetFile:
    """A dataset file that can be read, and what all its examples have in common."""

    path: Path
    shown: str
    input_names: tuple[str, ...]
    count: int


async def check_workspace(root: Path, only: Path | None = None) -> CheckReport:
    """Check the files of the workspace `root`; with `only`, that file or the files below it.

    Problems name files by the path of `root`, so a relative one gives relative names.
    What a chosen experiment names is read too, wherever it lies, and an experiment file that is
    named itself may lie anywhere. Problems are collected: one wrong file hides no other. Raises
    `ConfigurationError` if there is nothing to check under `only`: a pipeline that checks nothing
    must not look as if all were well.
    """
    checking = _Checking(root)
    chosen = _chooser(only)
    models = [path for path in (root / MODELS_FILE,) if path.is_file()]
    prompts, datasets = [*find_prompt_files(root)], _files(root / _DATASETS, _TABLES)
    experiments = _files(root / _EXPERIMENTS, _YAML)
    if only is not None and not any(
        chosen(path) for path in (*models, *prompts, *datasets, *experiments)
    ):
        (prompts if _is_prompt(only) else experiments).append(only)
    if any(map(chosen, models)):
        checking.models()
    for path in prompts:
        checking.prompt(path, report=chosen(path))
    for path in datasets:
        await checking.dataset(path, report=chosen(path))
    for path in filter(chosen, experiments):
        checking.experiment(path)
    return checking.report


def _is_prompt(path: Path) -> bool:
    """Whether a file that lies elsewhere is a prompt's, else it is an experiment's."""
    if not path.is_file() or path.suffix.lower() not in _YAML:
        raise ConfigurationError(f"{path}: no prompt, dataset or experiment file is there.")
    value = read_yaml(path, source=str(path)).value
    return isinstance(value, Mapping) and "messages" in value


def _chooser(only: Path | None) -> Callable[[Path], bool]:
    """Return what tells whether a file was asked for."""
    if only is None:
        return lambda path: True
    wanted = only.resolve()
    return lambda path: path.resolve().is_relative_to(wanted)


def _files(folder: Path, endings: frozenset[str]) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in endings
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


class _Checking:
    """One look at a workspace, collecting what it finds."""

    def __init__(self, root: Path) -> None:
        self.report = CheckReport()
        self._root = root
        self._prompts: list[PromptFile] = []
        self._datasets: dict[str, _DatasetFile] = {}
        self._broken: dict[str, WorkbenchError] = {}  # datasets that cannot be read, and why

    def models(self) -> None:
        """Read the file of model declarations."""
        try:
            read_models_file(self._root / MODELS_FILE, source=str(self._root / MODELS_FILE))
        except WorkbenchError as problem:
            self.report.problems.append(problem)

    def prompt(self, path: Path, *, report: bool) -> None:
        """Read a prompt file; `report` says that it was asked for itself."""
        try:
            self._prompts.append(read_prompt_file(path, source=str(path)))
        except WorkbenchError as problem:
            if report:
                self.report.problems.append(problem)
        else:
            self.report.prompts += report

    async def dataset(self, path: Path, *, report: bool) -> None:
        """Read a dataset file to its end, as an import would."""
        shown, name = str(path), path.stem
        try:
            name = dataset_name(path)
            assembly = Assembly(shown)
            async for batch in prepared_batches(read_examples(path), datetime.now(UTC)):
                for prepared in batch:
                    assembly.admit(prepared)
        except WorkbenchError as problem:
            self._broken[name] = problem
            if report:
                self.report.problems.append(problem)
        else:
            self._datasets[name] = _DatasetFile(path, shown, assembly.input_names, assembly.count)
            self.report.datasets += report

    def experiment(self, path: Path) -> None:
        """Read an experiment file, hold it against prompts and data, and render its requests."""
        self.report.experiments += 1
        shown = str(path)
        try:
            asked = read_experiment_file(path)
            document = read_yaml(path, source=shown)
            scorers = _scorers(document, asked, self._root)
            _check_models(document, asked)
            prompts = [
                self._prompt(document, text, index) for index, text in enumerate(asked.prompts)
            ]
            dataset = self._dataset(document, asked)
            if dataset is not None:
                in_use = min(dataset.count, asked.limit or dataset.count)
                _check_declared(document, asked, scorers, in_use)
                for index, prompt in enumerate(prompts):
                    self._render(document, asked, (prompt, index), dataset)
        except WorkbenchError as problem:
            self.report.problems.append(problem)

    def _prompt(self, document: YamlDocument, text: str, index: int) -> PromptFile:
        """Return the file that a reference or a path means."""
        at: FieldPath = ("prompts", index)
        if is_prompt_file(text):
            path = next((p for p in (Path(text), self._root / text) if p.is_file()), None)
            if path is None:
                raise document.problem(at, f"there is no file {text}.")
            return read_prompt_file(path, source=text)
        try:
            reference = parse_prompt_reference(text)
        except Invalid as error:
            raise document.problem(at, error.message) from None
        named = [p for p in self._prompts if p.name == reference.name]
        if reference.number is not None:
            named = [p for p in named if p.number == reference.number]
        elif reference.hash_prefix is not None:
            named = [p for p in named if p.content.hash.startswith(reference.hash_prefix)]
        else:
            named = sorted((p for p in named if p.number), key=lambda p: p.number or 0)
        if not named:
            raise document.problem(at, f"no readable prompt file is {text}.")
        return named[-1]

    def _dataset(self, document: YamlDocument, asked: ExperimentFile) -> _DatasetFile | None:
        try:
            name = parse_reference(asked.dataset, noun="dataset").name
        except Invalid as error:
            raise document.problem(("dataset",), error.message) from None
        broken = self._broken.get(name)
        if broken is not None and broken not in self.report.problems:
            self.report.problems.append(broken)
        if name not in self._datasets and broken is None:
            self.report.notes.append(
                f"{document.source}: no file in {_DATASETS}/ is {asked.dataset}, so its requests "
                "were not rendered."
            )
        return self._datasets.get(name)

    def _render(
        self,
        document: YamlDocument,
        asked: ExperimentFile,
        prompt: tuple[PromptFile, int],
        dataset: _DatasetFile,
    ) -> None:
        """Render one prompt on every example in use."""
        file, index = prompt
        try:
            binding = bind_variables(
                file.reference, file.content, dataset.shown, dataset.input_names, asked.map
            )
        except Invalid as error:
            raise document.problem(
                ("prompts", index), error.message, hint="Bind them under map: variable: column"
            ) from None
        renderer = PromptRenderer(file.content)
        examples = islice(read_examples(dataset.path), asked.limit)
        for row, example in enumerate(examples, start=1):
            values = {variable: example.input[column] for variable, column in binding.items()}
            try:
                renderer.render(values, tuple(_history(example)))
            except Invalid as error:
                raise document.problem(
                    ("prompts", index),
                    f"{file.reference} does not fit {dataset.shown}, row {row}: {error.message}",
                ) from None
            self.report.rendered += 1


def _history(example: ExampleInput) -> Iterator[Message]:
    """Yield the turns of a chat that came before, and the last of the user."""
    for message in example.messages or ():
        yield Message(role=message.role, content=message.content)
    last = example.input.get(MESSAGE_INPUT)
    if isinstance(last, str):
        yield Message(role="user", content=last)


def _scorers(
    document: YamlDocument, asked: ExperimentFile, root: Path
) -> list[AnyScorer[ScorerConfig]]:
    scorers = []
    for index, spec in enumerate(asked.scorers):
        try:
            scorers.append(workspace_scorer(root, spec))
        except WorkbenchError as error:
            raise document.problem(("scorers", index), error.message, hint=error.hint) from None
    return scorers


def _check_models(document: YamlDocument, asked: ExperimentFile) -> None:
    for index, text in enumerate(asked.models):
        try:
            parse_model_reference(text)
        except Invalid as error:
            raise document.problem(("models", index), error.message, hint=error.hint) from None


def _check_declared(
    document: YamlDocument,
    asked: ExperimentFile,
    scorers: Sequence[AnyScorer[ScorerConfig]],
    examples: int,
) -> None:
    try:
        check_plan(asked.plan, scorers, examples=examples, gate=False)
    except Invalid as error:
        path = tuple(int(p) if p.isdecimal() else p for p in (error.path or "plan").split("."))
        raise document.problem(path, error.message, hint=error.hint) from None
