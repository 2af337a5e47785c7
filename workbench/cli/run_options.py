"""The options of `workbench run`, and how their texts are read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from app.core.errors import Invalid
from workbench.cli.progress import ProgressMode

__all__ = [
    "BaselineOption",
    "CacheOption",
    "ConcurrencyOption",
    "DataOption",
    "DatasetOption",
    "ExpectedOption",
    "ExtendOption",
    "InputOption",
    "KeyOption",
    "LimitOption",
    "MapOption",
    "MarginOption",
    "ModelOption",
    "NameOption",
    "NewOption",
    "ParameterOption",
    "ProcessesOption",
    "ProgressOption",
    "PromptOption",
    "RepetitionsOption",
    "ScorerOption",
    "SpecArgument",
    "check_count",
    "parse_concurrency",
    "parse_pairs",
]

SpecArgument = Annotated[
    Path | None, typer.Argument(help="An experiment file; flags below add to or replace it.")
]
DatasetOption = Annotated[str | None, typer.Option(help="A dataset version, as in triage@1.")]
DataOption = Annotated[
    Path | None, typer.Option(help="A CSV, JSONL or JSON file; it becomes a dataset.")
]
InputOption = Annotated[
    list[str] | None, typer.Option("--input", help="With --data: an input column.")
]
ExpectedOption = Annotated[
    str | None, typer.Option(help="With --data: the column with the expected output.")
]
KeyOption = Annotated[str | None, typer.Option(help="With --data: the column with the key.")]
PromptOption = Annotated[
    list[str] | None, typer.Option(help="A version (triage@2) or a file, drafts included.")
]
ModelOption = Annotated[list[str] | None, typer.Option(help="As in openai/gpt-4.1-mini.")]
ScorerOption = Annotated[
    list[str] | None, typer.Option(help="As in exact_match or contains:ignore_case=true.")
]
ParameterOption = Annotated[
    list[str] | None, typer.Option(help="NAME=VALUE for every variant: temperature=0.")
]
MapOption = Annotated[
    list[str] | None, typer.Option("--map", help="VARIABLE=COLUMN where names differ.")
]
BaselineOption = Annotated[
    str | None,
    typer.Option(
        help="What to compare with: a prompt (default: the first), a run, or an alias as in "
        "@production."
    ),
]
MarginOption = Annotated[
    float | None, typer.Option(help="The acceptable loss: 0.03 is 3 points of a rate.")
]
RepetitionsOption = Annotated[int | None, typer.Option(help="Answers for each example.")]
LimitOption = Annotated[int | None, typer.Option(help="Only the first examples.")]
NameOption = Annotated[str | None, typer.Option(help="A name for the experiment.")]
ConcurrencyOption = Annotated[
    str, typer.Option(help="Calls at once: a number, or auto (adapts to rate limits).")
]
ProcessesOption = Annotated[int, typer.Option(min=1, max=64, help="Share the work out.")]
ExtendOption = Annotated[
    str | None,
    typer.Option(
        "--extend",
        metavar="EXPERIMENT",
        help="Carry an experiment on over a newer version of its dataset.",
    ),
]
CacheOption = Annotated[
    bool, typer.Option("--cache", help="Use stored answers to equal requests again.")
]
NewOption = Annotated[
    bool, typer.Option("--new", help="Start anew although the same one is unfinished.")
]
ProgressOption = Annotated[ProgressMode, typer.Option(help="How progress is shown.")]


def parse_pairs(items: Sequence[str] | None, option: str) -> dict[str, Any]:
    """Read NAME=VALUE; values are JSON where they parse as such, else text."""
    pairs: dict[str, Any] = {}
    for item in items or ():
        name, separator, value = item.partition("=")
        if not separator or not name:
            raise Invalid(f"{option} {item}: write NAME=VALUE.", path=option)
        try:
            pairs[name] = json.loads(value)
        except json.JSONDecodeError:
            pairs[name] = value
    return pairs


def parse_concurrency(text: str) -> int | None:
    """Return the number, or None for `auto`."""
    if text == "auto":
        return None
    if text.isdecimal() and 1 <= int(text) <= 2000:
        return int(text)
    raise Invalid(f"--concurrency {text}: use auto, or a number from 1 to 2000.")


def check_count(flag: str, count: int | None, *, most: int | None = None) -> None:
    """Refuse a number below 1 or above `most`."""
    if count is not None and count < 1:
        raise Invalid(f"{flag} must be at least 1.", path=flag)
    if count is not None and most is not None and count > most:
        raise Invalid(f"{flag} must be at most {most:,}.", path=flag)
