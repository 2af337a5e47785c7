"""Statements on `review`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, insert, select

from app.core.ids import new_id
from app.database import AsyncSession
from app.models import Content, Example, Generation, Review
from app.repositories.content import ContentRepository, content_row, decode_body
from app.schemas.reviews import (
    MARKS,
    LabelledAnswer,
    MarkView,
    NewMark,
    NewReview,
    Reviewable,
)

__all__ = ["ReviewRepository"]


_BATCH = 500  # a bound on the number of SQL parameters
_MOST_MARKS = 200  # of one generation that are shown
_IS_MARK = and_(Review.criterion == MARKS, Review.source == "entered")


class ReviewRepository:
    """What people said of generations; nothing is ever overwritten."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(
        self,
        criterion: str,
        reviews: Sequence[NewReview],
        *,
        source: str,
        created_by: str,
        now: datetime,
    ) -> None:
        """Insert reviews with their comments, in their order."""
        contents: list[dict[str, Any]] = []
        rows = []
        for review in reviews:
            comment_id = None
            if review.comment:
                contents.append(content_row(review.comment, now))
                comment_id = contents[-1]["id"]
            rows.append(
                {
                    "id": new_id(),
                    "generation_id": review.generation_id,
                    "criterion": criterion,
                    "reviewer": review.reviewer,
                    "value": review.value,
                    "label": review.label,
                    "comment_content_id": comment_id,
                    "source": source,
                    "created_at": now,
                    "created_by": created_by,
                }
            )
        await ContentRepository(self._session).add_all(contents)
        if rows:
            await self._session.execute(insert(Review), rows)

    async def mark(
        self,
        generation_id: UUID,
        mark: NewMark,
        *,
        reviewer: str,
        now: datetime,
    ) -> MarkView:
        """Insert what a person says of a generation, with the reason as a text."""
        content = content_row(mark.reason, now) if mark.reason else None
        await ContentRepository(self._session).add_all([] if content is None else [content])
        review_id = new_id()
        await self._session.execute(
            insert(Review),
            {
                "id": review_id,
                "generation_id": generation_id,
                "criterion": MARKS,
                "reviewer": reviewer,
                "label": mark.mark,
                "comment_content_id": None if content is None else content["id"],
                "source": "entered",
                "created_at": now,
                "created_by": reviewer,
            },
        )
        return MarkView(
            id=review_id,
            mark=mark.mark,
            reason=mark.reason or None,
            reviewer=reviewer,
            created_at=now,
        )

    async def marks(self, generation_id: UUID) -> list[MarkView]:
        """Return what people marked a generation as, newest first."""
        statement = (
            select(Review, Content.body)
            .outerjoin(Content, Content.id == Review.comment_content_id)
            .where(
                Review.generation_id == generation_id,
                _IS_MARK,
            )
            .order_by(Review.created_at.desc(), Review.id.desc())
            .limit(_MOST_MARKS)
        )
        return [
            MarkView(
                id=review.id,
                mark=review.label,
                reason=None if body is None else decode_body(body),
                reviewer=review.reviewer,
                created_at=review.created_at,
            )
            for review, body in await self._session.execute(statement)
        ]

    async def reviewable(self, run_id: UUID) -> dict[tuple[str, int], Reviewable]:
        """Return the stored generations of a run by key and repetition."""
        statement = (
            select(Example.key, Generation.repetition, Generation.id, Generation.status)
            .join(Example, Example.id == Generation.example_id)
            .where(Generation.run_id == run_id)
        )
        return {
            (row[0], row[1]): Reviewable(row[2], row[3])
            for row in await self._session.execute(statement)
        }

    async def latest(self, run_id: UUID, criterion: str) -> dict[tuple[UUID, str], NewReview]:
        """Return the newest review of each generation by each reviewer."""
        statement = (
            select(Review, Content.body)
            .join(Generation, Generation.id == Review.generation_id)
            .outerjoin(Content, Content.id == Review.comment_content_id)
            .where(
                Generation.run_id == run_id,
                Review.criterion == criterion,
            )
            .order_by(Review.created_at, Review.id)
        )
        found = {}
        for review, body in await self._session.execute(statement):
            if review.value is not None:
                found[(review.generation_id, review.reviewer)] = NewReview(
                    review.generation_id,
                    review.reviewer,
                    review.value,
                    review.label,
                    None if body is None else decode_body(body),
                )
        return found

    async def criteria(self, run_ids: Sequence[UUID]) -> list[str]:
        """Return the criteria under which answers of these runs were reviewed, in order."""
        statement = (
            select(Review.criterion)
            .join(Generation, Generation.id == Review.generation_id)
            .where(Generation.run_id.in_(run_ids), ~_IS_MARK)
            .distinct()
            .order_by(Review.criterion)
        )
        return list((await self._session.execute(statement)).scalars())

    async def answers(
        self, run_id: UUID, labels: Mapping[UUID, Mapping[str, float]]
    ) -> list[LabelledAnswer]:
        """Return the completed ones of these generations of a run with their labels, by key and
        repetition; one whose text was erased is missing."""
        output, body = Content.__table__.alias("output"), Content.__table__.alias("body")
        wanted, found = list(labels), []
        for start in range(0, len(wanted), _BATCH):
            statement = (
                select(
                    Example.key, Generation.repetition, Generation.id, output.c.body, body.c.body
                )
                .join(Example, Example.id == Generation.example_id)
                .join(output, output.c.id == Generation.output_content_id)
                .join(body, body.c.id == Example.content_id)
                .where(
                    Generation.run_id == run_id,
                    Generation.status == "completed",
                    Generation.id.in_(wanted[start : start + _BATCH]),
                )
            )
            found += [
                LabelledAnswer(
                    run_id=run_id,
                    key=row[0],
                    repetition=row[1],
                    generation_id=row[2],
                    output=decode_body(row[3]),
                    example=decode_body(row[4]),
                    labels=labels[row[2]],
                )
                for row in await self._session.execute(statement)
                if row[3] is not None and row[4] is not None
            ]
        return sorted(found, key=lambda answer: (answer.key, answer.repetition))
