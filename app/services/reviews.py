"""Reviews: people's labels of stored answers, append-only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from app.core.clock import Clock
from app.core.permissions import Actor, Permission, require
from app.database import Database
from app.repositories.reviews import ReviewRepository
from app.schemas.experiments import RunView
from app.schemas.reviews import LabelledAnswer, NewReview, Reviewable, ReviewImport
from app.services import audit

__all__ = ["ReviewService"]


class ReviewService:
    """Use cases of reviews."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def import_labels(
        self, actor: Actor, run: RunView, criterion: str, reviews: Sequence[NewReview]
    ) -> ReviewImport:
        """Store people's labels of answers of one run, all or none, with one audit event.

        A review that repeats its reviewer's latest one on the same answer is not stored again;
        one that differs is added, and from then on it is the one that counts.
        """
        require(actor, Permission.REVIEW_WRITE)
        async with self._database.write_session() as session:
            repository = ReviewRepository(session)
            latest = await repository.latest(run.id, criterion)
            new = [
                review
                for review in reviews
                if latest.get((review.generation_id, review.reviewer)) != review
            ]
            if new:
                await repository.add(
                    criterion,
                    new,
                    source="imported",
                    created_by=str(actor),
                    now=self._clock.now(),
                )
                await audit.record(
                    session,
                    self._clock,
                    actor,
                    "review.imported",
                    "run",
                    str(run.id),
                    run.name,
                    {"criterion": criterion, "count": len(new)},
                )
            await session.commit()
        return ReviewImport(len(new), len(reviews) - len(new))

    async def reviewable(self, run_id: UUID) -> dict[tuple[str, int], Reviewable]:
        """Return the generations of a run by key and repetition."""
        async with self._database.read_session() as session:
            return await ReviewRepository(session).reviewable(run_id)

    async def criteria(self, run_ids: Sequence[UUID]) -> list[str]:
        """Return the criteria under which answers of these runs were reviewed, in order."""
        async with self._database.read_session() as session:
            return await ReviewRepository(session).criteria(run_ids)

    async def labelled(self, run_id: UUID, criterion: str) -> list[LabelledAnswer]:
        """Return the completed answers of a run that people labelled, by key and repetition."""
        async with self._database.read_session() as session:
            repository = ReviewRepository(session)
            labels: dict[UUID, dict[str, float]] = {}
            for (answer_id, reviewer), review in (
                await repository.latest(run_id, criterion)
            ).items():
                labels.setdefault(answer_id, {})[reviewer] = review.value
            return await repository.answers(run_id, labels)

    async def to_label(
        self, run_id: UUID, generation_ids: Collection[UUID]
    ) -> list[LabelledAnswer]:
        """Return those completed answers of a run as they are to be labelled, without labels."""
        async with self._database.read_session() as session:
            return await ReviewRepository(session).answers(
                run_id, {generation_id: {} for generation_id in generation_ids}
            )
