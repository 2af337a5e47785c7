"""Checks of judges against people, as they were stored. What they say is computed elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from app.core.clock import Clock
from app.core.ids import new_id
from app.core.permissions import Actor, Permission, require
from app.database import Database
from app.repositories.qualifications import QualificationRepository
from app.schemas.qualifications import JudgeView, NewQualification, QualificationView
from app.services import audit

__all__ = ["QualificationService"]


class QualificationService:
    """Use cases of judge qualifications."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def record(self, actor: Actor, new: NewQualification) -> None:
        """Store one check of a judge with its audit event, whatever came of it."""
        require(actor, Permission.JUDGE_QUALIFY)
        qualification_id = new_id()
        async with self._database.write_session() as session:
            await QualificationRepository(session).add(
                {
                    "id": qualification_id,
                    "scorer_id": new.scorer.id,
                    "dataset_version_id": new.dataset_version_id,
                    "qualified": new.qualified,
                    "label_count": new.label_count,
                    "input_hash": new.input_hash,
                    "result": new.result,
                    "created_at": self._clock.now(),
                    "created_by": str(actor),
                }
            )
            await audit.record(
                session,
                self._clock,
                actor,
                "judge.qualified" if new.qualified else "judge.not_qualified",
                "judge_qualification",
                str(qualification_id),
                new.scorer.name,
                {"scorer_hash": new.scorer.content_hash, "input_hash": new.input_hash},
            )
            await session.commit()

    async def of_judges(self, names: Collection[str]) -> Sequence[QualificationView]:
        """Return every check of the judges of these names, newest first."""
        async with self._database.read_session() as session:
            return await QualificationRepository(session).of_names(names)

    async def judges(self, names: Collection[str]) -> Sequence[JudgeView]:
        """Return the judges of these names that were ever used, newest first, each with its
        newest check."""
        async with self._database.read_session() as session:
            repository = QualificationRepository(session)
            checks = await repository.of_names(names)
            newest = {check.scorer.id: check for check in reversed(checks)}
            return [
                JudgeView(scorer, newest.get(scorer.id))
                for scorer in await repository.scorers(names)
            ]
