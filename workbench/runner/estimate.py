"""What an experiment will cost, its judges included: what they ask is known here alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from app.bootstrap import Services
from app.schemas.estimates import Estimate, JudgeSeat
from app.schemas.experiments import NewExperiment
from app.services.estimates import examples_in_use
from workbench.scorers import AnyScorer, parse_scorer
from workbench.scorers.judges import Judge, JudgePreference

__all__ = ["estimate", "judge_calls"]


async def estimate(
    services: Services, new: NewExperiment, *, concurrency: int | None = None, cache: bool = False
) -> Estimate:
    """Return what an experiment that is not stored yet will cost.

    `concurrency` None adapts to the provider; `cache` looks for stored answers.
    """
    seats = tuple(_seats(new))
    return await services.estimates.of(new, seats, concurrency=concurrency, cache=cache)


def judge_calls(
    scorer: AnyScorer[Any], cells: int, variants: int, *, stored_baseline: bool = False
) -> int:
    """Return how often each seat of a scorer is asked at most; 0 for a rule.

    A judge is asked about every cell of every run; a preference about every cell of every run
    but the baseline, in both orders. The runs are the variants and, if there is a
    `stored_baseline`, that one, which nobody may have judged yet.
    """
    runs = variants + stored_baseline
    if isinstance(scorer, JudgePreference):
        return 2 * scorer.config.samples * cells * (runs - 1)
    if isinstance(scorer, Judge):
        return int(scorer.config.samples) * cells * runs
    return 0


def _seats(new: NewExperiment) -> Iterator[JudgeSeat]:
    """Yield every model of every judge among the experiment's scorers."""
    cells = examples_in_use(new) * new.repetitions
    for stored in new.scorers:
        scorer = parse_scorer({"name": stored["name"], **stored["config"]})
        if not isinstance(scorer, Judge):
            continue
        for model in scorer.config.seats:
            yield JudgeSeat(
                scorer=scorer.name,
                model=model,
                prompt=scorer.prompt,
                parameters=scorer.config.requested_parameters,
                calls=judge_calls(
                    scorer,
                    cells,
                    len(new.variants),
                    stored_baseline=new.baseline_run is not None,
                ),
                own_bytes=len(orjson.dumps(scorer.own_values())),
                answers=2 if isinstance(scorer, JudgePreference) else 1,
            )
