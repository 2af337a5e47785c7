"""Statements of what callers may name as the model of a chat."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import func, or_, select

from app.database import AsyncSession
from app.models import (
    Alias,
    Deployment,
    DeploymentTarget,
    LanguageModel,
    ModelVersion,
    Variant,
)
from app.repositories.prefixes import below
from app.schemas.served_models import ServedModel

__all__ = ["ServedModelRepository"]


class ServedModelRepository:
    """Aliases and model versions by the names that callers use."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def aliases(
        self, prefixes: Sequence[str] | None, names: Collection[str] | None
    ) -> list[ServedModel]:
        """Return the aliases below the prefixes, of these names if some are given, by name."""
        newest = (
            select(func.max(Deployment.number))
            .where(Deployment.alias_id == Alias.id)
            .correlate(Alias)
            .scalar_subquery()
        )
        statement = (
            select(Alias.name, Alias.created_at, ModelVersion.sunset_at)
            .join(Deployment, (Deployment.alias_id == Alias.id) & (Deployment.number == newest))
            .join(
                DeploymentTarget,
                (DeploymentTarget.deployment_id == Deployment.id)
                & (DeploymentTarget.role == "primary"),
            )
            .join(Variant, Variant.id == DeploymentTarget.variant_id)
            .join(ModelVersion, ModelVersion.id == Variant.model_version_id)
            .where(below(Alias.name, prefixes))
            .order_by(Alias.name)
        )
        if names is not None:
            statement = statement.where(Alias.name.in_(names))
        return [
            ServedModel(name, None, created_at, sunset_at)
            for name, created_at, sunset_at in await self._session.execute(statement)
        ]

    async def models(self, now: datetime) -> list[ServedModel]:
        """Return the model versions that are neither drafts nor at their end, by reference."""
        statement = (
            select(
                LanguageModel.provider,
                LanguageModel.name,
                ModelVersion.number,
                ModelVersion.created_at,
                ModelVersion.sunset_at,
            )
            .join(LanguageModel, LanguageModel.id == ModelVersion.language_model_id)
            .where(
                or_(
                    ModelVersion.status == "active",
                    (ModelVersion.status == "deprecated")
                    & (ModelVersion.sunset_at.is_(None) | (ModelVersion.sunset_at > now)),
                )
            )
            .order_by(LanguageModel.provider, LanguageModel.name, ModelVersion.number)
        )
        return [
            ServedModel(f"{provider}/{name}@{number}", provider, created_at, sunset_at)
            for provider, name, number, created_at, sunset_at in await self._session.execute(
                statement
            )
        ]
