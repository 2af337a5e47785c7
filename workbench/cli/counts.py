"""How many cells of a run ended how, what its judges cost, where a sequential plan ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.schemas.experiments import ExperimentView
from app.schemas.generations import RunTotals
from app.schemas.judgements import JudgingTotals

__all__ = ["counts_text", "done_and_failed", "judging_json", "judging_text", "sequential_text"]


def counts_text(totals: RunTotals) -> str:
    """Return `120 completed, 80 of them reused`; empty without any outcome."""
    told = ", ".join(f"{count} {status}" for status, count in totals.by_status.items())
    if not totals.reused:
        return told
    separator = "," if len(totals.by_status) == 1 else ";"
    return f"{told}{separator} {totals.reused} of them reused"


def done_and_failed(totals: Sequence[RunTotals]) -> tuple[int, int]:
    """Return how many cells have an outcome, and how many of these no answer."""
    done = sum(sum(total.by_status.values()) for total in totals)
    good = sum(
        total.by_status.get("completed", 0) + total.by_status.get("refused", 0) for total in totals
    )
    return done, done - good


def judging_text(totals: JudgingTotals) -> str | None:
    """Return `judges: 120 questions, $0.0312`; None where no judge was asked."""
    if not totals.questions:
        return None
    told = f"judges: {totals.questions:,} question{'s' if totals.questions > 1 else ''}"
    if totals.cost is not None:
        told += f", ${totals.cost:.4f}"
    return told + (f", {totals.unpriced:,} of them without a price" if totals.unpriced else "")


def judging_json(totals: JudgingTotals) -> dict[str, Any]:
    """Return what judging a run has cost, for programs; what is not known is null, never 0."""
    return {
        "questions": totals.questions,
        "input_tokens": totals.input_tokens,
        "output_tokens": totals.output_tokens,
        "cost": None if totals.cost is None else float(totals.cost),
        "unpriced": totals.unpriced,
    }


def sequential_text(experiment: ExperimentView, totals: Sequence[RunTotals]) -> str | None:
    """Say where a sequential plan ended and what that saved; None if it has not, or is fixed."""
    end = experiment.sequential
    if end is None:
        return None
    verdicts = [candidate.verdict.replace("_", " ") for candidate in end.candidates]
    told = verdicts[0]
    if len(verdicts) > 1:
        names = (candidate.candidate for candidate in end.candidates)
        told = "; ".join(f"{name} {verdict}" for name, verdict in zip(names, verdicts, strict=True))
    if not end.decided:
        return f"All {end.n_max:,} examples were asked without a verdict that decides: {told}."
    wanted = end.n_max * len(experiment.runs) * experiment.repetitions
    saved = max(0, wanted - done_and_failed(totals)[0])
    return (
        f"Stopped after {end.n_used:,} of {end.n_max:,} examples: {told}. "
        f"Saved {saved:,} of {wanted:,} calls."
    )
