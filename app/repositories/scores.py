"""Statements on `scorer` and `score`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Float, and_, case, cast, func, select, tuple_, type_coerce
from sqlalchemy.dialects import postgresql, sqlite

from app.core.ids import new_id
from app.database import AsyncSession
from app.database.base import MONEY_QUANTUM
from app.models import Content, Example, Generation, Review, Score, Scorer
from app.repositories.content import ContentRepository, content_row, decode_body
from app.repositories.counting import count_up_to
from app.repositories.plain_rows import plain_rows
from app.schemas.scores import (
    CellColumns,
    CellScore,
    HumanScore,
    NewScore,
    ScorableGeneration,
    ScoredCell,
    ScorerView,
    ScoreSummary,
    ScoreView,
)

__all__ = ["ScoreRepository"]

_ANSWERED = ("completed", "refused")
_SAMPLE = 50


class ScoreRepository:
    """Scorers as they were used, and what they gave."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def ensure_scorer(self, values: Mapping[str, Any]) -> ScorerView:
        """Return the scorer of this hash, making it if there is none."""
        dialect = self._session.get_bind().dialect.name
        make = postgresql.insert if dialect == "postgresql" else sqlite.insert
        await self._session.execute(
            make(Scorer).values(**values).on_conflict_do_nothing(index_elements=["content_hash"])
        )
        statement = select(Scorer).where(Scorer.content_hash == values["content_hash"])
        return _scorer((await self._session.execute(statement)).scalar_one())

    async def scorers_of(self, run_id: UUID) -> list[ScorerView]:
        """Return the scorers that have scored something of this run."""
        statement = (
            select(Scorer)
            .where(
                Scorer.id.in_(
                    select(Score.scorer_id)
                    .join(Generation, Generation.id == Score.generation_id)
                    .where(Generation.run_id == run_id)
                    .distinct()
                )
            )
            .order_by(Scorer.created_at)
        )
        return [_scorer(row) for row in (await self._session.execute(statement)).scalars()]

    async def scorers_of_both(self, run_ids: tuple[UUID, UUID]) -> list[ScorerView]:
        """Return the scorers that have seen some of the first answers of either run.

        A scorer goes over a whole run, so a few answers tell, and looking at them takes no time.
        """
        seen = []
        for run_id in run_ids:
            some = (
                select(Generation.id)
                .where(Generation.run_id == run_id, Generation.status == "completed")
                .limit(_SAMPLE)
            )
            by_run = select(Score.scorer_id).where(Score.generation_id.in_(some))
            seen.append(Scorer.id.in_(by_run))
        statement = select(Scorer).where(*seen).order_by(Scorer.created_at, Scorer.id)
        return [_scorer(row) for row in (await self._session.execute(statement)).scalars()]

    async def scorable(
        self, run_id: UUID, scorer_id: UUID, *, after: UUID | None, limit: int
    ) -> list[ScorableGeneration]:
        """Return completed generations that this scorer has not seen, by id from `after` on."""
        seen = select(Score.generation_id).where(
            Score.generation_id == Generation.id, Score.scorer_id == scorer_id
        )
        output, example = Content.__table__.alias("output"), Content.__table__.alias("body")
        statement = (
            select(
                Generation.id,
                Example.key,
                output.c.body,
                example.c.body,
                Generation.latency_ms,
                Generation.cost,
                Generation.input_tokens,
                Generation.output_tokens,
                Generation.finish_reason,
                Generation.reused_from_id,
            )
            .join(Example, Example.id == Generation.example_id)
            .join(output, output.c.id == Generation.output_content_id)
            .join(example, example.c.id == Example.content_id)
            .where(
                Generation.run_id == run_id,
                Generation.status == "completed",
                output.c.body.is_not(None),  # at a page of erased texts the caller would end
                example.c.body.is_not(None),
                ~seen.exists(),
            )
            .order_by(Generation.id)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(Generation.id > after)
        return [
            ScorableGeneration(
                row[0],
                row[1],
                decode_body(row[2]),
                decode_body(row[3]),
                latency_ms=row[4],
                cost=row[5],
                input_tokens=row[6],
                output_tokens=row[7],
                finish_reason=row[8],
                reused=row[9] is not None,
            )
            for row in await self._session.execute(statement)
        ]

    async def add(self, scorer_id: UUID, scores: Sequence[NewScore], now: datetime) -> None:
        """Insert a batch; a score that is there already stays."""
        if not scores:
            return
        contents: list[dict[str, Any]] = []
        rows = [_row(scorer_id, score, contents, now) for score in scores]
        if contents:
            await ContentRepository(self._session).add_all(contents)
        dialect = self._session.get_bind().dialect.name
        make = postgresql.insert if dialect == "postgresql" else sqlite.insert
        await self._session.execute(
            make(Score).on_conflict_do_nothing(
                index_elements=["generation_id", "scorer_id", "repeat"]
            ),
            rows,
        )

    async def cells(self, run_id: UUID, scorer_id: UUID | None) -> list[ScoredCell]:
        """Return every stored cell of a run with its score under one scorer, by key."""
        statement = (
            select(
                Example.key,
                Generation.repetition,
                Generation.status,
                Score.status,
                Score.value,
                Example.cluster,
                Generation.cost,
                Generation.latency_ms,
                Generation.reopened,
                Generation.reused_from_id,
            )
            .join(Example, Example.id == Generation.example_id)
            .outerjoin(
                Score, (Score.generation_id == Generation.id) & (Score.scorer_id == scorer_id)
            )
            .where(Generation.run_id == run_id)
            .order_by(Example.key, Generation.repetition)
        )
        return [
            ScoredCell(
                key=row[0],
                repetition=row[1],
                status=row[2] if row[2] != "completed" else (row[3] or "missing"),
                value=row[4],
                cluster=row[5],
                cost=row[6],
                latency_ms=row[7],
                reopened=row[8] > 0,
                answered=row[2] in _ANSWERED,
                reused=row[9] is not None,
            )
            for row in await self._session.execute(statement)
        ]

    async def columns(self, run_id: UUID, scorer_id: UUID) -> CellColumns:
        """Return every stored cell of a run with its score under one scorer, by columns."""
        sqlite_money = self._session.get_bind().dialect.name == "sqlite"
        # As a number and not as the exact decimal, which takes longer to make than to read.
        cost = type_coerce(Generation.cost, BigInteger) if sqlite_money else Generation.cost
        measured = and_(Generation.status.in_(_ANSWERED), Generation.reused_from_id.is_(None))
        statement = (
            select(
                Example.key,
                Generation.repetition,
                case(
                    (Generation.status != "completed", Generation.status),
                    else_=func.coalesce(Score.status, "missing"),
                ),
                Score.value,
                Example.cluster,
                cast(cost, Float),
                case((measured, Generation.latency_ms)),
                Generation.reopened > 0,
                Generation.reused_from_id.is_not(None),
            )
            .select_from(Generation)
            .join(Example, Example.id == Generation.example_id)
            .outerjoin(
                Score, (Score.generation_id == Generation.id) & (Score.scorer_id == scorer_id)
            )
            .where(Generation.run_id == run_id)
            .order_by(Example.key, Generation.repetition)
        )
        rows = await plain_rows(self._session, statement)
        columns: list[Sequence[Any]] = [list(map(itemgetter(i), rows)) for i in range(9)]
        if sqlite_money:
            scale = float(1 / MONEY_QUANTUM)
            columns[5] = [None if cost is None else cost / scale for cost in columns[5]]
        return CellColumns(*columns)

    async def human_scores(self, run_id: UUID, criterion: str) -> list[HumanScore]:
        """Return people's numeric reviews of a run under a criterion, by key and repetition."""
        statement = (
            select(Example.key, Generation.repetition, Review.reviewer, Review.value)
            .join(Generation, Generation.id == Review.generation_id)
            .join(Example, Example.id == Generation.example_id)
            .where(
                Generation.run_id == run_id,
                Review.criterion == criterion,
                Review.value.is_not(None),
            )
            .order_by(Example.key, Generation.repetition, Review.created_at, Review.id)
        )
        latest: dict[tuple[str, int], dict[str, float]] = {}
        for key, repetition, reviewer, value in await self._session.execute(statement):
            if value is not None:
                latest.setdefault((key, repetition), {})[reviewer] = value
        return [
            HumanScore(key, repetition, sum(given.values()) / len(given))
            for (key, repetition), given in latest.items()
        ]

    async def summary(self, run_id: UUID, scorer_id: UUID) -> ScoreSummary:
        """Return a run's scores under one scorer, summed up."""
        status = case(
            (Generation.status != "completed", Generation.status),
            else_=func.coalesce(Score.status, "missing"),
        )
        ones = case((Score.value == 1, 1), else_=0)
        others = case((Score.value.not_in((0, 1)), 1), else_=0)
        statement = (
            select(status, func.count(), func.sum(Score.value), func.sum(ones), func.sum(others))
            .select_from(Generation)
            .outerjoin(
                Score, (Score.generation_id == Generation.id) & (Score.scorer_id == scorer_id)
            )
            .where(Generation.run_id == run_id)
            .group_by(status)
        )
        rows = (await self._session.execute(statement)).all()
        scored = next((row for row in rows if row[0] == "scored"), None)
        return ScoreSummary(
            by_status={row[0]: row[1] for row in rows},
            mean=None if scored is None else scored[2] / scored[1],
            n_correct=None if scored is None or scored[4] else int(scored[3]),
        )

    async def of_generations(self, generation_ids: Sequence[UUID]) -> dict[UUID, list[ScoreView]]:
        """Return the scores of each generation with their explanations, oldest first."""
        statement = (
            select(Score, Scorer.name, Scorer.version, Content.body)
            .join(Scorer, Scorer.id == Score.scorer_id)
            .outerjoin(Content, Content.id == Score.explanation_content_id)
            .where(Score.generation_id.in_(generation_ids))
            .order_by(Score.created_at)
        )
        found: dict[UUID, list[ScoreView]] = {generation: [] for generation in generation_ids}
        for row in await self._session.execute(statement):
            found[row[0].generation_id].append(ScoreView(**_score_facts(row)))
        return found

    async def page(
        self,
        run_id: UUID,
        *,
        scorer_id: UUID | None,
        after: tuple[UUID, int, UUID] | None,
        limit: int,
    ) -> tuple[list[CellScore], int]:
        """Return a run's scores by example, repetition and scorer, and how many there are.

        `after` is the place that the page before ended with.
        """
        place = (Generation.example_id, Generation.repetition, Score.scorer_id)
        wanted = (
            select(Score, Scorer.name, Scorer.version, Content.body, Example.key, *place[:2])
            .join(Generation, Generation.id == Score.generation_id)
            .join(Example, Example.id == Generation.example_id)
            .join(Scorer, Scorer.id == Score.scorer_id)
            .outerjoin(Content, Content.id == Score.explanation_content_id)
            .where(Generation.run_id == run_id)
        )
        if scorer_id is not None:
            wanted = wanted.where(Score.scorer_id == scorer_id)
        statement = wanted.order_by(*place).limit(limit)
        if after is not None:
            statement = statement.where(tuple_(*place) > after)
        rows = await self._session.execute(statement)
        total = await count_up_to(self._session, wanted.with_only_columns(Score.id))
        return [
            CellScore(
                **_score_facts(row),
                generation_id=row[0].generation_id,
                key=row[4],
                example_id=row[5],
                repetition=row[6],
            )
            for row in rows
        ], total


def _score_facts(row: Any) -> dict[str, Any]:
    """Return the fields of a `ScoreView` from (score, scorer's name, version, explanation)."""
    score: Score = row[0]
    return {
        "scorer_id": score.scorer_id,
        "scorer": row[1],
        "version": row[2],
        "status": score.status,
        "value": score.value,
        "passed": score.passed,
        "label": score.label,
        "reason": score.reason,
        "explanation": None if row[3] is None else decode_body(row[3]),
    }


def _row(
    scorer_id: UUID, score: NewScore, contents: list[dict[str, Any]], now: datetime
) -> dict[str, Any]:
    explanation_id = None
    if score.explanation:
        content = content_row(score.explanation, now)
        contents.append(content)
        explanation_id = content["id"]
    return {
        "id": new_id(),
        "generation_id": score.generation_id,
        "scorer_id": scorer_id,
        "repeat": 0,
        "status": score.status,
        "value": score.value,
        "passed": score.passed,
        "label": None if score.label is None else score.label.replace("\0", ""),
        "reason": score.reason,
        "explanation_content_id": explanation_id,
        "created_at": now,
    }


def _scorer(row: Scorer) -> ScorerView:
    return ScorerView(
        id=row.id,
        name=row.name,
        version=row.version,
        config=row.config,
        content_hash=row.content_hash,
        created_at=row.created_at,
    )
