"""When a sequential plan may stop: looks at fixed places of a fixed order. Pure.

Examples are asked in a seeded random order. A look uses the first k examples of it, all of them
finished in every run: never those that happened to be fast. The places of the looks are fixed
too (every hundredth of the most that may be asked, at least ten examples apart), so that the same
answers stop at the same place whatever the concurrency, the number of processes or interruptions.

At each look the bounds of `workbench.statistics.sequential` are valid however often one looks.
With m candidates each is tested at level 0.05 / m. The experiment stops at the first look that
decides about all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from workbench.statistics.arrays import FloatArray
from workbench.statistics.effect import Differences
from workbench.statistics.sequential import SequentialLook, sequential_look
from workbench.statistics.verdict import Verdict

__all__ = ["End", "LookPlan", "find_end", "places_of_looks"]

_ALPHA: Final = 0.05
_LEAST_STEP: Final = 10
_LOOKS: Final = 100

_UNDECIDED: Final = frozenset({Verdict.INCONCLUSIVE, Verdict.INSUFFICIENT_DATA})


@dataclass(frozen=True, slots=True)
class LookPlan:
    """What was declared before the first call, as a look needs it.

    `n_max` is the most examples that may be asked. `binary` says that each difference is one of
    two scores that are 0 or 1: decided by scorer and repetitions, not by the values seen.
    """

    n_max: int
    candidates: int
    binary: bool
    score_range: float
    margin: float | None = None
    goal: Literal["non_inferiority", "superiority"] = "non_inferiority"

    @property
    def alpha(self) -> float:
        """The level at which each candidate is tested."""
        return _ALPHA / self.candidates

    def decides(self, verdict: Verdict) -> bool:
        """Whether nothing more is to be learnt; who has to be better goes on after `no worse`."""
        if self.goal == "superiority" and verdict is Verdict.NON_INFERIOR:
            return False
        return verdict not in _UNDECIDED


@dataclass(frozen=True, slots=True)
class End:
    """The look at which an experiment ends, with what it says of each candidate."""

    n_used: int
    looks: int
    decided: bool
    candidates: tuple[SequentialLook, ...]


def places_of_looks(n_max: int) -> list[int]:
    """Return the numbers of finished examples at which to look, rising to `n_max`."""
    step = max(_LEAST_STEP, n_max // _LOOKS)
    return [*range(step, n_max, step), n_max]


def find_end(plan: LookPlan, differences: FloatArray, *, looked_at: int = 0) -> End | None:
    """Return the first look that ends the experiment; None while it has to go on.

    `differences` has a row for each finished example in the plan's order and a column for each
    candidate, oriented so that positive is better, NaN where a score is missing. Looks up to
    `looked_at` examples were taken before and ended nothing.
    """
    for number, place in enumerate(places_of_looks(plan.n_max), start=1):
        if place > len(differences):
            return None
        if place <= looked_at:
            continue
        looks = _look(plan, differences[:place])
        decided = all(plan.decides(look.verdict) for look in looks)
        if decided or place == plan.n_max:
            return End(place, number, decided, tuple(looks))
    return None


def _look(plan: LookPlan, differences: FloatArray) -> Sequence[SequentialLook]:
    columns = (column[~np.isnan(column)] for column in differences.T)
    return [
        sequential_look(
            Differences(column, plan.binary, plan.score_range),
            n_max=plan.n_max,
            margin=plan.margin,
            alpha=plan.alpha,
        )
        for column in columns
    ]
