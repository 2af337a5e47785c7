"""Statements on `idempotency_key`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.database import AsyncSession
from app.models import IdempotencyKey
from app.schemas.idempotency_keys import KeyClaim, StoredKey

__all__ = ["IdempotencyKeyRepository"]


class IdempotencyKeyRepository:
    """Keys of actors. A key whose time is over counts as none."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def claim(self, claim: KeyClaim) -> bool:
        """Take a key for a request; false if another one has it.

        Of two transactions that claim a key, the second waits for the first and then sees its row.
        A key that another one has is not locked: whoever finishes it waits for no claim.
        """
        dialect = self._session.get_bind().dialect.name
        make: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
        insert = (
            make(IdempotencyKey)
            .values(**asdict(claim), status=None, reply_content_id=None)
            .on_conflict_do_nothing(index_elements=["actor", "key"])
            .returning(IdempotencyKey.id)
        )
        if (await self._session.execute(insert)).scalar_one_or_none() is not None:
            return True
        gone = await self._session.execute(
            delete(IdempotencyKey)
            .where(
                IdempotencyKey.actor == claim.actor,
                IdempotencyKey.key == claim.key,
                IdempotencyKey.expires_at <= claim.created_at,
            )
            .returning(IdempotencyKey.id)
        )
        if gone.scalar_one_or_none() is None:
            return False
        return (await self._session.execute(insert)).scalar_one_or_none() is not None

    async def get(self, actor: str, key: str, now: datetime | None = None) -> StoredKey | None:
        """Return a key as it was claimed; with `now` only if its time is not over then."""
        statement = select(
            IdempotencyKey.id,
            IdempotencyKey.request_hash,
            IdempotencyKey.status,
            IdempotencyKey.reply_content_id,
            IdempotencyKey.generation_id,
        ).where(IdempotencyKey.actor == actor, IdempotencyKey.key == key)
        if now is not None:
            statement = statement.where(IdempotencyKey.expires_at > now)
        row = (await self._session.execute(statement)).one_or_none()
        return None if row is None else StoredKey(*row)

    async def release(self, key_ids: Sequence[UUID]) -> None:
        """Give keys back whose requests had no effect."""
        await self._session.execute(delete(IdempotencyKey).where(IdempotencyKey.id.in_(key_ids)))

    async def finish(
        self, key_ids: Sequence[UUID], status: int, reply_content_id: UUID | None = None
    ) -> None:
        """Record the reply: its HTTP status, and its body unless that is a chat's generation."""
        await self._session.execute(
            update(IdempotencyKey)
            .where(IdempotencyKey.id.in_(key_ids))
            .values(status=status, reply_content_id=reply_content_id)
        )

    async def finish_generation(self, generation_id: UUID, status: int) -> None:
        """Record that a chat has ended whose server is gone."""
        await self._session.execute(
            update(IdempotencyKey)
            .where(IdempotencyKey.generation_id == generation_id)
            .values(status=status)
        )

    async def purge(self, now: datetime) -> list[UUID]:
        """Delete the keys whose time is over; return the contents that were their replies."""
        rows = await self._session.execute(
            delete(IdempotencyKey)
            .where(IdempotencyKey.expires_at <= now)
            .returning(IdempotencyKey.reply_content_id)
        )
        return [content_id for content_id in rows.scalars() if content_id is not None]
