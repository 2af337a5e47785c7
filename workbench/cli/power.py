"""`workbench power`: how many examples and answers a question needs, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from app.core.errors import ConfigurationError, Invalid
from app.schemas.experiments import NewExperiment, RunView, check_margin
from app.schemas.names import parse_reference
from app.schemas.scores import ScorerView
from workbench.cli.context import (
    FormatOption,
    Workspace,
    command,
    err,
    open_workspace,
    out,
    print_json,
)
from workbench.cli.spending import dollars
from workbench.cli.tables import plain_table
from workbench.number_text import count_text
from workbench.runner.estimate import estimate
from workbench.runner.power_plan import (
    Goal,
    PlanRow,
    Question,
    Spread,
    assumed_spread,
    examples_needed,
    pilot_spread,
    plan_rows,
    sequential_examples,
)
from workbench.scored_cells import observations
from workbench.scorers import parse_scorer
from workbench.workspace.experiment_files import read_experiment_file
from workbench.workspace.experiments import resolve_experiment

__all__ = ["app"]

app = typer.Typer(
    help="Say how many examples and answers a margin needs, and what they cost.",
    add_completion=False,
)


@dataclass(frozen=True)
class _Setting:
    """What is known besides the question: the size of the dataset, and the cost of one example
    with one answer of every variant, from low to high in US dollars (None: unknown)."""

    dataset: str | None
    available: int | None
    cost: tuple[float, float] | None
    cost_source: str


@app.command()
@command
async def power(
    spec: Annotated[
        Path | None,
        typer.Argument(help="An experiment file: its margin, goal, dataset and what it costs."),
    ] = None,
    pilot: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="BASELINE CANDIDATE", help="Two scored runs to plan by."),
    ] = None,
    scorer: Annotated[
        str | None, typer.Option(help="With --pilot: which score (default: the one both have).")
    ] = None,
    margin: Annotated[
        float | None, typer.Option(help="The acceptable loss: 0.03 is 3 points of a rate.")
    ] = None,
    superiority: Annotated[
        bool, typer.Option("--superiority", help="Show that the candidate is better.")
    ] = False,
    expected_difference: Annotated[
        float, typer.Option(help="Candidate minus baseline, as you expect it.")
    ] = 0.0,
    baseline_rate: Annotated[
        float | None, typer.Option(help="Assumed share of examples that the baseline passes.")
    ] = None,
    discordant: Annotated[
        float | None, typer.Option(help="Assumed share of examples on which the two differ.")
    ] = None,
    agreement: Annotated[
        float | None, typer.Option(help="The other way round: the share on which they agree.")
    ] = None,
    unstable: Annotated[
        float | None,
        typer.Option(help="Assumed share of examples on which two answers of one variant differ."),
    ] = None,
    repetitions: Annotated[
        str, typer.Option(help="Answers for each example to look at.")
    ] = "1,2,4",
    dataset: Annotated[
        str | None, typer.Option(help="The dataset version to be used, as in triage@1.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="Two-sided level.")] = 0.05,
    power_: Annotated[float, typer.Option("--power", help="Chance to show what is true.")] = 0.8,
    format_: FormatOption = "text",
) -> None:
    """Plan a comparison before anything is spent on it.

    Examples:

      workbench power --pilot 3/triage@1+openai/x 3/triage@2+openai/x --margin 0.03

      workbench power experiments/triage.yaml --discordant 0.1 --unstable 0.05

      workbench power --baseline-rate 0.8 --expected-difference 0.05 --superiority
    """
    check_margin(margin)
    if agreement is not None and discordant is not None:
        raise ConfigurationError("Say either --discordant or --agreement, not both.")
    if agreement is not None:
        discordant = 1 - agreement
    wanted = _counts(repetitions)
    async with open_workspace() as workspace:
        asked = None if spec is None else await _asked(workspace, spec)
        goal: Goal = "superiority" if superiority else "non_inferiority"
        if asked is not None:
            margin = asked.plan.margin if margin is None else margin
            goal = asked.plan.goal if not superiority else goal
        candidates = 1 if asked is None else _candidates(asked)
        question = Question(goal, margin, expected_difference, alpha / candidates, power_)
        if pilot is not None:
            runs = [await workspace.services.experiments.run(name) for name in pilot]
            spread = await _pilot(workspace, runs[0], runs[1], scorer)
        else:
            runs = []
            spread = assumed_spread(
                expected_difference=expected_difference,
                baseline_rate=baseline_rate,
                discordant=discordant,
                unstable=unstable,
            )
        setting = await _setting(workspace, asked, runs, dataset)
    counts = wanted if spread.repeatable else [1]
    rows = plan_rows(
        question, spread, counts, available=setting.available, cost_of_example=setting.cost
    )
    looks = _looks(asked, question, spread, setting)
    if format_ == "json":
        print_json({**_json(question, spread, counts, rows, setting), "sequential": looks})
    else:
        _print(out(), question, spread, counts, rows, setting)
        for note in (*_family_note(candidates, question), *_looks_note(looks)):
            out().print(f"[dim]{escape(note)}[/]")


def _candidates(asked: NewExperiment) -> int:
    """Return how many comparisons the experiment makes, all of which are to hold at once."""
    return max(1, len(asked.variants) - (asked.baseline_run is None))


def _family_note(candidates: int, question: Question) -> list[str]:
    if candidates == 1:
        return []
    level = f"{100 * question.alpha:.3g} %"
    return [f"{candidates} candidates: each is tested at {level}, so that all hold together."]


def _looks(
    asked: NewExperiment | None, question: Question, spread: Spread, setting: _Setting
) -> dict[str, int | None] | None:
    """Return where a sequential plan is likely to end; None for a fixed one."""
    if asked is None or asked.plan.mode != "sequential" or setting.available is None:
        return None
    most = min(setting.available, asked.plan.n or setting.available)
    likely = None
    if question.goal == "non_inferiority":
        likely = sequential_examples(question, spread, most, asked.repetitions)
    return {"n_max": most, "likely_end": likely}


def _looks_note(looks: Mapping[str, int | None] | None) -> list[str]:
    if looks is None:
        return []
    told = "The plan is sequential: its bounds are wider than those that the figures above are for."
    if looks["likely_end"] is not None:
        return [
            f"{told} They are narrow enough after about {looks['likely_end']:,} of at most "
            f"{looks['n_max']:,} examples."
        ]
    return [f"{told} They may not decide within {looks['n_max']:,} examples."]


async def _asked(workspace: Workspace, spec: Path) -> NewExperiment:
    file = read_experiment_file(spec)
    dataset = await workspace.services.datasets.get(parse_reference(file.dataset, noun="dataset"))
    return await resolve_experiment(
        workspace.services,
        workspace.actor,
        file,
        dataset,
        lambda note: err().print(escape(note), style="dim"),
    )


async def _pilot(
    workspace: Workspace, baseline: RunView, candidate: RunView, name: str | None
) -> Spread:
    scores = workspace.services.scores
    view = _shared_scorer(
        await scores.scorers_of(baseline.id), await scores.scorers_of(candidate.id), name
    )
    rule = parse_scorer({"name": view.name, **view.config})
    sides = [
        observations(await scores.cells(run.id, view.id), rule) for run in (baseline, candidate)
    ]
    return pilot_spread(sides[0], sides[1])


def _shared_scorer(
    first: Sequence[ScorerView], second: Sequence[ScorerView], name: str | None
) -> ScorerView:
    """Return the scorer that both runs were scored with and that is meant."""
    ids = {view.id for view in second}
    shared = [view for view in first if view.id in ids and name in (None, view.name)]
    if len(shared) == 1:
        return shared[0]
    if not shared:
        what = f"with {name}" if name else "with the same scorer"
        raise Invalid(
            f"The pilot's runs are not both scored {what}.",
            path="pilot",
            hint="Score them: workbench score RUN --scorer NAME",
        )
    names = ", ".join(sorted({view.name for view in shared}))
    raise Invalid(f"Say which score to plan by: --scorer ({names}).", path="scorer")


async def _setting(
    workspace: Workspace,
    asked: NewExperiment | None,
    runs: Sequence[RunView],
    dataset: str | None,
) -> _Setting:
    """Gather what the dataset has and what an example costs, from the file, else the pilot."""
    reference = dataset or (runs[0].dataset if runs else None)
    if asked is not None and dataset is None:
        reference = asked.dataset.reference
    available = None
    if reference is not None:
        version = await workspace.services.datasets.get(parse_reference(reference, noun="dataset"))
        available = version.example_count
        if asked is not None and asked.example_limit is not None:
            available = min(available, asked.example_limit)
    if asked is not None:
        found = await estimate(workspace.services, asked)
        cells = max(1, found.examples * found.repetitions)
        total = found.cost
        cost = None if total is None else (total.low / cells, total.high / cells)
        return _Setting(reference, available, cost, "estimate of the experiment file")
    if runs:
        return _Setting(reference, available, await _pilot_cost(workspace, runs), "the pilot")
    return _Setting(reference, available, None, "")


async def _pilot_cost(workspace: Workspace, runs: Sequence[RunView]) -> tuple[float, float] | None:
    """Return what one answer of each run cost in the mean; None as soon as one is unknown."""
    totals = await workspace.services.generations.totals([run.id for run in runs])
    cost = 0.0
    for total in totals.values():
        paid = sum(total.by_status.values()) - total.reused - total.unpriced
        if total.cost is None or total.unpriced or not paid:
            return None
        cost += float(total.cost) / paid
    return cost, cost


def _counts(text: str) -> list[int]:
    """Read `1,2,4`."""
    parts = [part.strip() for part in text.split(",")]
    if not parts or not all(part.isdecimal() and 1 <= int(part) <= 1000 for part in parts):
        raise Invalid(
            f"--repetitions {text}: write numbers from 1 to 1,000, as in 1,2,4.",
            path="repetitions",
        )
    return sorted({int(part) for part in parts})


def _print(
    console: Console,
    question: Question,
    spread: Spread,
    counts: Sequence[int],
    rows: Sequence[PlanRow],
    setting: _Setting,
) -> None:
    console.print(f"[bold]{escape(_goal_text(question, spread))}[/]")
    for count in counts:
        needed = examples_needed(question, spread, count)
        answers = count_text(count, "answer")
        console.print(f"  {needed:,} examples with {answers} each{_verdict(needed, setting)}")
    _print_table(console, question, spread, counts, rows, setting)
    for note in (f"Spread: {spread.source}.", *spread.notes, *_cost_note(setting)):
        console.print(f"[dim]{escape(note)}[/]")


def _goal_text(question: Question, spread: Spread) -> str:
    level = f"{100 * question.power:g} % power, two-sided level {100 * question.alpha:.3g} %"
    expected = _amount(question.expected_difference, spread)
    if question.goal == "superiority":
        return f"To show that the candidate is better, if it is by {expected} ({level}):"
    margin = _amount(question.margin or 0.0, spread)
    return f"To show a loss of less than {margin}, if the true difference is {expected} ({level}):"


def _amount(value: float, spread: Spread) -> str:
    return f"{100 * value:.3g} points" if spread.binary else f"{value:.3g}"


def _verdict(needed: int, setting: _Setting) -> str:
    if setting.available is None:
        return ""
    if setting.available >= needed:
        return f": {setting.dataset} has {setting.available:,}, enough"
    return f": {setting.dataset} has {setting.available:,}, {needed - setting.available:,} too few"


def _print_table(
    console: Console,
    question: Question,
    spread: Spread,
    counts: Sequence[int],
    rows: Sequence[PlanRow],
    setting: _Setting,
) -> None:
    shows = "margin" if question.goal == "non_inferiority" else "difference"
    titles = [f"{shows} shown, {count_text(count, 'answer')}" for count in counts]
    table = plain_table("examples", *(t for title in titles for t in (title, "cost")))
    for row in rows:
        cells = []
        for effect, enough, cost in zip(row.detectable, row.enough, row.costs, strict=True):
            text = _amount(effect, spread)
            cells += [f"[bold]{text}[/]" if enough else text, _cost_text(cost)]
        mark = " (all)" if row.n == setting.available else ""
        table.add_row(f"{row.n:,}{mark}", *cells)
    console.print(table)


def _cost_text(cost: tuple[float, float] | None) -> str:
    if cost is None:
        return "unknown"
    low, high = dollars(cost[0]), dollars(cost[1])
    return low if low == high else f"{low} to {high}"


def _cost_note(setting: _Setting) -> list[str]:
    if setting.cost is not None:
        return [f"Cost of all variants, from {setting.cost_source}."]
    if setting.cost_source:
        return ["The cost is unknown: a model has no price (workbench models price MODEL)."]
    return ["The cost is unknown: name an experiment file or a pilot."]


def _json(
    question: Question,
    spread: Spread,
    counts: Sequence[int],
    rows: Sequence[PlanRow],
    setting: _Setting,
) -> dict[str, Any]:
    needed = {str(count): examples_needed(question, spread, count) for count in counts}
    return {
        "question": asdict(question),
        "spread": asdict(spread),
        "repetitions": list(counts),
        "examples_needed": needed,
        "dataset": setting.dataset,
        "available": setting.available,
        "enough": None
        if setting.available is None
        else {count: setting.available >= n for count, n in needed.items()},
        "rows": [
            {
                "examples": row.n,
                "detectable": list(row.detectable),
                "enough": list(row.enough),
                "cost": [
                    None if cost is None else {"low": cost[0], "high": cost[1]}
                    for cost in row.costs
                ],
            }
            for row in rows
        ],
    }
