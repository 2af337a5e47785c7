"""Statements on `language_model`, `model_version` and `model_price`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

from sqlalchemy import Row, Select, func, insert, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from app.core.ids import new_id
from app.core.parameters import ModelFacts
from app.database import AsyncSession
from app.models import LanguageModel, ModelPrice, ModelVersion
from app.repositories.counting import count_up_to
from app.schemas.models import ModelStatus, ModelVersionView, PriceView, price_at

__all__ = ["ModelRepository"]

_Versions: TypeAlias = Select[ModelVersion, str, str]  # with provider and name

# A session that changed rows by a statement reads them anew.
_FRESH: Final = {"populate_existing": True}


class ModelRepository:
    """The catalog; reads return schemas, with the price that counts at the time `at`."""

    def __init__(self, session: AsyncSession, at: datetime) -> None:
        self._session = session
        self._at = at

    async def ensure_model(self, provider: str, name: str, actor: str) -> UUID:
        """Return the language model's id, making it if there is none, and keep others from
        numbering its versions until the transaction ends."""
        dialect = self._session.get_bind().dialect.name
        make = postgresql.insert if dialect == "postgresql" else sqlite.insert
        await self._session.execute(
            make(LanguageModel)
            .values(
                id=new_id(), provider=provider, name=name, created_at=self._at, created_by=actor
            )
            .on_conflict_do_nothing(index_elements=["provider", "name"])
        )
        statement = (
            select(LanguageModel.id)
            .where(LanguageModel.provider == provider, LanguageModel.name == name)
            .with_for_update()
        )
        return (await self._session.execute(statement)).scalar_one()

    async def next_number(self, language_model_id: UUID) -> int:
        statement = select(func.max(ModelVersion.number)).where(
            ModelVersion.language_model_id == language_model_id
        )
        return ((await self._session.execute(statement)).scalar_one() or 0) + 1

    async def add_version(self, values: Mapping[str, Any]) -> None:
        """Insert one version."""
        await self._session.execute(insert(ModelVersion), [dict(values)])

    async def change_version(self, version_id: UUID, values: Mapping[str, Any]) -> None:
        """Write new facts or a new state of the lifecycle."""
        await self._session.execute(
            update(ModelVersion).where(ModelVersion.id == version_id).values(**values)
        )

    async def add_prices(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert price rows."""
        if rows:
            await self._session.execute(insert(ModelPrice), [dict(row) for row in rows])

    async def close_price(self, price_id: UUID, valid_to: datetime) -> None:
        """End an open price."""
        await self._session.execute(
            update(ModelPrice)
            .where(ModelPrice.id == price_id, ModelPrice.valid_to.is_(None))
            .values(valid_to=valid_to)
        )

    async def by_id(self, version_id: UUID) -> ModelVersionView | None:
        found = await self._views(_versions().where(ModelVersion.id == version_id))
        return found[0] if found else None

    async def by_number(self, provider: str, name: str, number: int) -> ModelVersionView | None:
        found = await self._views(_named(provider, name).where(ModelVersion.number == number))
        return found[0] if found else None

    async def latest(self, provider: str, name: str) -> ModelVersionView | None:
        """Return the version with the highest number that is not retired."""
        found = await self._views(
            _named(provider, name)
            .where(ModelVersion.status != "retired")
            .order_by(ModelVersion.number.desc())
            .limit(1)
        )
        return found[0] if found else None

    async def versions(self, provider: str, name: str) -> list[ModelVersionView]:
        """Return all versions of one language model, oldest first."""
        return await self._views(_named(provider, name).order_by(ModelVersion.number))

    async def all_versions(self) -> list[ModelVersionView]:
        """Return every version, by provider, name and number."""
        return await self._views(
            _versions().order_by(LanguageModel.provider, LanguageModel.name, ModelVersion.number)
        )

    async def page(
        self,
        *,
        provider: str | None,
        status: ModelStatus | None,
        search: str,
        after: tuple[str, str, int] | None,
        limit: int,
    ) -> tuple[list[ModelVersionView], int]:
        """Return versions after one, by provider, name and number, and how many there are.

        `search` is looked for in names.
        """
        wanted = _versions()
        if provider is not None:
            wanted = wanted.where(LanguageModel.provider == provider)
        if status is not None:
            wanted = wanted.where(ModelVersion.status == status)
        if search:
            wanted = wanted.where(LanguageModel.name.icontains(search, autoescape=True))
        order = (LanguageModel.provider, LanguageModel.name, ModelVersion.number)
        statement = wanted if after is None else wanted.where(tuple_(*order) > tuple_(*after))
        found = await self._views(statement.order_by(*order).limit(limit))
        total = await count_up_to(self._session, wanted.with_only_columns(ModelVersion.id))
        return found, total

    async def names(self) -> list[str]:
        """Return `provider/name` of every language model."""
        statement = select(LanguageModel.provider, LanguageModel.name).order_by(
            LanguageModel.provider, LanguageModel.name
        )
        return [f"{row[0]}/{row[1]}" for row in await self._session.execute(statement)]

    async def prices(self, version_id: UUID) -> list[PriceView]:
        """Return every price of a version, by time."""
        return (await self._prices([version_id])).get(version_id, [])

    async def _prices(self, version_ids: Sequence[UUID]) -> dict[UUID, list[PriceView]]:
        found: dict[UUID, list[PriceView]] = {}
        for start in range(0, len(version_ids), 500):  # a bound on the number of SQL parameters
            statement = (
                select(ModelPrice)
                .where(ModelPrice.model_version_id.in_(version_ids[start : start + 500]))
                .order_by(ModelPrice.valid_from, ModelPrice.source)
            )
            statement = statement.execution_options(**_FRESH)
            for price in (await self._session.execute(statement)).scalars():
                found.setdefault(price.model_version_id, []).append(_price(price))
        return found

    async def _views(self, statement: _Versions) -> list[ModelVersionView]:
        rows = (await self._session.execute(statement.execution_options(**_FRESH))).all()
        prices = await self._prices([row[0].id for row in rows])
        return [_view(row, price_at(prices.get(row[0].id, ()), self._at)) for row in rows]


def _versions() -> _Versions:
    return select(ModelVersion, LanguageModel.provider, LanguageModel.name).join(
        LanguageModel, LanguageModel.id == ModelVersion.language_model_id
    )


def _named(provider: str, name: str) -> _Versions:
    return _versions().where(LanguageModel.provider == provider, LanguageModel.name == name)


def _price(price: ModelPrice) -> PriceView:
    return PriceView.model_validate({name: getattr(price, name) for name in PriceView.model_fields})


def _view(row: Row[ModelVersion, str, str], price: PriceView | None) -> ModelVersionView:
    version = row[0]
    return ModelVersionView(
        id=version.id,
        language_model_id=version.language_model_id,
        provider=row[1],
        name=row[2],
        number=version.number,
        provider_model=version.provider_model,
        endpoint=version.endpoint,
        digest=version.digest,
        floating=version.floating,
        facts=ModelFacts.model_validate(version.facts),
        status=version.status,
        sunset_at=version.sunset_at,
        successor=version.successor,
        price=price,
        created_at=version.created_at,
        created_by=version.created_by,
    )
