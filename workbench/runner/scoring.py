"""Score stored outputs. No model is called; what was scored before stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from app.bootstrap import Services
from app.core.permissions import Actor
from app.schemas.experiments import RunView
from app.schemas.scores import NewScore, ScorableGeneration, ScorerView
from workbench.scorers import Scorer, ScoringInput, run_scorer

__all__ = ["score_run"]

_PAGE = 1000


async def score_run(
    services: Services,
    actor: Actor,
    run: RunView,
    scorers: Sequence[Scorer[Any]],
    on_progress: Callable[[int], None] = lambda count: None,
) -> list[ScorerView]:
    """Give every completed output of a run its score under each scorer that lacks one.

    `on_progress` is told of the number of scores stored since it was last called.
    """
    stored = []
    for scorer in scorers:
        view = await services.scores.ensure_scorer(actor, scorer.identity())
        stored.append(view)
        after = None
        while page := await services.scores.scorable(run.id, view.id, after=after, limit=_PAGE):
            await services.scores.record(actor, view.id, [_score(scorer, item) for item in page])
            after = page[-1].generation_id
            on_progress(len(page))
    return stored


def _score(scorer: Scorer[Any], item: ScorableGeneration) -> NewScore:
    result = run_scorer(scorer, _input(item))
    return NewScore(
        generation_id=item.generation_id,
        status=result.status.value,
        value=result.value,
        passed=result.passed,
        label=result.label,
        reason=result.reason,
        explanation=result.explanation,
    )


def _input(item: ScorableGeneration) -> ScoringInput:
    message: dict[str, Any] = item.output
    content = message.get("content")
    return ScoringInput(
        output=content if isinstance(content, str) else "",
        message=message,
        expected=item.example.get("expected_output"),
        variables=item.example.get("input") or {},
        metadata=item.example.get("metadata") or {},
    )
