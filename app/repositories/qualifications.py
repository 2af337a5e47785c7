"""Statements on `judge_qualification`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import insert, select

from app.database import AsyncSession
from app.models import Dataset, DatasetVersion, JudgeQualification, Scorer
from app.schemas.qualifications import QualificationView
from app.schemas.scores import ScorerView

__all__ = ["QualificationRepository"]


class QualificationRepository:
    """Checks of judges; none is ever changed."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, values: Mapping[str, Any]) -> None:
        """Insert one check."""
        await self._session.execute(insert(JudgeQualification), [dict(values)])

    async def of_names(self, names: Collection[str]) -> Sequence[QualificationView]:
        """Return every check of the judges of these names, newest first."""
        statement = (
            select(JudgeQualification, Scorer, Dataset.name, DatasetVersion.number)
            .join(Scorer, Scorer.id == JudgeQualification.scorer_id)
            .join(DatasetVersion, DatasetVersion.id == JudgeQualification.dataset_version_id)
            .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
            .where(Scorer.name.in_(names))
            .order_by(JudgeQualification.created_at.desc(), JudgeQualification.id.desc())
        )
        return [
            QualificationView(
                id=row.id,
                scorer=_scorer(scorer),
                dataset=dataset,
                version=number,
                qualified=row.qualified,
                label_count=row.label_count,
                input_hash=row.input_hash,
                result=row.result,
                created_at=row.created_at,
                created_by=row.created_by,
            )
            for row, scorer, dataset, number in await self._session.execute(statement)
        ]

    async def scorers(self, names: Collection[str]) -> Sequence[ScorerView]:
        """Return the stored scorers of these names, newest first."""
        statement = (
            select(Scorer)
            .where(Scorer.name.in_(names))
            .order_by(Scorer.created_at.desc(), Scorer.id.desc())
        )
        return [_scorer(row) for row in (await self._session.execute(statement)).scalars()]


def _scorer(row: Scorer) -> ScorerView:
    return ScorerView(
        id=row.id,
        name=row.name,
        version=row.version,
        config=row.config,
        content_hash=row.content_hash,
        created_at=row.created_at,
    )
