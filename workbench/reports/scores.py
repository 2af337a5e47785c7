"""One run under one scorer, in a line."""

from __future__ import annotations

from app.schemas.scores import ScoreSummary
from workbench.number_text import percent

__all__ = ["score_text"]


def score_text(summary: ScoreSummary) -> str:
    """`286 of 1,319 correct (21.7 %), 3 failed`; what has no score is counted, never 0."""
    if summary.mean is None:
        told = "no score"
    elif summary.n_correct is not None:
        told = f"{summary.n_correct:,} of {summary.n_scored:,} correct ({percent(summary.mean)})"
    else:
        told = f"mean {summary.mean:.4f} over {summary.n_scored:,}"
    without = {s: n for s, n in summary.by_status.items() if s != "scored"}
    return "".join([told, *(f", {count:,} {status}" for status, count in sorted(without.items()))])
