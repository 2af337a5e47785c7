"""The cells of a run under one scorer, as the record has them, made ready for statistics. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.schemas.scores import ScoredCell
from workbench.scorers import AnyScorer
from workbench.statistics.observations import STATUSES, Observations

__all__ = ["clusters", "observations"]


def observations(cells: Sequence[ScoredCell], rule: AnyScorer[Any]) -> Observations:
    """Return a run's scores as statistics take them; a missing score is NaN, never 0."""
    low, high = rule.range
    return Observations(
        keys=[cell.key for cell in cells],
        values=np.array([np.nan if c.value is None else c.value for c in cells], dtype=float),
        statuses=[c.status if c.status in STATUSES else "failed" for c in cells],
        clusters=clusters(cells),
        binary=rule.binary,
        lower=low,
        upper=high,
    )


def clusters(cells: Sequence[ScoredCell]) -> list[str | None] | None:
    """Return the cluster of each cell; None if no cell has one."""
    return [c.cluster for c in cells] if any(c.cluster for c in cells) else None
