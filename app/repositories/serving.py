"""Statements of serving that belong to no noun alone: what a caller's plain words stand for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select

from app.database import AsyncSession
from app.models import AuditEvent, LanguageModel, ModelVersion

__all__ = ["ServingRepository"]


class ServingRepository:
    """Reads for resolving what is to be served."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def models_called(self, name: str) -> Sequence[str]:
        """Return `provider/name` of the models that have this name, or a version that the
        provider calls so and that is not retired; in order."""
        statement = (
            select(LanguageModel.provider, LanguageModel.name)
            .join(ModelVersion, ModelVersion.language_model_id == LanguageModel.id)
            .where(
                or_(LanguageModel.name == name, ModelVersion.provider_model == name),
                ModelVersion.status != "retired",
            )
            .distinct()
            .order_by(LanguageModel.provider, LanguageModel.name)
        )
        return [f"{row[0]}/{row[1]}" for row in await self._session.execute(statement)]

    async def deprecated_at(self, model_version_id: UUID) -> datetime | None:
        """Return when a model version was last deprecated, as the audit chain has it."""
        statement = select(func.max(AuditEvent.occurred_at)).where(
            AuditEvent.object_id == str(model_version_id),
            AuditEvent.action == "model_version.deprecated",
        )
        return (await self._session.execute(statement)).scalar_one_or_none()
