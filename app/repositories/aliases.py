"""Statements on `alias`, `deployment` and `deployment_target`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select

from app.database import AsyncSession
from app.models import (
    Alias,
    Deployment,
    DeploymentTarget,
    LanguageModel,
    ModelVersion,
    Prompt,
    PromptVersion,
    Variant,
)
from app.schemas.aliases import AliasView, DeploymentTargetView, DeploymentView

__all__ = ["AliasRepository"]


class AliasRepository:
    """Aliases with their deployments; reads return schemas."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, values: Mapping[str, Any]) -> None:
        """Insert one alias; its first deployment has to follow in the same transaction."""
        await self._session.execute(insert(Alias), [dict(values)])

    async def add_deployment(
        self, values: Mapping[str, Any], targets: Sequence[Mapping[str, Any]]
    ) -> None:
        """Insert one deployment with what it points to."""
        await self._session.execute(insert(Deployment), [dict(values)])
        rows = [{**target, "deployment_id": values["id"]} for target in targets]
        await self._session.execute(insert(DeploymentTarget), rows)

    async def by_name(self, name: str) -> AliasView | None:
        statement = select(Alias).where(Alias.name == name)
        alias = (await self._session.execute(statement)).scalar_one_or_none()
        if alias is None:
            return None
        current = (await self._deployments([alias.id], newest_only=True))[alias.id][0]
        return _alias(alias, current)

    async def list(self) -> Sequence[AliasView]:
        """Return every alias by name."""
        aliases = list((await self._session.execute(select(Alias).order_by(Alias.name))).scalars())
        current = await self._deployments([alias.id for alias in aliases], newest_only=True)
        return [_alias(alias, current[alias.id][0]) for alias in aliases]

    async def history(self, alias_id: UUID) -> Sequence[DeploymentView]:
        """Return every deployment of an alias, newest first."""
        return (await self._deployments([alias_id], newest_only=False))[alias_id]

    async def _deployments(
        self, alias_ids: Sequence[UUID], *, newest_only: bool
    ) -> Mapping[UUID, Sequence[DeploymentView]]:
        statement = (
            select(Deployment)
            .where(Deployment.alias_id.in_(alias_ids))
            .order_by(Deployment.number.desc())
        )
        if newest_only:
            newest = (
                select(Deployment.alias_id, func.max(Deployment.number).label("number"))
                .group_by(Deployment.alias_id)
                .subquery()
            )
            statement = statement.join(
                newest,
                (newest.c.alias_id == Deployment.alias_id) & (newest.c.number == Deployment.number),
            )
        rows = list((await self._session.execute(statement)).scalars())
        targets = await self._targets([row.id for row in rows])
        found: defaultdict[UUID, list[DeploymentView]] = defaultdict(list)
        for row in rows:
            found[row.alias_id].append(_deployment(row, targets[row.id]))
        return found

    async def _targets(
        self, deployment_ids: Sequence[UUID]
    ) -> Mapping[UUID, Sequence[DeploymentTargetView]]:
        statement = (
            select(
                DeploymentTarget,
                Variant.content_hash,
                Prompt.name,
                PromptVersion.number,
                PromptVersion.content_hash,
                LanguageModel.provider,
                LanguageModel.name,
                ModelVersion.number,
            )
            .join(Variant, Variant.id == DeploymentTarget.variant_id)
            .join(PromptVersion, PromptVersion.id == Variant.prompt_version_id)
            .join(Prompt, Prompt.id == PromptVersion.prompt_id)
            .join(ModelVersion, ModelVersion.id == Variant.model_version_id)
            .join(LanguageModel, LanguageModel.id == ModelVersion.language_model_id)
            .where(DeploymentTarget.deployment_id.in_(deployment_ids))
            .order_by(DeploymentTarget.role.desc(), DeploymentTarget.variant_id)
        )
        found: defaultdict[UUID, list[DeploymentTargetView]] = defaultdict(list)
        for row in await self._session.execute(statement):
            target, variant_hash, prompt, number, prompt_hash, provider, model, version = row
            numbered = number or f"draft-{prompt_hash.removeprefix('sha256:')[:8]}"
            found[target.deployment_id].append(
                DeploymentTargetView(
                    variant_id=target.variant_id,
                    variant_hash=variant_hash,
                    prompt=f"{prompt}@{numbered}",
                    model=f"{provider}/{model}@{version}",
                    role=target.role,
                    weight=target.weight,
                )
            )
        return found


def _alias(alias: Alias, current: DeploymentView) -> AliasView:
    return AliasView(
        id=alias.id,
        name=alias.name,
        current=current,
        created_at=alias.created_at,
        created_by=alias.created_by,
    )


def _deployment(row: Deployment, targets: Sequence[DeploymentTargetView]) -> DeploymentView:
    return DeploymentView(
        id=row.id,
        number=row.number,
        reason=row.reason,
        previous=row.number - 1 if row.previous_id is not None else None,
        targets=tuple(targets),
        created_at=row.created_at,
        created_by=row.created_by,
    )
