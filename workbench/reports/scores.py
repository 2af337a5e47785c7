"""One run under one scorer, in a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from app.schemas.scores import ScoredCell
from workbench.reports.numbers import percent

__all__ = ["score_text"]


def score_text(cells: Sequence[ScoredCell]) -> str:
    """`286 of 1,319 correct (21.7 %), 3 failed`; what has no score is counted, never 0."""
    values = [cell.value for cell in cells if cell.value is not None]
    without = Counter(cell.status for cell in cells if cell.value is None)
    if not values:
        told = "no score"
    elif set(values) <= {0.0, 1.0}:
        share = sum(values) / len(values)
        told = f"{sum(values):,.0f} of {len(values):,} correct ({percent(share)})"
    else:
        told = f"mean {sum(values) / len(values):.4f} over {len(values):,}"
    return "".join([told, *(f", {count:,} {status}" for status, count in sorted(without.items()))])
