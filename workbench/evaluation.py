"""Run an experiment from Python: `from workbench import evaluate, evaluate_sync`.

    done = await evaluate(prompts=["triage@1", "triage@2"], models=["openai/gpt-4.1-mini"],
                          dataset="triage@1", scorers=["exact_match"])      # in a notebook
    done = evaluate_sync(app={"old": old_app, "new": new_app}, dataset="triage@1",
                         scorers=["contains"])                              # in a script

It asks what `workbench run` asks and stores what that stores, so that either can go on with what
the other began. Two kinds of thing are measured:

- **prompts on models**: an experiment. Asking the same again goes on with the one that was
  interrupted and makes no call twice; `new=True` starts anew;
- **an application**, any callable: its outputs become imported runs. What code it runs is not on
  record, so an interrupted run is carried on only when `resume=True` says that it is the same.

Two functions, because there are two situations: `await evaluate(...)` where a loop is running
(a notebook, a service), `evaluate_sync(...)` where none is.
"""

from __future__ import annotations

import asyncio
import functools
import html
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, ParamSpec, TypeVar

from pydantic import ValidationError

from app.bootstrap import Services, open_services
from app.core.errors import ConfigurationError, Invalid, NotFound, WorkbenchError
from app.core.permissions import Actor, local_actor
from app.core.settings import load_settings
from app.core.templating import compile_template
from app.llm.budget import in_memory_budget
from app.schemas.datasets import DatasetVersionView
from app.schemas.experiments import ExperimentView, NewExperiment, Plan, RunView
from app.schemas.names import check_run_name, parse_reference
from app.schemas.prompts import MessageTemplate, PromptContent, Variable
from app.services.experiments import UnfinishedExperiment
from workbench.opening import open_record, run_apart
from workbench.reports.files import check_report_path, write_text
from workbench.reports.markdown import comparison_markdown
from workbench.reports.markdown_text import escaped
from workbench.reports.numbers import count_text
from workbench.reports.visible import visible
from workbench.reports.write import ReportForm, write_reports
from workbench.results import examples_frame
from workbench.runner.carrying_out import CarriedOut, Ending, conclude, generate
from workbench.runner.comparison.comparing import compare_pairs
from workbench.runner.generation.application import AppAnswer, Application, run_application
from workbench.runner.generation.execute import ExecutionOptions
from workbench.runner.generation.lock import experiment_lock
from workbench.runner.scoring import score_run
from workbench.scorers import AnyScorer, ScorerConfig
from workbench.scorers.judges import JudgePreference
from workbench.workspace.dataset_files import import_file, import_rows
from workbench.workspace.experiment_files import ExperimentFile
from workbench.workspace.experiments import resolve_experiment, resolve_scorer
from workbench.workspace.marker import find_workspace
from workbench.workspace.plan_check import check_plan
from workbench.workspace.schema import prepare_schema

if TYPE_CHECKING:
    import pandas

__all__ = ["AppAnswer", "Evaluation", "RunStopped", "evaluate", "evaluate_sync"]

T = TypeVar("T")
P = ParamSpec("P")

Status = Literal["completed", "stopped"]

Prompt = str | Path | PromptContent
"""A reference (`triage@2`), a prompt file, content, or the text of one user message."""

_INLINE: Final = "inline"  # the name of prompts and datasets that are given as they are
_FORMS: Final[Mapping[str, ReportForm]] = {
    ".html": ReportForm.HTML,
    ".md": ReportForm.MARKDOWN,
    ".json": ReportForm.JSON,
}
_APP_CONCURRENCY: Final = 8
_APP_PLAN: Final = frozenset({"scorer", "margin"})  # the rest is of experiments and their gates


class RunStopped(WorkbenchError):
    """An error that every further call would meet too, such as a wrong key."""

    code = "run_stopped"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What came of it. `stopped` means that cells are open still; then nothing was compared.

    `counts` has for each run its cells by status, `comparisons` the stored results, `notes` what
    was done by itself, such as a draft that was stored. `experiment` is the experiment's number,
    None for applications.
    """

    status: Status
    experiment: int | None
    counts: Mapping[str, Mapping[str, int]]
    comparisons: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]
    workspace: Path

    @property
    def runs(self) -> tuple[str, ...]:
        """The names of the runs, by which every command finds them."""
        return tuple(self.counts)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The verdicts, each with what it is about."""
        return tuple(
            f"{str(c['verdict']).replace('_', ' ')}: {c['candidate_run']} against "
            f"{c['baseline_run']}. {c['sentence']}"
            for c in self.comparisons
        )

    def to_frame(self, *, texts: bool = False) -> pandas.DataFrame:
        """Return one row a cell, with the columns of `results.examples`."""
        return run_apart(self._frame(texts=texts))

    async def _frame(self, *, texts: bool) -> pandas.DataFrame:
        async with open_record(self.workspace) as services:
            found = [await services.experiments.run(name) for name in self.runs]
            return await examples_frame(services, found, texts=texts)

    def report(self, path: str | Path) -> Path:
        """Write a report whose form the path's ending says (.html, .md, .json); return the path.

        Applications have no experiment: of them there is Markdown and JSON. Raises
        `ConfigurationError` for another ending or a path that cannot be written.
        """
        target = Path(path)
        form = _FORMS.get(target.suffix)
        if form is None or (self.experiment is None and form is ReportForm.HTML):
            known = ".md or .json" if self.experiment is None else ".html, .md or .json"
            raise ConfigurationError(
                f"{target}: the name must end with {known}.",
                hint="An application has a page where it is asked at an address, as a model: see "
                "docs/howto/own-app.md."
                if form is ReportForm.HTML
                else None,
            )
        check_report_path(target)
        if self.experiment is None:
            write_text(target, self._comparisons_as(form))
        else:
            run_apart(self._write_report(self.experiment, form, target))
        return target

    def _comparisons_as(self, form: ReportForm) -> str:
        if form is ReportForm.JSON:
            return json.dumps(list(self.comparisons), indent=2) + "\n"
        runs = "\n".join(
            f"- {escaped(name)}: {escaped(_counted(counts))}"
            for name, counts in self.counts.items()
        )
        told = [f"## {self._head()}", runs, *(comparison_markdown(c) for c in self.comparisons)]
        return "\n\n".join(told) + "\n"

    async def _write_report(self, number: int, form: ReportForm, path: Path) -> None:
        async with open_record(self.workspace) as services:
            experiment = await services.experiments.get(str(number))
            await write_reports(services, experiment, {form: path})

    def __str__(self) -> str:
        head = self._head()
        return "\n".join([head, *self.sentences, *(f"({note})" for note in self.notes)])

    def _repr_html_(self) -> str:
        """Show itself in a notebook; every text is escaped."""
        sentences = "".join(f"<li>{_escaped(text)}</li>" for text in self.sentences)
        rows = "".join(
            f"<tr><td>{_escaped(name)}</td><td>{_escaped(_counted(counts))}</td></tr>"
            for name, counts in self.counts.items()
        )
        return (
            f"<p><strong>{_escaped(self._head())}</strong></p><ul>{sentences}</ul>"
            f"<table><thead><tr><th>run</th><th>cells</th></tr></thead><tbody>{rows}</tbody></table>"
        )

    def _head(self) -> str:
        what = "Applications" if self.experiment is None else f"Experiment {self.experiment}"
        return f"{what}: {self.status}, {count_text(len(self.runs), 'run')}"


def _escaped(text: str) -> str:
    return html.escape(visible(text))


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {status}" for status, count in counts.items()) or "none yet"


async def evaluate(
    *,
    dataset: str | Path | Sequence[Mapping[str, Any]] | pandas.DataFrame,
    prompts: Sequence[Prompt] = (),
    models: Sequence[str] = (),
    app: Application | Mapping[str, Application] | None = None,
    scorers: Sequence[str | dict[str, Any]] = (),
    baseline: Prompt | None = None,
    plan: Plan | Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    repetitions: int = 1,
    limit: int | None = None,
    bind: Mapping[str, str] | None = None,
    inputs: Sequence[str] = (),
    expected: str | None = None,
    key: str | None = None,
    name: str = "",
    budget: Decimal | float | str | None = None,
    concurrency: int | None = None,
    cache: bool = False,
    new: bool = False,
    resume: bool = False,
    workspace: str | Path = ".",
) -> Evaluation:
    """Run prompts on models, or an application, over a dataset; score, compare, tell.

    - `dataset`: a version (`triage@1`), a file, a list of rows, or a DataFrame; of rows and files
      `inputs`, `expected` and `key` name the columns (default: all columns are inputs).
    - `prompts`, `models`, `parameters`, `bind` (variable: column), `limit`, `repetitions`,
      `scorers`, `plan`, `name`: as in an experiment file. A prompt may also be `PromptContent`
      or the text of one user message with `{{ placeholders }}`; it is stored as a draft.
    - `app` instead of prompts and models: a callable that takes an example's input (a dict) and
      returns the output, or several by name. It may be asynchronous. An exception is a failed
      cell. Of the plan it has margin and scorer.
    - `baseline`: which of the prompts or applications, or the name of a stored run; the first.
    - `budget`: US dollars that an experiment may cost at most; of an application, whose calls
      are its own, what judges may cost.
    - `concurrency`: calls at once (default: what the provider bears; 8 for an application).
    - `cache` uses stored answers to equal requests again; `new` starts anew although the same
      question is unfinished; `resume` carries an application's last run on.

    Raises `WorkbenchError`s: sentences that say what to do. A cancelled task or cell stores what
    has ended; asking the same again goes on from there.
    """
    asked = _Asked(
        prompts=tuple(_several("prompts", prompts)),
        models=tuple(_several("models", models)),
        apps=_apps(app),
        scorers=list(_several("scorers", scorers)),
        baseline=baseline,
        plan=plan or {},
        parameters=parameters or {},
        repetitions=repetitions,
        limit=limit,
        bind=bind or {},
        name=name,
        budget=_money(budget),
        options=ExecutionOptions(concurrency=concurrency, cache=cache),
        new=new,
        resume=resume,
    )
    _check_kind(asked)
    root = find_workspace(Path(workspace))
    async with open_services(load_settings(root)) as services:
        await prepare_schema(services)
        work = _Work(services, local_actor(), root, asked)
        version = await work.dataset(dataset, inputs=inputs, expected=expected, key=key)
        if asked.apps:
            return await work.measure(version)
        return await work.experiment(version)


def _blocking(
    function: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[[Callable[[], None]], Callable[P, T]]:
    """Make of an empty function one that runs `function` to its end, with its parameters."""

    def decorate(empty: Callable[[], None]) -> Callable[P, T]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                return asyncio.run(function(*args, **kwargs))
            raise ConfigurationError(
                "An event loop is running here, as in a notebook: write `await evaluate(...)`."
            )

        run.__name__ = run.__qualname__ = empty.__name__
        run.__doc__ = empty.__doc__
        return run

    return decorate


@_blocking(evaluate)
def evaluate_sync() -> None:
    """Do what `await evaluate(...)` does, with the same parameters, where no loop is running.

    Ctrl-C stores what has ended, as a cancelled cell does.
    """


@dataclass(frozen=True)
class _Asked:
    """The question without its dataset."""

    prompts: tuple[Prompt, ...]
    models: tuple[str, ...]
    apps: Mapping[str, Application]
    scorers: list[str | dict[str, Any]]
    baseline: Prompt | None
    plan: Plan | Mapping[str, Any]
    parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    repetitions: int
    limit: int | None
    bind: Mapping[str, str]
    name: str
    budget: Decimal | None
    options: ExecutionOptions
    new: bool
    resume: bool


def _several(field: str, given: Sequence[T]) -> Sequence[T]:
    """Return a list as it is; a single text would be taken for a list of its letters."""
    if isinstance(given, (str, Mapping)) or not isinstance(given, Sequence):
        raise ConfigurationError(f"{field} is a list: write {field}=[...].", path=field)
    return given


def _money(budget: Decimal | float | str | None) -> Decimal | None:
    try:
        return None if budget is None else Decimal(str(budget))
    except InvalidOperation:
        raise ConfigurationError(
            f"A budget of {budget!r} is not possible: give US dollars, as in 5.00.", path="budget"
        ) from None


def _apps(app: Application | Mapping[str, Application] | None) -> Mapping[str, Application]:
    if app is None:
        return {}
    if not isinstance(app, Mapping):
        name = getattr(app, "__name__", type(app).__name__)
        app = {"application" if name == "<lambda>" else name: app}
    for name, function in app.items():
        _check_app_name(name)
        if not callable(function):
            raise ConfigurationError(
                f"The application {name} is {type(function).__name__} and not a callable.",
                path="app",
            )
    return app


def _check_app_name(name: object) -> None:
    """Refuse a name by which no command could find the run."""
    if not isinstance(name, str):
        raise ConfigurationError(f"{name!r} is no name for an application.", path="app")
    check_run_name(name)


def _check_kind(asked: _Asked) -> None:
    if asked.apps and (asked.prompts or asked.models):
        raise ConfigurationError(
            "Say either prompts and models, or app: an application chooses its own.",
            hint="To compare both, measure each and name the other's run as the baseline.",
        )
    if not asked.apps and not (asked.prompts and asked.models):
        raise ConfigurationError("Say what to measure: prompts and models, or app.")
    if asked.apps:
        _check_of_apps(asked)


def _check_of_apps(asked: _Asked) -> None:
    """Refuse what would be left out silently, and numbers that leave nothing to measure."""
    for field, given in (
        ("name", asked.name),
        ("parameters", asked.parameters),
        ("bind", asked.bind),
        ("cache", asked.options.cache),
        ("new", asked.new),
    ):
        if given:
            raise ConfigurationError(
                f"{field} says nothing of an application: leave it out.", path=field
            )
    for field, number in (
        ("repetitions", asked.repetitions),
        ("limit", asked.limit),
        ("concurrency", asked.options.concurrency),
    ):
        if number is not None and number < 1:
            raise ConfigurationError(f"{field} is {number}: it is a number from 1 on.", path=field)


class _Work:
    """One evaluation over an open workspace."""

    def __init__(self, services: Services, actor: Actor, root: Path, asked: _Asked) -> None:
        self._services = services
        self._actor = actor
        self._root = root
        self._asked = asked
        self._notes: list[str] = []

    async def dataset(
        self,
        given: str | Path | Sequence[Mapping[str, Any]] | pandas.DataFrame,
        *,
        inputs: Sequence[str],
        expected: str | None,
        key: str | None,
    ) -> DatasetVersionView:
        """Return the version that was named, or make it of a file or of rows."""
        services, actor, note = self._services, self._actor, self._notes.append
        if isinstance(given, (str, Path)):
            path = Path(given)
            if isinstance(given, str) and ("@" in given or not path.suffix):
                return await services.datasets.get(parse_reference(given, noun="dataset"))
            return await import_file(
                services, actor, path, inputs=inputs, expected=expected, key=key, note=note
            )
        return await import_rows(
            services,
            actor,
            _rows(given),
            name=_INLINE,
            inputs=inputs,
            expected=expected,
            key=key,
            note=note,
        )

    # Prompts on models

    async def experiment(self, dataset: DatasetVersionView) -> Evaluation:
        """Carry out an experiment, or the one that was begun with the same question."""
        services, actor = self._services, self._actor
        file = _experiment_file(
            self._asked,
            dataset.reference,
            prompts=[await self._reference(prompt) for prompt in self._asked.prompts],
            baseline=await self._baseline(),
        )
        new = await resolve_experiment(services, actor, file, dataset, self._notes.append)
        experiment = await self._created(new)
        if self._asked.budget is not None:
            await services.budgets.set(actor, experiment.id, experiment.number, self._asked.budget)
        with experiment_lock(self._root, experiment.number):
            await services.budgets.settle_lost(actor, experiment.id)
            report = await generate(services, actor, experiment, self._asked.options)
            done = await conclude(services, actor, experiment, report)
        counts = {
            run.name: total.by_status
            for run, total in zip(done.experiment.runs, done.totals, strict=True)
        }
        if (why := _unfinished(done)) is not None:
            self._notes.append(why)
        status: Status = "completed" if why is None else "stopped"
        return self._evaluation(status, experiment.number, counts, done.comparisons)

    async def _reference(self, prompt: Prompt) -> str:
        """Return a reference or a path for a prompt; content is stored as a draft."""
        if isinstance(prompt, Path):
            return str(prompt)
        if isinstance(prompt, str) and "{{" not in prompt:
            return prompt
        content = prompt if isinstance(prompt, PromptContent) else _user_message(prompt)
        stored = await self._services.prompts.register(self._actor, _INLINE, content, number=None)
        return stored.version.reference

    async def _baseline(self) -> str | None:
        baseline = self._asked.baseline
        return None if baseline is None else await self._reference(baseline)

    async def _created(self, new: NewExperiment) -> ExperimentView:
        experiments = self._services.experiments
        try:
            return await experiments.create(self._actor, new, again=self._asked.new)
        except UnfinishedExperiment as unfinished:
            self._notes.append(f"Going on with experiment {unfinished.number}.")
            return await experiments.get(str(unfinished.number))

    # Applications

    async def measure(self, dataset: DatasetVersionView) -> Evaluation:
        """Give every example to each application, score what they return, compare."""
        services, actor, asked = self._services, self._actor, self._asked
        note = self._notes.append
        plan = _plan_of_apps(_checked_plan(asked.plan))
        scorers = [await resolve_scorer(services, actor, spec, note) for spec in asked.scorers]
        check_plan(plan, scorers, examples=dataset.example_count, gate=False)
        stored = await self._stored_baseline()
        runs = {name: await self._app_run(name, dataset) for name in asked.apps}
        baseline = stored or runs[str(asked.baseline or next(iter(runs)))]
        for name, app in asked.apps.items():
            await run_application(
                services,
                actor,
                runs[name],
                app,
                dataset,
                repetitions=asked.repetitions,
                limit=asked.limit,
                concurrency=asked.options.concurrency or _APP_CONCURRENCY,
            )
        results = await self._compared(runs, baseline, scorers, plan)
        totals = await services.generations.totals([run.id for run in runs.values()])
        counts = {run.name: totals[run.id].by_status for run in runs.values()}
        return self._evaluation("completed", None, counts, results)

    async def _compared(
        self,
        runs: Mapping[str, RunView],
        baseline: RunView,
        scorers: Sequence[AnyScorer[ScorerConfig]],
        plan: Plan,
    ) -> list[Mapping[str, Any]]:
        """Score all runs and hold the others against the baseline under the primary scorer."""
        services, actor = self._services, self._actor
        alone = [s for s in scorers if not isinstance(s, JudgePreference)]
        async with AsyncExitStack() as stack:
            amount, budget = self._asked.budget, None
            if amount is not None:
                budget = await stack.enter_async_context(in_memory_budget(amount))
            for run in {run.id: run for run in (baseline, *runs.values())}.values():
                await score_run(services, actor, run, alone, budget=budget)
            candidates = [run for run in runs.values() if run.id != baseline.id]
            if not scorers or not candidates:
                return []
            primary = next((s for s in scorers if s.name == plan.scorer), scorers[0])
            view = await services.scores.ensure_scorer(actor, primary.identity())
            compared = await compare_pairs(
                services,
                actor,
                [(baseline, candidate) for candidate in candidates],
                view,
                margin=plan.margin,
                budget=budget,
            )
        return [comparison.result for comparison in compared]

    async def _stored_baseline(self) -> RunView | None:
        """Return the stored run that is the baseline; None if it is one of the applications."""
        baseline = self._asked.baseline
        if baseline is None or str(baseline) in self._asked.apps:
            return None
        return await self._services.experiments.run(str(baseline))

    async def _app_run(self, name: str, dataset: DatasetVersionView) -> RunView:
        """Return a new run with a free name; with `resume` the last one of this name."""
        last, free, number = None, name, 1
        while (found := await self._run_named(free)) is not None:
            last, number = found, number + 1
            free = f"{name}-{number}"
        if self._asked.resume and last is not None:
            if last.dataset_version_id != dataset.id or last.origin != "imported":
                raise Invalid(
                    f"{last.name} cannot be carried on: it is no application's run over "
                    f"{dataset.reference}.",
                    path="resume",
                )
            return last
        return await self._services.experiments.import_run(
            self._actor, dataset, name=free, source=f"application {name}", outputs=()
        )

    async def _run_named(self, name: str) -> RunView | None:
        try:
            found = await self._services.experiments.run(name)
        except NotFound:
            return None
        return found if found.name == name else None

    def _evaluation(
        self,
        status: Status,
        experiment: int | None,
        counts: Mapping[str, Mapping[str, int]],
        results: Sequence[Mapping[str, Any]],
    ) -> Evaluation:
        return Evaluation(
            status=status,
            experiment=experiment,
            counts=counts,
            comparisons=tuple(results),
            notes=tuple(dict.fromkeys(self._notes)),
            workspace=self._root,
        )


def _unfinished(done: CarriedOut) -> str | None:
    """Say why there is work left, None if there is none.

    Raises `RunStopped` for an error that no further call could get round.
    """
    match done.ending:
        case Ending.COMPLETED:
            return None
        case Ending.FATAL:
            assert done.report.fatal is not None  # noqa: S101 - it is what the ending says
            raise RunStopped(
                done.report.fatal.message,
                hint="Put that right, then ask the same again: experiment "
                f"{done.experiment.number} goes on where it stopped.",
            )
        case Ending.BUDGET_REACHED:
            return "The budget is reached: ask the same again with a larger one to go on."
        case Ending.CANCELLED:
            return "The experiment was cancelled; its outcomes stay."
        case Ending.STOPPED:
            return f"{done.open_cells:,} cells have no outcome yet."


def _rows(given: Sequence[Mapping[str, Any]] | pandas.DataFrame) -> Sequence[Mapping[str, Any]]:
    """Return rows as they are, and those of a DataFrame with None for what is missing."""
    if isinstance(given, Sequence) and all(isinstance(row, Mapping) for row in given):
        return given
    if isinstance(given, Sequence) or not hasattr(given, "to_dict"):
        raise ConfigurationError(
            "dataset is a version (triage@1), a file, a list of rows (dicts) or a DataFrame.",
            path="dataset",
        )
    plain = given.astype(object).where(given.notna(), None)
    rows: list[Mapping[str, Any]] = plain.to_dict("records")
    return rows


def _user_message(text: str) -> PromptContent:
    names = compile_template(text).names
    return PromptContent(
        messages=(MessageTemplate(role="user", content=text),),
        variables={name: Variable(type="any") for name in names},
    )


def _experiment_file(
    asked: _Asked, dataset: str, *, prompts: list[str], baseline: str | None
) -> ExperimentFile:
    parameters = asked.parameters
    try:
        return ExperimentFile(
            name=asked.name,
            dataset=dataset,
            prompts=prompts,
            models=list(asked.models),
            parameters=dict(parameters)
            if isinstance(parameters, Mapping)
            else [dict(chosen) for chosen in parameters],
            repetitions=asked.repetitions,
            limit=asked.limit,
            scorers=asked.scorers,
            baseline=baseline,
            map=dict(asked.bind),
            plan=_checked_plan(asked.plan),
        )
    except ValidationError as error:
        raise _sentence(error) from None


def _checked_plan(plan: Plan | Mapping[str, Any]) -> Plan:
    try:
        return plan if isinstance(plan, Plan) else Plan.model_validate(dict(plan))
    except ValidationError as error:
        raise _sentence(error) from None


def _plan_of_apps(plan: Plan) -> Plan:
    """Refuse what only an experiment and its gate have."""
    if further := sorted(plan.model_fields_set - _APP_PLAN):
        raise ConfigurationError(
            f"plan.{further[0]} is of experiments and their gates; the plan of an application "
            f"has {' and '.join(sorted(_APP_PLAN))}.",
            path=f"plan.{further[0]}",
        )
    return plan


def _sentence(error: ValidationError) -> Invalid:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return Invalid(f"{where}: {first['msg']}.", path=where)
