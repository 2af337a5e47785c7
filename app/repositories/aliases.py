"""Statements on `alias`, `deployment` and `deployment_target`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, get_args
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, insert, select
from sqlalchemy.orm import aliased

from app.database import AsyncSession
from app.models import (
    Alias,
    Conversation,
    Deployment,
    DeploymentTarget,
    LanguageModel,
    ModelVersion,
    Prompt,
    PromptVersion,
    Variant,
)
from app.repositories.counting import count_up_to
from app.repositories.prefixes import below
from app.schemas.aliases import (
    AliasSettings,
    AliasView,
    DeploymentTargetView,
    DeploymentView,
    TargetRole,
)
from app.schemas.prompts import PromptDeployment

__all__ = ["AliasRepository"]

_ROLES: Final[tuple[TargetRole, ...]] = get_args(TargetRole)


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
        (current,) = await self.history(alias.id, limit=1)
        return _alias(alias, current)

    async def list(self) -> Sequence[AliasView]:
        """Return every alias by name."""
        return await self._views(select(Alias).order_by(Alias.name))

    async def page(
        self,
        prefixes: Sequence[str] | None,
        *,
        only: Collection[str] | None,
        after: str | None,
        limit: int,
    ) -> Sequence[AliasView]:
        """Return the aliases after a name, in order, that begin with one of the prefixes and, if
        `only` is given, are among those."""
        statement = select(Alias).where(_seen(prefixes, only)).order_by(Alias.name).limit(limit)
        if after is not None:
            statement = statement.where(Alias.name > after)
        return await self._views(statement)

    async def count(self, prefixes: Sequence[str] | None, *, only: Collection[str] | None) -> int:
        """Return how many aliases `page` would go through, as far as anybody counts."""
        return await count_up_to(self._session, select(Alias.id).where(_seen(prefixes, only)))

    async def history(
        self, alias_id: UUID, *, before: int | None = None, limit: int | None = None
    ) -> Sequence[DeploymentView]:
        """Return deployments of an alias, newest first: those with a number below `before`."""
        statement = _history(alias_id).limit(limit)
        if before is not None:
            statement = statement.where(Deployment.number < before)
        return await self._deployments(statement)

    async def at(self, alias_id: UUID, time: datetime) -> DeploymentView | None:
        """Return the deployment that was the newest one at a time."""
        statement = _history(alias_id).where(Deployment.created_at <= time).limit(1)
        return next(iter(await self._deployments(statement)), None)

    async def by_number(self, alias_id: UUID, number: int) -> DeploymentView | None:
        statement = _history(alias_id).where(Deployment.number == number)
        return next(iter(await self._deployments(statement)), None)

    async def of_prompt(
        self,
        prompt: str,
        prefixes: Sequence[str] | None,
        *,
        only: Collection[str] | None,
        before: UUID | None,
        limit: int,
    ) -> tuple[Sequence[PromptDeployment], int]:
        """Return deployments that served versions of a prompt, newest first, and how many there
        are; of aliases as in `page`."""
        served = (
            select(DeploymentTarget.deployment_id)
            .join(Variant, Variant.id == DeploymentTarget.variant_id)
            .join(PromptVersion, PromptVersion.id == Variant.prompt_version_id)
            .join(Prompt, Prompt.id == PromptVersion.prompt_id)
            .where(Prompt.name == prompt)
        )
        following = aliased(Deployment)
        wanted = (
            select(Deployment, Alias.name, following.created_at)
            .join(Alias, Alias.id == Deployment.alias_id)
            .outerjoin(
                following,
                (following.alias_id == Deployment.alias_id)
                & (following.number == Deployment.number + 1),  # they are counted without gaps
            )
            .where(Deployment.id.in_(served), _seen(prefixes, only))
        )
        statement = wanted if before is None else wanted.where(Deployment.id < before)
        rows = list(
            await self._session.execute(statement.order_by(Deployment.id.desc()).limit(limit))
        )
        targets = await self._targets([row[0].id for row in rows])
        count = await count_up_to(self._session, wanted.with_only_columns(Deployment.id))
        return [_of_prompt(prompt, *row, targets[row[0].id]) for row in rows], count

    async def conversations(self, alias_id: UUID) -> tuple[int, int]:
        """Return how many conversations follow an alias, and how many are pinned to a variant."""
        statement = select(
            func.count().filter(Conversation.pinned_variant_id.is_(None)),
            func.count().filter(Conversation.pinned_variant_id.is_not(None)),
        ).where(Conversation.alias_id == alias_id, Conversation.deleted_at.is_(None))
        following, pinned = (await self._session.execute(statement)).one()
        return following, pinned

    async def _views(self, statement: Select[Alias]) -> Sequence[AliasView]:
        aliases = list((await self._session.execute(statement)).scalars())
        newest = (
            select(Deployment.alias_id, func.max(Deployment.number).label("number"))
            .where(Deployment.alias_id.in_([alias.id for alias in aliases]))
            .group_by(Deployment.alias_id)
            .subquery()
        )
        is_newest = (newest.c.alias_id == Deployment.alias_id) & (
            newest.c.number == Deployment.number
        )
        rows = (await self._session.execute(select(Deployment).join(newest, is_newest))).scalars()
        current = list(rows)
        targets = await self._targets([row.id for row in current])
        views = {row.alias_id: _deployment(row, targets[row.id]) for row in current}
        return [_alias(alias, views[alias.id]) for alias in aliases]

    async def _deployments(self, statement: Select[Deployment]) -> Sequence[DeploymentView]:
        rows = list((await self._session.execute(statement)).scalars())
        targets = await self._targets([row.id for row in rows])
        return [_deployment(row, targets[row.id]) for row in rows]

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
            .order_by(DeploymentTarget.variant_id)
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
        for views in found.values():
            views.sort(key=_place)
        return found


def _history(alias_id: UUID) -> Select[Deployment]:
    return (
        select(Deployment).where(Deployment.alias_id == alias_id).order_by(Deployment.number.desc())
    )


def _seen(prefixes: Sequence[str] | None, only: Collection[str] | None) -> ColumnElement[bool]:
    seen = below(Alias.name, prefixes)
    return seen if only is None else seen & Alias.name.in_(list(only))


def _place(target: DeploymentTargetView) -> tuple[int, float]:
    """Return where a target stands: primary, canaries as they were made, fallbacks in order."""
    return _ROLES.index(target.role), target.weight if target.role == "fallback" else 0.0


def _alias(alias: Alias, current: DeploymentView) -> AliasView:
    return AliasView(
        id=alias.id,
        name=alias.name,
        current=current,
        created_at=alias.created_at,
        created_by=alias.created_by,
    )


def _of_prompt(
    prompt: str,
    row: Deployment,
    alias: str,
    ended_at: datetime | None,
    targets: Sequence[DeploymentTargetView],
) -> PromptDeployment:
    return PromptDeployment(
        id=row.id,
        alias=alias,
        number=row.number,
        kind=row.kind,
        reason=row.reason,
        is_disabled=row.message is not None,
        targets=tuple(it for it in targets if it.prompt.partition("@")[0] == prompt),
        created_at=row.created_at,
        created_by=row.created_by,
        ended_at=ended_at,
    )


def _deployment(row: Deployment, targets: Sequence[DeploymentTargetView]) -> DeploymentView:
    return DeploymentView(
        id=row.id,
        number=row.number,
        kind=row.kind,
        reason=row.reason,
        previous=row.number - 1 if row.previous_id is not None else None,
        targets=tuple(targets),
        settings=AliasSettings.model_validate(row.settings or {}),
        message=row.message,
        created_at=row.created_at,
        created_by=row.created_by,
    )
