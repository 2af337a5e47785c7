"""What Home tells, from the API's answers (pure).

Money is in US dollars; an amount that is unknown is None and told as unknown, never as 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pandas as pd

from workbench.client.experiments import ExperimentSummary
from workbench.client.jobs import Job
from workbench.client.limits import Limit, Window
from workbench.client.spending import BudgetStanding, PurposeSpending, Spending
from workbench.dashboard.frames.experiments import job_error
from workbench.dashboard.text import dollars
from workbench.number_text import count_text

__all__ = [
    "Allowance",
    "Failure",
    "allowances",
    "failures",
    "known_total",
    "purposes",
    "share_text",
    "spending_frame",
    "under_way",
    "unpriced_text",
    "window_of",
]

_PURPOSES: Final = {"experiments": "experiments", "judges": "judges", "production": "chats"}
"""What money is spent on, by its name in the API: chats are answers in production and direct
calls."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that did not come to its end: what, why, and where to look.

    `sentence` and `hint` hold text of people and providers.
    """

    title: str
    sentence: str
    hint: str
    experiment: int | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Allowance:
    """Money that somebody may use, and what of it is gone; `reserved` may still come back.

    `experiment` is the number of the one whose budget it is; None for a limit.
    """

    title: str
    amount: float
    spent: float
    reserved: float
    experiment: int | None = None

    @property
    def share(self) -> float:
        """The share that is gone or reserved, from 0 to 1; all of an allowance of nothing."""
        if self.amount <= 0:
            return 1.0
        return min(1.0, max(0.0, (self.spent + self.reserved) / self.amount))


def under_way(found: Iterable[ExperimentSummary]) -> list[ExperimentSummary]:
    """Return the experiments that a worker is at, or will be."""
    return [it for it in found if it.work is not None]


def failures(jobs: Iterable[Job], experiments: Iterable[ExperimentSummary]) -> list[Failure]:
    """Return what failed, the newest first: jobs, and experiments with cells without an answer."""
    of_jobs = [_job_failure(job) for job in jobs]
    numbers = {it.experiment for it in of_jobs}
    of_cells = [_cell_failure(it) for it in experiments if it.failed and it.number not in numbers]
    return sorted((*of_jobs, *of_cells), key=lambda it: it.at.timestamp() if it.at else 0.0)[::-1]


def _job_failure(job: Job) -> Failure:
    about = "" if job.experiment is None else f" of experiment {job.experiment}"
    told = job_error(job)
    if told is not None:
        sentence, path = told
        hint = f"See the field {path}." if path else ""
    else:
        sentence = "Its process is gone." if job.status == "lost" else "No reason was stored."
        hint = "Its experiment can be resumed." if job.experiment is not None else ""
    at = job.ended_at or job.started_at or job.queued_at
    return Failure(f"The job {job.kind}{about} is {job.status}", sentence, hint, job.experiment, at)


def _cell_failure(found: ExperimentSummary) -> Failure:
    name = f": {found.name}" if found.name else ""
    return Failure(
        f"Experiment {found.number}{name}",
        f"{count_text(found.failed, 'cell')} of {found.wanted:,} without an answer.",
        "Its page says why, and retries them.",
        found.number,
        found.finished_at or found.created_at,
    )


def purposes(spending: Spending) -> Iterator[tuple[str, PurposeSpending]]:
    """Yield what money was spent on and may be seen, by name."""
    for field, name in _PURPOSES.items():
        part: PurposeSpending | None = getattr(spending, field)
        if part is not None:
            yield name, part


def known_total(spending: Spending) -> float | None:
    """Return what is known of all that may be seen; None if nothing is known and something was
    answered."""
    parts = [part for _, part in purposes(spending)]
    known = [part.dollars for part in parts if part.dollars is not None]
    return sum(known) if known else None


def spending_frame(spending: Spending) -> pd.DataFrame:
    """Return one row for each purpose and model; `dollars` is missing where it is unknown."""
    rows = [
        (name, it.model, it.calls, it.dollars, it.unpriced)
        for name, part in purposes(spending)
        for it in part.models
    ]
    frame = pd.DataFrame(rows, columns=["purpose", "model", "calls", "dollars", "unpriced"])
    return frame.astype({"calls": "int64", "dollars": "float64", "unpriced": "int64"})


def allowances(budgets: Iterable[BudgetStanding], limits: Iterable[Limit]) -> list[Allowance]:
    """Return budgets of open experiments, then limits of this month; the fullest first."""
    of_budgets = (
        Allowance(
            f"Experiment {it.experiment}{f': {it.name}' if it.name else ''}",
            it.amount,
            it.spent,
            it.leased,
            it.experiment,
        )
        for it in budgets
    )
    of_limits = (
        _month_allowance(it, it.dollars_per_month)
        for it in limits
        if it.dollars_per_month is not None
    )
    return sorted((*of_budgets, *of_limits), key=lambda it: -it.share)


def _month_allowance(limit: Limit, amount: float) -> Allowance:
    window = window_of(limit.windows, "month")
    spent, reserved = (0.0, 0.0) if window is None else (window.spent, window.reserved)
    return Allowance(f"{limit.holder_kind} {limit.holder}", amount, spent, reserved)


def window_of(windows: Sequence[Window], span: str) -> Window | None:
    """Return the window of a span; None if nothing was used in it."""
    return next((it for it in windows if it.span == span), None)


def share_text(allowance: Allowance) -> str:
    """`$3.20 of $5.00 spent, $0.50 reserved`."""
    reserved = f", {dollars(allowance.reserved)} reserved" if allowance.reserved else ""
    return f"{dollars(allowance.spent)} of {dollars(allowance.amount)} spent{reserved}"


def unpriced_text(count: int) -> str:
    """Say of how many answers the cost is unknown; empty for none."""
    return f"{count_text(count, 'answer')} of unknown cost not in it" if count else ""
