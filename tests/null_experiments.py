"""Experiments in which nothing differs, through the whole comparison: how often it is fooled.

Each variant has its own chance of passing each example, drawn anew for every experiment: on
average the two are alike, on a single example they are not. Answers to one example share its
chance, so that answering it again says nothing new of other examples.
"""

from __future__ import annotations

import numpy as np

from app.bootstrap import Services
from app.core.permissions import Actor
from tests.scored_runs import Cell, ScoredRuns, examples
from workbench.runner.comparison.comparing import compare_runs

__all__ = ["false_alarm_share"]


async def false_alarm_share(
    services: Services,
    actor: Actor,
    *,
    experiments: int,
    n_examples: int,
    repetitions: int = 1,
    pooled: bool = False,
    seed: int = 5,
) -> float:
    """Return the share of experiments that end as superior or inferior.

    `pooled` is wrong on purpose: each answer is stored as an example of its own.
    """
    rng = np.random.default_rng(seed)
    rows = examples(n_examples * (repetitions if pooled else 1))
    runs = await ScoredRuns.over(services, actor, rows)
    keys = list(runs.ids)
    fooled = 0
    for number in range(experiments):
        pair = []
        for side in ("before", "after"):
            chances = rng.beta(0.6, 0.6, size=n_examples)
            passed = rng.random((n_examples, repetitions)) < chances[:, np.newaxis]
            pair.append(await runs.add(f"{side}-{number}", _cells(keys, passed, pooled=pooled)))
        found = await compare_runs(services, actor, pair[0], pair[1], runs.scorer)
        fooled += found.result["verdict"] in ("superior", "inferior")
    return fooled / experiments


def _cells(keys: list[str], passed: np.ndarray, *, pooled: bool) -> dict[str, Cell | list[Cell]]:
    if pooled:
        return {key: Cell(float(one)) for key, one in zip(keys, passed.ravel(), strict=True)}
    return {
        key: [Cell(float(one), repetition=r) for r, one in enumerate(of_example)]
        for key, of_example in zip(keys, passed, strict=True)
    }
