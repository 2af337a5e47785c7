"""Statements on `judgement`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import aliased

from app.database import AsyncSession
from app.models import (
    Content,
    Example,
    Generation,
    Judgement,
    LanguageModel,
    ModelVersion,
    Prompt,
    PromptVersion,
    Scorer,
)
from app.repositories.content import ContentRepository, decode_body
from app.schemas.judgements import (
    JudgeablePair,
    JudgeAnswer,
    JudgementView,
    JudgingTotals,
    NewJudgement,
)

__all__ = ["JudgementRepository"]

_BATCH = 500  # a bound on the number of SQL parameters


class JudgementRepository:
    """Questions to judges, and what was judged in them."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, judgements: Sequence[NewJudgement], now: datetime) -> None:
        """Insert a batch; a question that is there already stays."""
        if not judgements:
            return
        dialect = self._session.get_bind().dialect.name
        make = postgresql.insert if dialect == "postgresql" else sqlite.insert
        await self._session.execute(
            make(Judgement).on_conflict_do_nothing(index_elements=["generation_id"]),
            [{**asdict(judgement), "created_at": now} for judgement in judgements],
        )

    async def answers(self, generation_ids: Sequence[UUID]) -> dict[UUID, JudgeAnswer]:
        """Return how those questions ended that have an outcome."""
        found: dict[UUID, JudgeAnswer] = {}
        for start in range(0, len(generation_ids), _BATCH):
            statement = (
                select(
                    Generation.id,
                    Content.body,
                    Generation.status,
                    Generation.finish_reason,
                    Generation.error_code,
                )
                .outerjoin(Content, Content.id == Generation.output_content_id)
                .where(Generation.id.in_(generation_ids[start : start + _BATCH]))
            )
            for row in await self._session.execute(statement):
                message = {} if row[1] is None else decode_body(row[1])
                found[row[0]] = JudgeAnswer(message.get("content"), *row[2:])
        return found

    async def pairs(
        self,
        baseline_run_id: UUID,
        candidate_run_id: UUID,
        *,
        after: tuple[str, int] | None,
        limit: int,
    ) -> list[JudgeablePair]:
        """Return the completed answers of both runs to the same examples, by key and repetition.

        An example whose text changed between two dataset versions is another example.
        """
        baseline, candidate = aliased(Generation), aliased(Generation)
        first, second, body = aliased(Content), aliased(Content), aliased(Content)
        statement = (
            select(
                Example.key,
                candidate.repetition,
                baseline.id,
                candidate.id,
                first.body,
                second.body,
                body.body,
            )
            .select_from(candidate)
            .join(
                baseline,
                (baseline.example_id == candidate.example_id)
                & (baseline.repetition == candidate.repetition),
            )
            .join(Example, Example.id == candidate.example_id)
            .join(first, first.id == baseline.output_content_id)
            .join(second, second.id == candidate.output_content_id)
            .join(body, body.id == Example.content_id)
            .where(
                baseline.run_id == baseline_run_id,
                candidate.run_id == candidate_run_id,
                baseline.status == "completed",
                candidate.status == "completed",
                first.body.is_not(None),  # at a page of erased texts the caller would end
                second.body.is_not(None),
                body.body.is_not(None),
            )
            .order_by(Example.key, candidate.repetition)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(tuple_(Example.key, candidate.repetition) > after)
        rows = (await self._session.execute(statement)).all()
        return [
            JudgeablePair(*row[:4], *(decode_body(str(body)) for body in row[4:])) for row in rows
        ]

    async def totals(self, run_ids: Sequence[UUID]) -> dict[UUID, JudgingTotals]:
        """Return what judging the answers of each run has cost; empty sums without any."""
        judged, judge = aliased(Generation), aliased(Generation)
        statement = (
            select(
                judged.run_id,
                func.count(),
                func.sum(judge.input_tokens),
                func.sum(judge.output_tokens),
                func.sum(judge.cost),
                func.sum(case((judge.cost.is_(None), 1), else_=0)),
            )
            .select_from(Judgement)
            .join(judged, judged.id == Judgement.judged_generation_id)
            .join(judge, judge.id == Judgement.generation_id)
            .where(judged.run_id.in_(run_ids))
            .group_by(judged.run_id)
        )
        found = {row[0]: JudgingTotals(*row[1:]) for row in await self._session.execute(statement)}
        return {run_id: found.get(run_id, JudgingTotals()) for run_id in run_ids}

    async def of_generations(
        self, generation_ids: Sequence[UUID]
    ) -> dict[UUID, list[JudgementView]]:
        """Return every question in which each answer was judged, in the order they were asked."""
        statement = (
            select(
                Judgement,
                Scorer.name,
                Scorer.version,
                Generation,
                Prompt.name,
                PromptVersion.number,
                PromptVersion.content_hash,
                LanguageModel.provider,
                LanguageModel.name,
                ModelVersion.number,
            )
            .join(Scorer, Scorer.id == Judgement.scorer_id)
            .join(Generation, Generation.id == Judgement.generation_id)
            .join(PromptVersion, PromptVersion.id == Generation.prompt_version_id)
            .join(Prompt, Prompt.id == PromptVersion.prompt_id)
            .join(ModelVersion, ModelVersion.id == Generation.model_version_id)
            .join(LanguageModel, LanguageModel.id == ModelVersion.language_model_id)
            .where(Judgement.judged_generation_id.in_(generation_ids))
            .order_by(Scorer.created_at, Judgement.seat, Judgement.repeat, Judgement.position)
        )
        rows = (await self._session.execute(statement)).all()
        bodies = await ContentRepository(self._session).bodies(
            content_id
            for row in rows
            for content_id in (row[3].request_content_id, row[3].output_content_id)
            if content_id is not None
        )
        found: dict[UUID, list[JudgementView]] = {answer: [] for answer in generation_ids}
        for row in rows:
            found[row[0].judged_generation_id].append(_view(row, bodies))
        return found


def _view(row: Any, bodies: dict[UUID, Any]) -> JudgementView:
    judgement: Judgement = row[0]
    asked: Generation = row[3]
    number = row[5] if row[5] is not None else f"draft-{row[6].removeprefix('sha256:')[:8]}"
    return JudgementView(
        generation_id=judgement.generation_id,
        scorer=row[1],
        version=row[2],
        seat=judgement.seat,
        repeat=judgement.repeat,
        position=judgement.position,
        status=judgement.status,
        value=judgement.value,
        label=judgement.label,
        reason=judgement.reason,
        prompt=f"{row[4]}@{number}",
        model=f"{row[7]}/{row[8]}@{row[9]}",
        request=None if asked.request_content_id is None else bodies.get(asked.request_content_id),
        reply=None if asked.output_content_id is None else bodies.get(asked.output_content_id),
        input_tokens=asked.input_tokens,
        output_tokens=asked.output_tokens,
        cost=asked.cost,
        latency_ms=asked.latency_ms,
    )
