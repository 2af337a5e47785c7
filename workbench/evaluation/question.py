"""What is asked of an evaluation, checked before anything is read or stored.

Every check raises `ConfigurationError` or `Invalid` with the argument as its path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from app.core.errors import ConfigurationError, Invalid
from app.schemas.experiments import Plan
from app.schemas.names import check_run_name
from app.schemas.prompts import PromptContent
from workbench.runner.generation.application import Application
from workbench.runner.generation.execute import ExecutionOptions

__all__ = [
    "Prompt",
    "Question",
    "applications",
    "check_kind",
    "checked_plan",
    "in_a_sentence",
    "money",
    "several",
]

T = TypeVar("T")

Prompt = str | Path | PromptContent
"""A reference (`triage@2`), a prompt file, content, or the text of one user message."""


@dataclass(frozen=True)
class Question:
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


def several(field: str, given: Sequence[T]) -> Sequence[T]:
    """Return a list as it is; a single text would be taken for a list of its letters."""
    if isinstance(given, (str, Mapping)) or not isinstance(given, Sequence):
        raise ConfigurationError(f"{field} is a list: write {field}=[...].", path=field)
    return given


def money(budget: Decimal | float | str | None) -> Decimal | None:
    """Return a budget in US dollars as an exact number."""
    try:
        return None if budget is None else Decimal(str(budget))
    except InvalidOperation:
        raise ConfigurationError(
            f"A budget of {budget!r} is not possible: give US dollars, as in 5.00.", path="budget"
        ) from None


def applications(
    app: Application | Mapping[str, Application] | None,
) -> Mapping[str, Application]:
    """Return the applications by name; one alone is called as its function."""
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


def check_kind(question: Question) -> None:
    """Refuse a question about both kinds of thing, or about neither."""
    if question.apps and (question.prompts or question.models):
        raise ConfigurationError(
            "Say either prompts and models, or app: an application chooses its own.",
            hint="To compare both, measure each and name the other's run as the baseline.",
        )
    if not question.apps and not (question.prompts and question.models):
        raise ConfigurationError("Say what to measure: prompts and models, or app.")
    if question.apps:
        _check_of_apps(question)


def _check_of_apps(question: Question) -> None:
    """Refuse what would be left out silently, and numbers that leave nothing to measure."""
    for field, given in (
        ("name", question.name),
        ("parameters", question.parameters),
        ("bind", question.bind),
        ("cache", question.options.cache),
        ("new", question.new),
    ):
        if given:
            raise ConfigurationError(
                f"{field} says nothing of an application: leave it out.", path=field
            )
    for field, number in (
        ("repetitions", question.repetitions),
        ("limit", question.limit),
        ("concurrency", question.options.concurrency),
    ):
        if number is not None and number < 1:
            raise ConfigurationError(f"{field} is {number}: it is a number from 1 on.", path=field)


def checked_plan(plan: Plan | Mapping[str, Any]) -> Plan:
    """Return the plan; a mapping is validated as in an experiment file."""
    try:
        return plan if isinstance(plan, Plan) else Plan.model_validate(dict(plan))
    except ValidationError as error:
        raise in_a_sentence(error) from None


def in_a_sentence(error: ValidationError) -> Invalid:
    """Return the first thing that is wrong, with its place."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return Invalid(f"{where}: {first['msg']}.", path=where)
