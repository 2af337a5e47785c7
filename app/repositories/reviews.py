"""Statements on `review`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select

from app.core.ids import new_id
from app.database import AsyncSession
from app.models import Content, Example, Generation, Review
from app.repositories.content import ContentRepository, content_row, decode_body
from app.schemas.reviews import LabelledAnswer, NewReview, Reviewable

__all__ = ["ReviewRepository"]


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
                Review.value.is_not(None),
            )
            .order_by(Review.created_at, Review.id)
        )
        found = {}
        for review, body in await self._session.execute(statement):
            comment = None if body is None else decode_body(body)
            found[(review.generation_id, review.reviewer)] = NewReview(
                review.generation_id, review.reviewer, review.value, review.label, comment
            )
        return found

    async def criteria(self, run_ids: Sequence[UUID]) -> list[str]:
        """Return the criteria under which answers of these runs were reviewed, in order."""
        statement = (
            select(Review.criterion)
            .join(Generation, Generation.id == Review.generation_id)
            .where(Generation.run_id.in_(run_ids))
            .distinct()
            .order_by(Review.criterion)
        )
        return list((await self._session.execute(statement)).scalars())

    async def labelled(self, run_id: UUID, criterion: str) -> list[LabelledAnswer]:
        """Return the answers of a run that were labelled, by key and repetition."""
        output, body = Content.__table__.alias("output"), Content.__table__.alias("body")
        labels: dict[UUID, dict[str, float]] = {}
        for (generation_id, reviewer), review in (await self.latest(run_id, criterion)).items():
            labels.setdefault(generation_id, {})[reviewer] = review.value
        statement = (
            select(Example.key, Generation.repetition, Generation.id, output.c.body, body.c.body)
            .join(Example, Example.id == Generation.example_id)
            .join(output, output.c.id == Generation.output_content_id)
            .join(body, body.c.id == Example.content_id)
            .where(
                Generation.run_id == run_id,
                Generation.status == "completed",
                Generation.id.in_(
                    select(Review.generation_id).where(Review.criterion == criterion)
                ),
            )
            .order_by(Example.key, Generation.repetition)
        )
        return [
            LabelledAnswer(
                run_id, row[0], row[1], row[2], decode_body(row[3]), decode_body(row[4]),
                labels[row[2]],
            )
            for row in await self._session.execute(statement)
            # A text may have been erased; a review may hold a word and no number.
            if row[3] is not None and row[4] is not None and row[2] in labels
        ]  # fmt: skip
