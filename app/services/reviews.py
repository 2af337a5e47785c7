"""Reviews: people's labels of stored answers, and what they mark answers as; append-only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import Invalid, NotFound
from app.core.permissions import Actor, Permission, require
from app.database import Database
from app.repositories.provenance import ProvenanceRepository
from app.repositories.reviews import ReviewRepository
from app.schemas.experiments import RunView
from app.schemas.generations import GenerationHome
from app.schemas.reviews import (
    MARKS,
    LabelledAnswer,
    MarkView,
    NewMark,
    NewReview,
    Reviewable,
    ReviewImport,
)
from app.services import audit
from app.services.generations import may, may_read, may_see, record_opening

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
        one that differs is added, and from then on it is the one that counts. Raises `Invalid` for
        the criterion of marks, which are no labels.
        """
        require(actor, Permission.REVIEW_WRITE)
        if criterion == MARKS:
            raise Invalid(
                f"{MARKS!r} is the criterion of answers that were marked ok or flagged: name "
                "another.",
                path="criterion",
            )
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

    async def mark(self, actor: Actor, generation_id: UUID, mark: NewMark) -> MarkView:
        """Say of a generation that it is ok, or flag it with the reason: a row that stays.

        Raises `NotFound` for a generation that the actor may not see or not review.
        """
        require(actor, Permission.REVIEW_WRITE)
        async with self._database.write_session() as session:
            home = await ProvenanceRepository(session).home(generation_id)
            if home is None or not _may_mark(actor, home):
                raise NotFound(f"There is no generation {generation_id}.")
            stored = await ReviewRepository(session).mark(
                generation_id, mark, reviewer=str(actor), now=self._clock.now()
            )
            await audit.record(
                session,
                self._clock,
                actor,
                "generation.reviewed",
                "generation",
                str(generation_id),
                home.alias or home.run or "",
                {"review_id": str(stored.id), "mark": mark.mark},
            )
            await session.commit()
        return stored

    async def marks(self, actor: Actor, generation_id: UUID) -> list[MarkView]:
        """Return what people marked a generation as, newest first; `NotFound` for one that the
        actor may not see. Without the right to its texts the reasons are withheld; that those of
        a customer's chat are read is recorded before they are given out."""
        async with self._database.read_session() as session:
            home = await ProvenanceRepository(session).home(generation_id)
            if home is None or not may_see(actor, home):
                raise NotFound(f"There is no generation {generation_id}.")
            found = await ReviewRepository(session).marks(generation_id)
        if may_read(actor, home):
            if home.purpose == "chat" and any(mark.reason for mark in found):
                await record_opening(self._database, self._clock, actor, generation_id, home)
            return found
        return [mark.model_copy(update={"reason": None}) for mark in found]

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


def _may_mark(actor: Actor, home: GenerationHome) -> bool:
    name = home.alias if home.purpose == "chat" else home.dataset
    return may_see(actor, home) and may(actor, Permission.REVIEW_WRITE, name)
