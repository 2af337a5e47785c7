"""`evaluate` and `evaluate_sync`: the question is checked, the workspace opened, the work done."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from app.bootstrap import open_services
from app.core.errors import ConfigurationError
from app.core.permissions import local_actor
from app.core.settings import load_settings
from app.schemas.experiments import Plan
from workbench.evaluation.applications import measure_applications
from workbench.evaluation.desk import Desk
from workbench.evaluation.experiments import measure_prompts
from workbench.evaluation.question import (
    Prompt,
    Question,
    applications,
    check_kind,
    money,
    several,
)
from workbench.evaluation.result import Evaluation
from workbench.runner.generation.application import Application
from workbench.runner.generation.execute import ExecutionOptions
from workbench.workspace.marker import find_workspace
from workbench.workspace.schema import prepare_schema

if TYPE_CHECKING:
    import pandas

__all__ = ["evaluate", "evaluate_sync"]

T = TypeVar("T")
P = ParamSpec("P")


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
    question = Question(
        prompts=tuple(several("prompts", prompts)),
        models=tuple(several("models", models)),
        apps=applications(app),
        scorers=list(several("scorers", scorers)),
        baseline=baseline,
        plan=plan or {},
        parameters=parameters or {},
        repetitions=repetitions,
        limit=limit,
        bind=bind or {},
        name=name,
        budget=money(budget),
        options=ExecutionOptions(concurrency=concurrency, cache=cache),
        new=new,
        resume=resume,
    )
    check_kind(question)
    root = find_workspace(Path(workspace))
    async with open_services(load_settings(root)) as services:
        await prepare_schema(services)
        desk = Desk(services, local_actor(), root, question)
        version = await desk.dataset(dataset, inputs=inputs, expected=expected, key=key)
        measure = measure_applications if question.apps else measure_prompts
        return await measure(desk, version)


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
