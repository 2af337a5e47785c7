"""Statements on `variant`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import Row, Select, select
from sqlalchemy.dialects import postgresql, sqlite

from app.core.parameters import ModelFacts, settle_parameters
from app.database import AsyncSession
from app.models import LanguageModel, ModelVersion, Prompt, PromptVersion, Variant
from app.repositories.counting import count_up_to
from app.repositories.prefixes import below
from app.schemas.variants import VariantView

__all__ = ["VariantRepository"]

_Variants: TypeAlias = Select[Variant, str, int | None, str, str, str, ModelVersion]
_Row: TypeAlias = Row[Variant, str, int | None, str, str, str, ModelVersion]


class VariantRepository:
    """Variants; reads return schemas, settled by what is known of the model now."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add_if_new(self, values: Mapping[str, Any]) -> bool:
        """Insert a variant unless its content hash is there; return whether it was inserted."""
        dialect = self._session.get_bind().dialect.name
        make = postgresql.insert if dialect == "postgresql" else sqlite.insert
        statement = (
            make(Variant)
            .values(**values)
            .on_conflict_do_nothing(index_elements=["content_hash"])
            .returning(Variant.id)
        )
        return (await self._session.execute(statement)).scalar_one_or_none() is not None

    async def by_id(self, variant_id: UUID) -> VariantView | None:
        found = await self._views(_variants().where(Variant.id == variant_id))
        return found[0] if found else None

    async def by_hash_prefix(self, prefix: str) -> Sequence[VariantView]:
        """Return up to two variants whose hash begins so."""
        return await self._views(
            _variants().where(Variant.content_hash.startswith(prefix, autoescape=True)).limit(2)
        )

    async def newest(self, *, limit: int) -> Sequence[VariantView]:
        """Return variants, newest first."""
        return await self._views(_variants().order_by(Variant.id.desc()).limit(limit))

    async def page(
        self,
        prefixes: Sequence[str] | None,
        *,
        prompt: str | None,
        before: UUID | None,
        limit: int,
    ) -> tuple[list[VariantView], int]:
        """Return variants of prompts below the prefixes, newest first, and how many there are."""
        wanted = _variants().where(below(Prompt.name, prefixes))
        if prompt is not None:
            wanted = wanted.where(Prompt.name == prompt)
        statement = wanted if before is None else wanted.where(Variant.id < before)
        found = await self._views(statement.order_by(Variant.id.desc()).limit(limit))
        total = await count_up_to(self._session, wanted.with_only_columns(Variant.id))
        return found, total

    async def _views(self, statement: _Variants) -> list[VariantView]:
        statement = statement.execution_options(populate_existing=True)  # facts may have changed
        return [_view(row) for row in await self._session.execute(statement)]


def _variants() -> _Variants:
    return (
        select(
            Variant,
            Prompt.name,
            PromptVersion.number,
            PromptVersion.content_hash,
            LanguageModel.provider,
            LanguageModel.name,
            ModelVersion,
        )
        .join(PromptVersion, PromptVersion.id == Variant.prompt_version_id)
        .join(Prompt, Prompt.id == PromptVersion.prompt_id)
        .join(ModelVersion, ModelVersion.id == Variant.model_version_id)
        .join(LanguageModel, LanguageModel.id == ModelVersion.language_model_id)
    )


def _view(row: _Row) -> VariantView:
    variant, prompt, number, prompt_hash, provider, name, model = row
    settled = settle_parameters(
        variant.parameters, variant.sources, ModelFacts.model_validate(model.facts)
    )
    version = number if number is not None else f"draft-{prompt_hash.removeprefix('sha256:')[:8]}"
    return VariantView(
        id=variant.id,
        content_hash=variant.content_hash,
        prompt_version_id=variant.prompt_version_id,
        model_version_id=variant.model_version_id,
        prompt=f"{prompt}@{version}",
        model=f"{provider}/{name}@{model.number}",
        asked=dict(settled.asked),
        sources=dict(settled.sources),
        applied=dict(settled.applied),
        left_out=dict(settled.left_out),
        created_at=variant.created_at,
        created_by=variant.created_by,
    )
