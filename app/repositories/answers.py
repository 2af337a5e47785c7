"""Statements that find stored answers to be used again, and what became of given cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select

from app.database import AsyncSession
from app.llm.types import Usage, UsageSource
from app.models import Content, Example, Generation, Score
from app.repositories.content import decode_body
from app.schemas.generations import CellValue, ReuseTotals, StoredAnswer

__all__ = ["AnswerRepository"]

_MAX_PARAMETERS = 500  # a bound on the number of SQL parameters in one IN

# A model answered it for a run of ours: nothing imported, and nothing used again itself.
_ORIGINAL = (
    Generation.status == "completed",
    Generation.origin == "executed",
    Generation.purpose == "experiment",
    Generation.reused_from_id.is_(None),
)


class AnswerRepository:
    """Answers by cell and by request. A text that was erased is no answer."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of_cells(self, ids: Sequence[UUID]) -> dict[UUID, StoredAnswer]:
        """Return the answers of those of the generations that a model answered, by their ids."""
        statement = _answers().where(Generation.status.in_(("completed", "refused")))
        return {
            row.id: _answer(row) for row in await self._in_batches(statement, Generation.id, ids)
        }

    async def to_requests(
        self, hashes: Sequence[str], *, besides: Sequence[UUID]
    ) -> dict[str, StoredAnswer]:
        """Return the newest original answer to each request, given outside the runs `besides`."""
        newest = (
            func.row_number()
            .over(
                partition_by=Generation.request_hash,
                order_by=(Generation.finished_at.desc(), Generation.id),
            )
            .label("newest")
        )
        found: dict[str, StoredAnswer] = {}
        for start in range(0, len(hashes), _MAX_PARAMETERS):
            ranked = (
                _answers()
                .add_columns(newest)
                .where(
                    *_ORIGINAL,
                    Generation.request_hash.in_(hashes[start : start + _MAX_PARAMETERS]),
                    Generation.run_id.not_in(besides),
                )
                .subquery()
            )
            rows = await self._session.execute(select(ranked).where(ranked.c.newest == 1))
            found |= {row.request_hash: _answer(row) for row in rows}
        return found

    async def values(self, ids: Sequence[UUID], scorer_id: UUID) -> dict[UUID, CellValue]:
        """Return status and value under one scorer of those generations that have a row."""
        statement = select(Generation.id, Generation.status, Score.value).outerjoin(
            Score, (Score.generation_id == Generation.id) & (Score.scorer_id == scorer_id)
        )
        rows = await self._in_batches(statement, Generation.id, ids)
        return {row.id: CellValue(row.status, row.value) for row in rows}

    async def locate(self, run_id: UUID, key: str, repetition: int) -> UUID | None:
        """Return the generation of one cell of a run, if it has one."""
        statement = (
            select(Generation.id)
            .join(Example, Example.id == Generation.example_id)
            .where(
                Generation.run_id == run_id,
                Example.key == key,
                Generation.repetition == repetition,
            )
        )
        return (await self._session.execute(statement)).scalar_one_or_none()

    async def reuse_totals(self) -> ReuseTotals:
        """Return what could be used again and what was, over all runs."""
        stored = select(func.count(), func.count(func.distinct(Generation.request_hash))).where(
            *_ORIGINAL, Generation.request_hash.is_not(None)
        )
        count, distinct = (await self._session.execute(stored)).one()
        reused = select(
            func.count(),
            func.count(func.distinct(Generation.run_id)),
            func.sum(Generation.cost),
            func.sum(Generation.input_tokens),
            func.sum(Generation.output_tokens),
        ).where(Generation.reused_from_id.is_not(None))
        row = (await self._session.execute(reused)).one()
        return ReuseTotals(count, distinct, row[0], row[1], row[2], row[3] or 0, row[4] or 0)

    async def _in_batches(
        self, statement: Select[*tuple[Any, ...]], column: Any, values: Sequence[Any]
    ) -> list[Any]:
        found: list[Any] = []
        for start in range(0, len(values), _MAX_PARAMETERS):
            part = statement.where(column.in_(values[start : start + _MAX_PARAMETERS]))
            found.extend(await self._session.execute(part))
        return found


def _answers() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Generation.id,
            Generation.status,
            Generation.finish_reason,
            Generation.error_code,
            Generation.input_tokens,
            Generation.output_tokens,
            Generation.cached_input_tokens,
            Generation.reasoning_tokens,
            Generation.usage_source,
            Generation.cost,
            Generation.latency_ms,
            Generation.time_to_first_token_ms,
            Generation.reported_model,
            Generation.reported_fingerprint,
            Generation.request_hash,
            Generation.reused_from_id,
            Content.body,
        )
        .join(Content, Content.id == Generation.output_content_id)
        .where(Content.body.is_not(None))
    )


def _answer(row: Any) -> StoredAnswer:
    return StoredAnswer(
        original_id=row.reused_from_id or row.id,
        request_hash=row.request_hash,
        status=row.status,
        output=decode_body(row.body),
        usage=Usage(
            row.input_tokens,
            row.output_tokens,
            row.cached_input_tokens,
            row.reasoning_tokens,
            UsageSource(row.usage_source),
        ),
        cost=row.cost,
        latency_ms=row.latency_ms,
        time_to_first_token_ms=row.time_to_first_token_ms,
        finish_reason=row.finish_reason,
        error_code=row.error_code,
        reported_model=row.reported_model,
        reported_fingerprint=row.reported_fingerprint,
    )
