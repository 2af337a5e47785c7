"""Score stored outputs. Rules and a team's functions call no model; what was scored stays.

A rule runs in a thread of this process, so that a page of outputs does not hold up the event
loop; a team's function runs in a process of its own (`team_scoring`); a judge asks its model
(`judging`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from app.bootstrap import Services
from app.core.errors import ConfigurationError, Invalid
from app.core.permissions import Actor
from app.llm.budget import BudgetStore
from app.schemas.experiments import RunView
from app.schemas.scores import NewScore, ScorableGeneration, ScorerView
from workbench.runner.judging.answers import judge_run
from workbench.runner.team_scoring import open_team_scorer
from workbench.scorers import AnyScorer, Scorer, ScoreResult, ScoringInput, run_scorer
from workbench.scorers.judges import Judge
from workbench.scorers.team import TeamScorer

__all__ = ["score_run"]

_PAGE = 1000

ScorePage = Callable[[Sequence[ScorableGeneration]], Awaitable[list[NewScore]]]


async def score_run(
    services: Services,
    actor: Actor,
    run: RunView,
    scorers: Sequence[AnyScorer[Any]],
    on_progress: Callable[[int], None] = lambda count: None,
    *,
    budget: BudgetStore | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> list[ScorerView]:
    """Give every completed output of a run its score under each scorer that lacks one.

    `on_progress` is told of the number of scores stored since it was last called. What has ended
    is stored also if the task is cancelled. `budget` is what judges spend from; `note` is told of
    outputs that a judge's provider left without a score for now. Raises
    `ConfigurationError` for a team's function that was changed or cannot be loaded, and what
    `judge_run` raises.
    """
    stored = []
    for scorer in scorers:
        view = await services.scores.ensure_scorer(actor, scorer.identity())
        stored.append(view)
        match scorer:
            case Scorer():
                rule = _Rule(scorer)
                await _score_pages(services, actor, run, view, rule.page, on_progress)
            case TeamScorer():
                await _score_by_team(services, actor, run, view, scorer, on_progress)
            case Judge():
                await judge_run(
                    services, actor, run, scorer, view, on_progress, budget=budget, note=note
                )
            case _:
                raise Invalid(f"{scorer.name} cannot score a run.")
    return stored


async def _score_pages(
    services: Services,
    actor: Actor,
    run: RunView,
    view: ScorerView,
    score_page: ScorePage,
    on_progress: Callable[[int], None],
) -> None:
    after = None
    while page := await services.scores.scorable(run.id, view.id, after=after, limit=_PAGE):
        await services.scores.record(actor, view.id, await score_page(page))
        after = page[-1].generation_id
        on_progress(len(page))


class _Rule:
    """A rule, applied to pages of outputs away from the event loop."""

    def __init__(self, scorer: Scorer[Any]) -> None:
        self._scorer = scorer

    async def page(self, page: Sequence[ScorableGeneration]) -> list[NewScore]:
        return await asyncio.to_thread(self._scores, page)

    def _scores(self, page: Sequence[ScorableGeneration]) -> list[NewScore]:
        return [_score(item, run_scorer(self._scorer, _input(item))) for item in page]


async def _score_by_team(
    services: Services,
    actor: Actor,
    run: RunView,
    view: ScorerView,
    scorer: TeamScorer,
    on_progress: Callable[[int], None],
) -> None:
    async with open_team_scorer(services.settings.workspace, scorer) as process:

        async def score_page(page: Sequence[ScorableGeneration]) -> list[NewScore]:
            scores: list[NewScore] = []
            try:
                for item in page:
                    result = await process.score(_input(item))
                    scores.append(_score(item, result))
            except BaseException as error:  # a function may be slow: Ctrl-C keeps what has ended
                while isinstance(error, ConfigurationError) and scores and _broke(scores[-1]):
                    scores.pop()  # the function was given up for these; the fault may be elsewhere
                await services.scores.record(actor, view.id, scores)
                raise
            return scores

        await _score_pages(services, actor, run, view, score_page, on_progress)


def _broke(score: NewScore) -> bool:
    return score.status == "failed"


def _score(item: ScorableGeneration, result: ScoreResult) -> NewScore:
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
        latency_ms=item.latency_ms,
        cost=item.cost,
        input_tokens=item.input_tokens,
        output_tokens=item.output_tokens,
        finish_reason=item.finish_reason,
        reused=item.reused,
    )
