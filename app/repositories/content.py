"""Statements on `content`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import insert, select, update

from app.core.hashing import JSON, salted_hash
from app.core.ids import new_id
from app.database import AsyncSession
from app.models import Content

__all__ = ["ContentRepository", "content_row", "decode_body"]

_SALT_BYTES = 16
_BATCH = 500  # a bound on the number of SQL parameters


def content_row(value: JSON, now: datetime) -> dict[str, Any]:
    """Return a new row that holds `value` as JSON text, salted and hashed."""
    body = _encode(value)
    salt = os.urandom(_SALT_BYTES)
    return {
        "id": new_id(),
        "body": body.decode(),
        "salt": salt,
        "hash": salted_hash(salt, body),
        "size_bytes": len(body),
        "created_at": now,
    }


def _encode(value: JSON) -> bytes:
    """JSON text. What a model wrote may hold lone surrogates: they are kept, escaped."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()


class ContentRepository:
    """Texts by id."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add_all(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows made by `content_row`."""
        if rows:
            await self._session.execute(insert(Content), list(rows))

    async def erase(self, ids: Iterable[UUID], now: datetime) -> None:
        """Erase texts for good, with their salts; what is erased already stays so."""
        wanted = list(ids)
        for start in range(0, len(wanted), _BATCH):
            await self._session.execute(
                update(Content)
                .where(Content.id.in_(wanted[start : start + _BATCH]), Content.body.is_not(None))
                .values(body=None, salt=None, erased_at=now)
            )

    async def bodies(self, ids: Iterable[UUID]) -> dict[UUID, Any]:
        """Return the values by id; an erased text is missing from the answer."""
        wanted = list(ids)
        found: dict[UUID, Any] = {}
        for start in range(0, len(wanted), _BATCH):
            statement = select(Content.id, Content.body).where(
                Content.id.in_(wanted[start : start + _BATCH]), Content.body.is_not(None)
            )
            for row in await self._session.execute(statement):
                found[row.id] = decode_body(row.body)
        return found


def decode_body(body: str) -> Any:
    """Return the value of a body as `content_row` wrote it."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:  # an escaped lone surrogate
        return json.loads(body)
