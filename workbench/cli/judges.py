"""`workbench judges`: bring in people's labels, check judges against them, see how they stand."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.text import Text

from app.core.errors import ConfigurationError, Conflict, Invalid, NotFound
from app.llm.budget import BudgetReached, LeasedBudget, in_memory_budget
from app.schemas.experiments import RunView
from app.schemas.qualifications import JudgeView
from workbench.cli.context import (
    ExitCode,
    FormatOption,
    Workspace,
    command,
    err,
    open_workspace,
    out,
    print_json,
)
from workbench.cli.spending import parse_budget
from workbench.cli.tables import plain_table, print_with_whole_names
from workbench.number_text import money
from workbench.reports.qualifications import decision_text, qualification_text
from workbench.reports.visible import visible
from workbench.runner.judging.answers import JudgeStopped
from workbench.runner.judging.qualifying import qualify_judge
from workbench.runner.judging.standing import JudgeStanding, judge_standing, short_hash
from workbench.scorers import parse_scorer
from workbench.scorers.judges import JUDGES, AnyJudge, Judge
from workbench.workspace.experiments import resolve_scorer
from workbench.workspace.label_files import read_labels, write_sheet

__all__ = ["app"]

app = typer.Typer(
    help="Judges: sheet, label, qualify, list, show.", no_args_is_help=True, add_completion=False
)

_HASH: Final = re.compile(r"[0-9a-f]{6,64}")
_NAMES: Final = tuple(judge.name for judge in JUDGES)
_METER: Final = Decimal(1_000_000)
"""A budget that no check can reach: it only counts."""
_EXIT_CODES: Final = {
    "passed": ExitCode.DONE,
    "not_proven": ExitCode.NOT_PROVEN,
    "failed": ExitCode.WORSE,
}


@app.command()
@command
async def sheet(
    run: Annotated[str, typer.Argument(help="Its name, a unique beginning of it, or latest.")],
    file: Annotated[Path, typer.Option("--out", help="The CSV file to write.")],
    sample: Annotated[int, typer.Option(min=1, help="How many answers, drawn at random.")] = 80,
    seed: Annotated[int, typer.Option(help="Of the draw; the same again gives the same.")] = 0,
) -> None:
    """Write answers of a run, drawn at random, as a sheet for people to label."""
    async with open_workspace() as workspace:
        services = workspace.services
        found = await services.experiments.run(run)
        cells = await services.reviews.reviewable(found.id)
        answered = sorted(name for name, cell in cells.items() if cell.status == "completed")
        if not answered:
            raise NotFound(f"{found.name} has no answer to label.")
        drawn = random.Random(seed).sample(answered, min(sample, len(answered)))
        answers = await services.reviews.to_label(
            found.id, [cells[name].generation_id for name in drawn]
        )
        if file.exists():
            raise Conflict(f"{file} is there already; it may hold labels.", hint="Name another.")
        write_sheet(file, answers)
        out().print(
            f"{escape(str(file))}: {len(answers)} of {len(answered)} answers. Fill in the column "
            f"label, then: workbench judges label {escape(found.name)} --labels {escape(str(file))}"
        )


@app.command()
@command
async def label(
    run: Annotated[str, typer.Argument(help="Its name, a unique beginning of it, or latest.")],
    labels: Annotated[
        Path,
        typer.Option(help="CSV or JSONL: key, label or value; reviewer, comment, repetition."),
    ],
    criterion: Annotated[str, typer.Option(help="What the labels are about.")] = "quality",
    reviewer: Annotated[
        str | None, typer.Option(help="Who labelled, where the file does not say (default: you).")
    ] = None,
) -> None:
    """Bring people's labels of a run's answers in: all of the file, or nothing.

    A label is pass or fail, or a number on the scale of the judge that is to be checked.
    Labels are only ever added: of one reviewer's labels of an answer the latest counts.
    """
    if not criterion.strip() or len(criterion) > 100:
        raise Invalid("--criterion wants a name of up to 100 characters.", path="criterion")
    async with open_workspace() as workspace:
        services = workspace.services
        found = await services.experiments.run(run)
        given = read_labels(
            labels,
            await services.reviews.reviewable(found.id),
            run=found.name,
            reviewer=reviewer or workspace.actor.name,
        )
        done = await services.reviews.import_labels(
            workspace.actor, found, criterion.strip(), given.reviews
        )
        people = len({review.reviewer for review in given.reviews})
        rest = f", {done.known} known already" if done.known else ""
        rest += f"; {given.unlabelled} rows without a label" if given.unlabelled else ""
        told = (
            f"{found.name}: {done.stored} new labels by {people} "
            f"{'person' if people == 1 else 'people'} under {criterion.strip()}{rest}."
        )
        out().print(escape(visible(told)))


@app.command()
@command
async def qualify(
    judge: Annotated[
        str,
        typer.Argument(
            help="As in judge_correctness:model=openai/gpt-4.1-mini, or digits from `judges list`."
        ),
    ],
    run: Annotated[
        list[str], typer.Option(help="A run with labels; for a judge of pairs two runs.")
    ],
    criterion: Annotated[
        str | None, typer.Option(help="The labels to use (default: the only criterion there is).")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="The most to spend, in US dollars, such as 2.00.")
    ] = None,
    format_: FormatOption = "text",
) -> int:
    """Check a judge against people's labels; a gate believes only judges that passed.

    The judge is asked about every labelled answer, about some of them twice, and about answers
    that may not pass: empty ones, and wrong ones that ask for a pass. What was asked before is
    not asked again. Exit codes: 0 qualified, 10 not qualified, 11 not proven (too few labels).

    Examples:

      workbench judges qualify 3f9ac210 --run latest --budget 2.00

      workbench judges qualify judge_preference:model=openai/gpt-4.1 --run A --run B
    """
    amount = parse_budget(budget)
    async with open_workspace() as workspace:
        runs = [await workspace.services.experiments.run(name) for name in run]
        resolved = await _judge(workspace, judge)
        chosen = await _criterion(workspace, runs, criterion)
        spent: LeasedBudget | None = None
        try:
            async with _spending(workspace, resolved, amount) as spent:
                result = await qualify_judge(
                    workspace.services, workspace.actor, resolved, runs, chosen, _note,
                    budget=spent,
                )  # fmt: skip
        except JudgeStopped as stopped:
            if stopped.reason != BudgetReached.code:
                raise
            err().print(f"{escape(stopped.message)} What was judged is kept: raise --budget.")
            return ExitCode.STOPPED
        cost = None if spent is None else float(spent.spent)
        if format_ == "json":
            print_json({**result, "cost": cost})
        else:
            out().print(qualification_text(result), soft_wrap=False)
            told = "unknown (no price)" if cost is None else money(cost)
            out().print(f"\nCost of this check: {told}")
        return _EXIT_CODES[result["decision"]]


@app.command("list")
@command
async def list_(format_: FormatOption = "text") -> None:
    """List the judges that were used, newest first, and how each stands."""
    async with open_workspace() as workspace:
        services = workspace.services
        rows = [
            (judge, await judge_standing(services, judge.scorer, None))
            for judge in await services.qualifications.judges(_NAMES)
        ]
        if format_ == "json":
            print_json([_json(judge, standing) for judge, standing in rows])
            return
        if not rows:
            out().print("No judge was used yet. See: workbench scorers show judge_rubric")
            return
        table = plain_table("judge", "name", "model", "standing", "labels", "checked")
        for judge, standing in rows:
            check = judge.qualification
            table.add_row(
                short_hash(judge.scorer),
                judge.scorer.name,
                escape(", ".join(judge.scorer.config.get("models") or ())),
                _standing(judge, standing),
                "" if check is None else str(check.label_count),
                ""
                if check is None
                else f"{check.created_at:%Y-%m-%d} on {escape(check.dataset_reference)}",
            )
        print_with_whole_names(out(), table, columns=2)


@app.command()
@command
async def show(
    judge: Annotated[str, typer.Argument(help="At least six digits of it, from `judges list`.")],
    format_: FormatOption = "text",
) -> None:
    """Show a judge: what it asks, with which model, and its newest check in full."""
    async with open_workspace() as workspace:
        found = await _stored(workspace, judge)
        standing = await judge_standing(workspace.services, found.scorer, None)
        if format_ == "json":
            print_json(_json(found, standing))
            return
        console, config = out(), found.scorer.config
        console.print(f"[bold]{found.scorer.name}[/] {short_hash(found.scorer)}")
        for name in ("models", "prompt", "scale", "rubric", "context", "samples"):
            if value := config.get(name):
                told = ", ".join(value) if isinstance(value, list) else str(value)
                console.print(f"  {name.removesuffix('s') if name == 'models' else name}: "
                              f"{escape(visible(told))}")  # fmt: skip
        console.print()
        if found.qualification is None:
            console.print(escape(standing.sentence))
        else:
            console.print(qualification_text(found.qualification.result), soft_wrap=False)


async def _judge(workspace: Workspace, text: str) -> AnyJudge:
    """Return the judge that a text or the digits of its hash name, resolved to versions."""
    if _HASH.fullmatch(text):
        scorer = (await _stored(workspace, text)).scorer
        found = parse_scorer({"name": scorer.name, **scorer.config})
    else:
        found = await resolve_scorer(workspace.services, workspace.actor, text, _note)
    if not isinstance(found, Judge):
        raise ConfigurationError(
            f"{found.name} is no judge: it asks no model.", hint=f"Judges: {', '.join(_NAMES)}."
        )
    return found


async def _stored(workspace: Workspace, digits: str) -> JudgeView:
    if not _HASH.fullmatch(digits):
        raise Invalid(
            f"{digits!r} is no judge: give at least six digits of it.",
            path="judge",
            hint="See `workbench judges list`.",
        )
    judges = await workspace.services.qualifications.judges(_NAMES)
    found = [j for j in judges if j.scorer.content_hash.removeprefix("sha256:").startswith(digits)]
    if len(found) != 1:
        told = "is the beginning of several judges" if found else "is the beginning of no judge"
        raise NotFound(f"{digits} {told}.", hint="See `workbench judges list`.")
    return found[0]


async def _criterion(workspace: Workspace, runs: Sequence[RunView], asked: str | None) -> str:
    """Return the criterion that was asked for, or the only one under which there are labels."""
    if asked is not None:
        return asked
    known = await workspace.services.reviews.criteria([run.id for run in runs])
    if len(known) == 1:
        return known[0]
    if known:
        raise ConfigurationError(f"Say which labels to use: --criterion {' or '.join(known)}.")
    raise ConfigurationError(
        f"Nobody has labelled an answer of {runs[0].name}.",
        hint=f"Bring labels in: workbench judges label {runs[0].name} --labels labels.csv",
    )


@asynccontextmanager
async def _spending(
    workspace: Workspace, judge: AnyJudge, amount: Decimal | None
) -> AsyncIterator[LeasedBudget | None]:
    """Yield what counts and bounds the cost; None where it is unknown and no bound was given."""
    models = [await workspace.services.models.get(seat) for seat in judge.config.seats]
    if amount is None and any(model.price is None for model in models):
        yield None
        return
    async with in_memory_budget(amount or _METER) as budget:
        yield budget


def _standing(judge: JudgeView, standing: JudgeStanding) -> str | Text:
    if judge.qualification is not None:
        return decision_text(judge.qualification.result["decision"])
    if not standing.changed:
        return "not checked"
    return f"outdated ({', '.join(standing.changed)} changed)"


def _json(judge: JudgeView, standing: JudgeStanding) -> dict[str, Any]:
    check = judge.qualification
    return {
        "name": judge.scorer.name,
        "content_hash": judge.scorer.content_hash,
        "config": judge.scorer.config,
        "qualified": standing.qualified,
        "sentence": standing.sentence,
        "qualification": None
        if check is None
        else {
            "dataset": check.dataset_reference,
            "label_count": check.label_count,
            "input_hash": check.input_hash,
            "created_at": check.created_at.isoformat(),
            "created_by": check.created_by,
            "result": check.result,
        },
    }


def _note(text: str) -> None:
    err().print(escape(text), style="dim")
