"""What a run may cost: the estimate before it, the question whether to spend that, the budget.

Nothing is asked where nothing can be charged: a simulated or local model costs 0.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape

from app.bootstrap import Services
from app.core.errors import ConfigurationError, Invalid
from app.core.permissions import Actor
from app.schemas.budgets import BudgetView, check_amount
from app.schemas.estimates import Bounds, Estimate
from app.schemas.experiments import ExperimentView, NewExperiment
from app.schemas.models import ModelVersionView
from workbench.cli.context import ExitCode, Format, Workspace, err, out, print_json
from workbench.cli.progress import duration
from workbench.cli.tables import plain_table, print_with_whole_names
from workbench.number_text import count_text, money

__all__ = [
    "BudgetOption",
    "EstimateOption",
    "Spending",
    "YesOption",
    "begin_spending",
    "budget_json",
    "budget_line",
    "budget_sentence",
    "dollars",
    "estimate_json",
    "parse_budget",
    "print_estimate",
    "set_budget",
    "settle_spending",
]

BudgetOption = Annotated[
    str | None,
    typer.Option("--budget", metavar="DOLLARS", help="Never spend more, judges included: 5.00."),
]
EstimateOption = Annotated[
    bool, typer.Option("--estimate", help="Print what it would cost; spend and store nothing.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask, whatever the estimate says.")]

ASK_ABOVE: Final = 5.0
"""US dollars: a run that may cost more than this is asked about first."""

ASK_ABOVE_CALLS = 200
"""How many calls of unknown cost are made without asking."""

_AMOUNT = re.compile(r"\$?(\d+|\d{1,3}(,\d{3})+)(\.\d+)?|\$?\.\d+", re.ASCII)

_NICE = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True)
class Spending:
    """What the command line says of money. `concurrency` and `cache` bear on the estimate."""

    budget: Decimal | None
    estimate_only: bool
    yes: bool
    concurrency: int | None
    cache: bool
    format: Format

    def or_budget(self, amount: Decimal | None) -> Spending:
        """Return this with the amount of an experiment file, where the flag gives none."""
        return self if self.budget is not None else replace(self, budget=amount)


def parse_budget(text: str | None) -> Decimal | None:
    """Read the amount of `--budget`; `Invalid` if it is none.

    A comma parts thousands and nothing else: `1,50` could be meant as 1.50 and is refused.
    """
    if text is None:
        return None
    if _AMOUNT.fullmatch(text.strip()) is None:
        raise Invalid(f"--budget {text}: write US dollars, as in 5.00.", path="--budget")
    return check_amount(Decimal(text.strip().removeprefix("$").replace(",", "")))


def dollars(amount: Decimal | float) -> str:
    """Return money as people write it; what is a whole number of cents has two digits."""
    value = float(amount)
    whole = round(value, 2)
    return f"${whole:,.2f}" if value >= 0.01 and math.isclose(whole, value) else money(value)


async def begin_spending(
    workspace: Workspace, new: NewExperiment, spending: Spending
) -> ExitCode | None:
    """Look at what an experiment costs before it is stored; None if it may begin.

    Otherwise return the exit code: 0 if only the estimate was wanted, 4 if the person declined.
    Raises `ConfigurationError` for a budget that cannot be kept, and if there is nobody to ask.
    """
    models = [
        *(variant.model for variant in new.variants),
        *await _judge_models(workspace.services, new.scorers),
    ]
    if not spending.estimate_only:
        if spending.budget is not None:
            _require_prices(models)
            return None
        if spending.yes or all(_is_free(model) for model in models):
            return None
    # Imported here: every scorer is loaded with it, and most runs begin without an estimate.
    from workbench.runner.estimate import estimate

    found = await estimate(
        workspace.services, new, concurrency=spending.concurrency, cache=spending.cache
    )
    if spending.estimate_only:
        if spending.format == "json":
            print_json(estimate_json(found))
        else:
            print_estimate(found)
        return ExitCode.DONE
    reason = _reason_to_ask(found)
    return None if reason is None or _agreed(reason, found) else ExitCode.STOPPED


async def _judge_models(
    services: Services, scorers: Iterable[Mapping[str, Any]]
) -> list[ModelVersionView]:
    """Return the models that the judges among some scorers ask."""
    options = [scorer["config"] for scorer in scorers if scorer["name"].startswith("judge_")]
    seats = [seat for it in options for seat in it.get("models") or [it.get("model")] if seat]
    return [await services.models.get(seat) for seat in dict.fromkeys(seats)]


def _is_free(model: ModelVersionView) -> bool:
    price = model.price
    return price is not None and not (price.input or price.output or price.cached_input)


def _require_prices(models: Iterable[ModelVersionView]) -> None:
    """Refuse a budget over models whose calls nobody can price."""
    for model in models:
        if model.price is None:
            raise ConfigurationError(
                f"A budget cannot be kept: {model.reference} has no price.",
                hint=f"Set one: workbench models price {model.model} --input 0.40 --output 1.60 "
                "(US dollars per million tokens)",
            )


def _reason_to_ask(found: Estimate) -> str | None:
    """Return in words why a person should agree first; None if there is no reason."""
    known = found.known_cost
    if found.cost is None and (found.calls > ASK_ABOVE_CALLS or known.high > ASK_ABOVE):
        calls = count_text(found.calls, "call")
        least = f", {dollars(known.high)} of it known" if known.high > ASK_ABOVE else ""
        return f"What {calls} will cost is unknown{least}: {'; '.join(found.unknown)}"
    if known.high > ASK_ABOVE:
        return f"This may cost {dollars(known.low)} to {dollars(known.high)}"
    return None


def _agreed(reason: str, found: Estimate) -> bool:
    """Ask on a terminal; elsewhere refuse with what to say instead."""
    if not (sys.stdin.isatty() and err().is_terminal):
        price = next(iter(found.unpriced), "").rpartition("@")[0]
        bounded = (
            f"--budget once it has a price (workbench models price {price} --input .. --output ..)"
            if price
            else "--budget DOLLARS to bound it"
        )
        raise ConfigurationError(
            f"{reason}, and there is nobody to ask.",
            hint=f"Say --yes to spend it, or {bounded}. See it all: --estimate",
        )
    print_estimate(found, err())
    return typer.confirm(f"{reason}. Go on?", default=False, err=True)


def print_estimate(found: Estimate, console: Console | None = None) -> None:
    """Print an estimate for people: a line for each variant and judge, and the sum."""
    console = console or out()
    table = plain_table("variant", "calls", "tokens in", "tokens out", "cost", "time")
    for variant in found.variants:
        calls = f"{variant.calls:,}"
        table.add_row(
            escape(f"{variant.prompt} on {variant.model}"),
            f"{calls} ({variant.reused:,} reused)" if variant.reused else calls,
            _count_range(variant.input_tokens),
            _count_range(variant.output_tokens),
            _cost_range(variant.cost),
            _time_range(variant.seconds),
        )
    for judge in found.judges:
        who = escape(f"{judge.scorer} by {judge.model}")
        table.add_row(who, f"{judge.calls:,}", "", "", _cost_range(judge.cost), "")
    total = found.cost
    table.add_row("all", f"{found.calls:,}", "", "", _cost_range(total), _time_range(found.seconds))
    print_with_whole_names(console, table)
    for line in _remarks(found):
        console.print(f"[dim]{escape(line)}[/]")


def _remarks(found: Estimate) -> list[str]:
    """Return what has to be said of an estimate's figures."""
    of = "all" if found.rendered == found.examples else "evenly spaced"
    lines = [
        f"From {found.rendered:,} of {found.examples:,} examples ({of}), "
        f"{count_text(found.repetitions, 'answer')} each; retries are not in it.",
    ]
    lines += [f"The cost is unknown: {reason}." for reason in found.unknown]
    lines += [
        f"Set a price: workbench models price {model.partition('@')[0]} --input DOLLARS "
        "--output DOLLARS"
        for model in found.unpriced
    ]
    basis = {
        "prompt": "earlier answers of the same prompt",
        "model": "earlier answers of the same model",
        "rule": "a quarter of the bytes in, a tenth of max_tokens out",
    }
    known = dict.fromkeys(basis[variant.basis] for variant in found.variants)
    lines.append(f"Low: {'; '.join(known)}. High: every byte a token, max_tokens each.")
    return lines


def _count_range(bounds: Bounds) -> str:
    return f"{bounds.low:,.0f} to {bounds.high:,.0f}"


def _cost_range(bounds: Bounds | None) -> str:
    if bounds is None:
        return "unknown"
    if bounds.high == 0:
        return "$0"
    return f"{dollars(bounds.low)} to {dollars(bounds.high)}"


def _time_range(bounds: Bounds | None) -> str:
    if bounds is None:
        return "unknown"
    low, high = duration(bounds.low), duration(bounds.high)
    return low if low == high else f"{low} to {high}"


def estimate_json(found: Estimate) -> dict[str, Any]:
    """Return an estimate for programs; unknown is null."""
    return {
        "examples": found.examples,
        "rendered": found.rendered,
        "repetitions": found.repetitions,
        "calls": found.calls,
        "cost": found.cost and asdict(found.cost),
        "seconds": found.seconds and asdict(found.seconds),
        "unknown": list(found.unknown),
        "variants": [asdict(variant) for variant in found.variants],
        "judges": [asdict(judge) for judge in found.judges],
    }


async def set_budget(
    workspace: Workspace, experiment: ExperimentView, amount: Decimal | None
) -> None:
    """Give an experiment the budget that was asked for, if one was."""
    if amount is not None:
        await workspace.services.budgets.set(
            workspace.actor, experiment.id, experiment.number, amount
        )


async def settle_spending(
    services: Services, actor: Actor, experiment: ExperimentView
) -> BudgetView | None:
    """Return the budget that a run is to keep, after what killed processes left is settled.

    The caller holds the experiment's lock. Raises `ConfigurationError` if the budget cannot be
    kept because a model has no price.
    """
    if await services.budgets.get(experiment.id) is None:
        return None
    references = dict.fromkeys(run.model for run in experiment.runs if run.model is not None)
    own = [await services.models.get(reference) for reference in references]
    _require_prices([*own, *await _judge_models(services, experiment.spec["scorers"])])
    lost = await services.budgets.settle_lost(actor, experiment.id)
    if lost:
        err().print(
            f"The last process was cut off with {dollars(lost)} of the budget taken out: all of "
            "it counts as spent, because its calls may have been charged."
        )
    return await services.budgets.get(experiment.id)


def budget_sentence(
    budget: BudgetView, number: int, done: int, wanted: int, *, next_call: float = 0.0
) -> str:
    """Say that a budget is reached, how far it went, and how to go on.

    `next_call` is what the call that could not be paid may cost, in US dollars.
    """
    spent, amount = float(budget.spent), float(budget.amount)
    expected = 1.05 * spent * wanted / done if done else 0.0
    more = Decimal(f"{_round_up(max(expected + 2 * next_call, 1.2 * amount)):g}")
    return (
        f"Budget of {dollars(budget.amount)} reached: {dollars(budget.spent)} spent, "
        f"{done:,} of {wanted:,} cells done. Go on with: workbench resume {number} "
        f"--budget {more:f}"
    )


def _round_up(amount: float) -> float:
    """Return the next round amount: 0.0175 is 0.02."""
    magnitude = 10.0 ** math.floor(math.log10(amount))
    return next(nice * magnitude for nice in _NICE if nice * magnitude >= amount)


def budget_line(budget: BudgetView) -> str:
    """`budget $5.00: $4.93 spent`, with what processes at work have taken out."""
    leased = f", {dollars(budget.leased)} taken out" if budget.leased else ""
    return f"budget {dollars(budget.amount)}: {dollars(budget.spent)} spent{leased}"


def budget_json(budget: BudgetView | None) -> dict[str, float] | None:
    """Return a budget for programs, in US dollars; None if there is none."""
    if budget is None:
        return None
    return {name: float(getattr(budget, name)) for name in ("amount", "spent", "leased")}
