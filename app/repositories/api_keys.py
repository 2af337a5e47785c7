"""Statements on `api_key`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, exists, func, insert, select, update
from sqlalchemy.orm import aliased

from app.database import AsyncSession
from app.models import ApiKey, User
from app.schemas.api_keys import ApiKeyView, KeyScope, StoredApiKey

__all__ = ["ApiKeyRepository"]

_Replaced = aliased(ApiKey)
_Row = tuple[ApiKey, str | None, datetime | None, str | None]


class ApiKeyRepository:
    """API keys; reads return schemas, and only `stored` returns what a key is compared with."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, values: Mapping[str, Any]) -> None:
        await self._session.execute(insert(ApiKey), [dict(values)])

    async def revoke(self, key_id: UUID, *, at: datetime, by: str) -> None:
        await self._change(key_id, {"revoked_at": at, "revoked_by": by})

    async def expire(self, key_id: UUID, *, at: datetime) -> None:
        """Let a key work until this time."""
        await self._change(key_id, {"expires_at": at})

    async def note_use(self, key_id: UUID, *, at: datetime) -> None:
        await self._change(key_id, {"last_used_at": at})

    async def stored(self, prefix: str) -> StoredApiKey | None:
        """Return what a credential with this public beginning is compared with."""
        row = await self._session.scalar(select(ApiKey).where(ApiKey.prefix == prefix))
        if row is None:
            return None
        return StoredApiKey(
            id=row.id,
            name=row.name,
            digest=row.secret_hmac,
            user_id=row.user_id,
            scope=KeyScope.model_validate(row.scope),
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
            last_used_at=row.last_used_at,
        )

    async def by_name(self, name: str) -> ApiKeyView | None:
        found = await self._views(_keys().where(ApiKey.name == name))
        return found[0] if found else None

    async def is_replaced(self, key_id: UUID) -> bool:
        """Whether a rotation has made another key of this one."""
        return bool(
            await self._session.scalar(select(exists().where(ApiKey.replaces_id == key_id)))
        )

    async def page(
        self, *, user_id: UUID | None, limit: int, after: str | None
    ) -> Sequence[ApiKeyView]:
        """Return the keys after this name in the order of names; of one user only if given."""
        statement = _keys().order_by(ApiKey.name).limit(limit)
        if user_id is not None:
            statement = statement.where(ApiKey.user_id == user_id)
        if after is not None:
            statement = statement.where(ApiKey.name > after)
        return await self._views(statement)

    async def count(self, *, user_id: UUID | None, up_to: int) -> int:
        """Return how many keys there are, of one user if given, or `up_to` if there are more."""
        some = select(ApiKey.id).limit(up_to)
        if user_id is not None:
            some = some.where(ApiKey.user_id == user_id)
        counted = select(func.count()).select_from(some.subquery())
        return int(await self._session.scalar(counted) or 0)

    async def _change(self, key_id: UUID, values: Mapping[str, Any]) -> None:
        await self._session.execute(update(ApiKey).where(ApiKey.id == key_id).values(**values))

    async def _views(self, statement: Select[*_Row]) -> Sequence[ApiKeyView]:
        rows = await self._session.execute(statement)
        return [_view(*row) for row in rows]


def _keys() -> Select[*_Row]:
    return (
        select(ApiKey, User.name, User.deactivated_at, _Replaced.name)
        .outerjoin(User, User.id == ApiKey.user_id)
        .outerjoin(_Replaced, _Replaced.id == ApiKey.replaces_id)
    )


def _view(
    row: ApiKey, user: str | None, user_deactivated_at: datetime | None, replaces: str | None
) -> ApiKeyView:
    return ApiKeyView(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        user=user,
        user_deactivated_at=user_deactivated_at,
        scope=KeyScope.model_validate(row.scope),
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        replaces=replaces,
        created_at=row.created_at,
        created_by=row.created_by,
    )
