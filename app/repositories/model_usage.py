"""Statements on what a model version was and is used for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Date, case, cast, func, select
from sqlalchemy.orm import InstrumentedAttribute

from app.database import AsyncSession
from app.models import (
    Alias,
    Dataset,
    DatasetVersion,
    Deployment,
    DeploymentTarget,
    Experiment,
    Generation,
    Prompt,
    PromptVersion,
    Run,
    Variant,
)
from app.repositories.prefixes import below
from app.schemas.model_usage import AliasBinding, ExperimentBinding, Purpose, UsageRow

__all__ = ["ModelUsageRepository"]


class ModelUsageRepository:
    """Aggregates over generations, and lists of what is bound to a version; texts are not read."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def usage(
        self, version_id: UUID, purposes: Sequence[Purpose], *, since: datetime, until: datetime
    ) -> list[UsageRow]:
        """Return the generations called between two times by day, purpose and status."""
        day = self._day(Generation.started_at).label("day")
        by = (day, Generation.purpose, Generation.status)
        statement = (
            select(
                *by,
                func.count().label("generations"),
                func.sum(Generation.input_tokens).label("input_tokens"),
                func.sum(Generation.output_tokens).label("output_tokens"),
                func.sum(Generation.cost).label("cost"),
                func.sum(case((Generation.cost.is_(None), 1), else_=0)).label("without_cost"),
            )
            .where(
                Generation.model_version_id == version_id,
                Generation.started_at >= since,
                Generation.started_at < until,
                Generation.purpose.in_(purposes),
                Generation.reused_from_id.is_(None),
            )
            .group_by(*by)
            .order_by(*by)
        )
        rows = await self._session.execute(statement)
        return [UsageRow.model_validate(dict(row._mapping)) for row in rows]

    async def last_used(self, version_id: UUID, purposes: Sequence[Purpose]) -> datetime | None:
        """Return when the newest generation began that called the version; None for none."""
        statement = (
            select(Generation.started_at)
            .where(
                Generation.model_version_id == version_id,
                Generation.purpose.in_(purposes),
                Generation.reused_from_id.is_(None),
            )
            .order_by(Generation.started_at.desc())
            .limit(1)
        )
        return (await self._session.execute(statement)).scalar_one_or_none()

    async def aliases(
        self,
        version_id: UUID,
        prefixes: Sequence[str] | None,
        only: Collection[str] | None,
        *,
        limit: int,
    ) -> list[AliasBinding]:
        """Return the aliases below the prefixes that serve the version now, by name."""
        newest = (
            select(func.max(Deployment.number))
            .where(Deployment.alias_id == Alias.id)
            .correlate(Alias)
            .scalar_subquery()
        )
        statement = (
            select(
                Alias.name,
                Deployment.number,
                Deployment.created_at,
                DeploymentTarget.role,
                DeploymentTarget.weight,
                Prompt.name,
                PromptVersion.number,
                PromptVersion.content_hash,
                Variant.content_hash,
            )
            .select_from(Variant)
            .join(DeploymentTarget, DeploymentTarget.variant_id == Variant.id)
            .join(Deployment, Deployment.id == DeploymentTarget.deployment_id)
            .join(Alias, Alias.id == Deployment.alias_id)
            .join(PromptVersion, PromptVersion.id == Variant.prompt_version_id)
            .join(Prompt, Prompt.id == PromptVersion.prompt_id)
            .where(
                Variant.model_version_id == version_id,
                Deployment.number == newest,
                Deployment.message.is_(None),  # else it answers with that and calls no model
                below(Alias.name, prefixes),
            )
            .order_by(Alias.name, DeploymentTarget.role, Variant.content_hash)
            .limit(limit)
        )
        if only is not None:
            statement = statement.where(Alias.name.in_(list(only)))
        found: list[AliasBinding] = []
        for row in await self._session.execute(statement):
            alias, number, since, role, weight, prompt, version, prompt_hash, variant_hash = row
            named = version or f"draft-{prompt_hash.removeprefix('sha256:')[:8]}"
            found.append(
                AliasBinding(
                    alias=alias,
                    deployment=number,
                    since=since,
                    role=role,
                    weight=weight,
                    prompt=f"{prompt}@{named}",
                    variant_hash=variant_hash,
                )
            )
        return found

    async def experiments(
        self, version_id: UUID, prefixes: Sequence[str] | None, *, limit: int
    ) -> list[ExperimentBinding]:
        """Return the open experiments on datasets below the prefixes that measure the version."""
        measured = (
            select(Run.experiment_id)
            .join(Variant, Variant.id == Run.variant_id)
            .where(Variant.model_version_id == version_id)
        )
        statement = (
            select(
                Experiment.number,
                Experiment.name,
                Dataset.name,
                DatasetVersion.number,
                Experiment.created_at,
                Experiment.created_by,
            )
            .join(DatasetVersion, DatasetVersion.id == Experiment.dataset_version_id)
            .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
            .where(
                Experiment.status == "open",
                Experiment.id.in_(measured),
                below(Dataset.name, prefixes),
            )
            .order_by(Experiment.number.desc())
            .limit(limit)
        )
        return [
            ExperimentBinding(
                number=row[0],
                name=row[1],
                dataset=f"{row[2]}@{row[3]}",
                created_at=row[4],
                created_by=row[5],
            )
            for row in await self._session.execute(statement)
        ]

    def _day(self, moment: InstrumentedAttribute[datetime]) -> ColumnElement[Any]:
        """Return the day of a time in UTC, in which SQLite stores times without a zone."""
        if self._session.get_bind().dialect.name == "postgresql":
            return cast(func.timezone("UTC", moment), Date)
        return func.date(moment)
